"""Reading NanoAOD files, TTree or RNTuple, local or remote, in chunks of events."""

from __future__ import annotations

import contextlib
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import uproot

from flashsim.errors import FlashSimError, InputFileError, MissingDependencyError
from flashsim.nanoaod.containers import Container, NtupleContainer, TreeContainer, is_container
from flashsim.nanoaod.content import Content
from flashsim.nanoaod.provenance import GEN, GENERATION, REFERENCE, REFINEMENT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    import awkward as ak

    from flashsim.nanoaod.branch import Branch

__all__ = ["STANDARD_TREES", "NanoFile"]

STANDARD_TREES = ("Runs", "LuminosityBlocks")
"""Trees that NanoAOD has beside the events, and that every output has if its input has."""

_GENERATOR_FILE = re.compile(r"\.(lhe|hepmc[23]?)(\.\w+)?$", re.IGNORECASE)
_NOTES = frozenset({"MetaData", "ParameterSets", "tag", GEN, GENERATION, REFERENCE, REFINEMENT})


class NanoFile:
    """A NanoAOD file open for reading; a context manager.

    Parameters
    ----------
    path
        A local path, or a URL that uproot opens, such as ``root://...``.

    Attributes
    ----------
    path : str
        The path or URL as given.
    num_entries : int
        Number of events.
    container : {"TTree", "RNTuple"}
        What holds the events.
    branches : dict of str to Branch
        Branches of the ``Events`` tree under their flat names (``Jet_pt``). Counters such as ``nJet`` are
        not listed: they are the list lengths of the collection's branches.
    counter_titles : dict of str to str
        For each collection the title of its counter, which NanoAOD uses to describe the collection.
    unsupported : dict of str to str
        What branches are that NanoAOD does not have (strings, nested vectors, objects, several of one name).

    Raises
    ------
    InputFileError
        If the file is not there, is not a complete ROOT file, or has no ``Events``.
    MissingDependencyError
        If reading from this kind of URL needs a package that is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        # The mapping keeps uproot from taking a colon in the path for the start of an object's name.
        with self._input_errors():
            self._file: Any = uproot.open({self.path: None})
        try:
            self._check_complete()
            self._check_events()
            self._events = self._container("Events")
        except BaseException:
            self._file.close()
            raise
        self._others: dict[str, Container] = {}
        self.num_entries = self._events.num_entries
        self.container: Literal["TTree", "RNTuple"] = self._events.kind
        self.branches: dict[str, Branch] = self._events.branches
        self.counter_titles: dict[str, str] = self._events.counter_titles
        self.unsupported: dict[str, str] = self._events.unsupported

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def has(self, name: str) -> bool:
        """Whether the events have a branch of this name."""
        return name in self.branches

    def read(
        self, names: Sequence[str], start: int = 0, stop: int | None = None, *, needed: Collection[str] = ()
    ) -> dict[str, ak.Array]:
        """Read some branches of a range of events.

        Parameters
        ----------
        names
            Flat branch names.
        start, stop
            First event, and the one after the last (default: the end of the file).
        needed
            Those of them that are computed with: no NaN, no infinity, no index without an object.

        Returns
        -------
        dict of str to ak.Array
            In the order of `names`: ``events * dtype``, or ``events * var * dtype`` in a collection.

        Raises
        ------
        InputFileError
            If a branch is missing or damaged, branches of a collection differ in length, or a value that is
            needed cannot be computed with.
        """
        self._require(names)
        stop = self.num_entries if stop is None else min(stop, self.num_entries)
        names, counters = list(dict.fromkeys(names)), self._counters(names)
        with self._input_errors():
            arrays = self._events.read([*names, *counters], start, max(start, stop))
        self._check(arrays, needed, start, max(start, stop))
        return {name: arrays[name] for name in names}

    def chunks(
        self, names: Sequence[str], size: int, *, needed: Collection[str] = ()
    ) -> Iterator[tuple[int, int, dict[str, ak.Array]]]:
        """Read some branches of all events, chunk by chunk; a file without events yields nothing.

        Parameters
        ----------
        names
            Flat branch names.
        size
            Number of events of a chunk; the last may have fewer.
        needed
            As for `read`.

        Yields
        ------
        start, stop : int
            Range of events of the chunk.
        arrays : dict of str to ak.Array
            As `read` returns them.

        Raises
        ------
        InputFileError
            As `read` raises it.
        ValueError
            If the size is not positive.
        """
        if size < 1:
            msg = f"a chunk needs at least one event, found size {size}"
            raise ValueError(msg)
        self._require(names)
        names, counters = list(dict.fromkeys(names)), self._counters(names)
        arrays = self._events.iterate([*names, *counters], size) if names else None
        for start in range(0, self.num_entries, size):
            with self._input_errors():
                columns = {} if arrays is None else next(arrays)
            stop = min(start + size, self.num_entries)
            self._check(columns, needed, start, stop)
            yield start, stop, {name: columns[name] for name in names}

    def _counters(self, names: Iterable[str]) -> list[str]:
        """Names of the numbers that count some branches, apart from these."""
        known = self._events.counters
        return sorted({known[name] for name in names if name in known} - {*names})

    def _check(self, arrays: dict[str, ak.Array], needed: Collection[str], start: int, stop: int) -> None:
        for name, values in arrays.items():
            # What is damaged in the list of a branch's baskets hides entries from the reader.
            if len(values) != stop - start:
                msg = (
                    f"{self.path}: {name} has {len(values)} of the entries {start} to {stop - 1}, expected "
                    f"{stop - start}: the branch is damaged; copy or make the file again"
                )
                raise InputFileError(msg)
        known = self._events.counters
        content = Content(self.path, self.branches, arrays, start, self._whole)
        content.check_lengths({n: known[n] for n in arrays if known.get(n) in arrays})
        content.check_values([name for name in needed if name in arrays])

    def _whole(self, name: str) -> ak.Array:
        with self._input_errors():
            return self._events.read([name], 0, self.num_entries)[name]

    @property
    def uuid(self) -> str:
        """The identity that ROOT gave the file when it was made; copies of the file share it."""
        return str(self._file.file.uuid)

    @cached_property
    def trees(self) -> tuple[str, ...]:
        """Names of the other trees that can be copied: ``Runs``, ``LuminosityBlocks``.

        ``MetaData`` and ``ParameterSets`` hold objects of CMSSW classes and are not among them.
        """
        return tuple(
            name
            for name, classname in self._classnames.items()
            if name != "Events" and is_container(classname) and self._other(name).branches
        )

    @cached_property
    def other_objects(self) -> tuple[str, ...]:
        """Names of what is neither a tree that can be copied nor a note of how the file was made."""
        known = {"Events", *self.trees, *_NOTES}
        return tuple(dict.fromkeys(name for name in self._classnames if name not in known))

    def read_tree(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> tuple[dict[str, Branch], dict[str, ak.Array]]:
        """Read entries of one of the other trees.

        Parameters
        ----------
        name
            One of `trees`.
        start, stop
            First entry, and the one after the last (default: all).

        Returns
        -------
        branches : dict of str to Branch
        arrays : dict of str to ak.Array
            These entries of all branches.

        Raises
        ------
        InputFileError
            If there is no such tree or it is damaged.
        """
        if name not in self.trees:
            found = ", ".join(self.trees) or "none"
            msg = f"{self.path}: has no tree {name!r} that can be copied; it has {found}"
            raise InputFileError(msg)
        tree = self._other(name)
        stop = tree.num_entries if stop is None else min(stop, tree.num_entries)
        with self._input_errors():
            return tree.branches, tree.read(list(tree.branches), start, max(start, stop))

    def tree_entries(self, name: str) -> int:
        """Count the entries of one of `trees`."""
        return self._other(name).num_entries

    def _other(self, name: str) -> Container:
        if name not in self._others:
            self._others[name] = self._container(name)
        return self._others[name]

    @cached_property
    def _classnames(self) -> dict[str, str]:
        with self._input_errors():
            names: dict[str, str] = self._file.classnames(recursive=False, cycle=False)
        return names

    def _container(self, name: str) -> Container:
        with self._input_errors():
            table = self._file[name]
            return TreeContainer(table) if self._classnames[name] == "TTree" else NtupleContainer(table)

    def _require(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.branches:
                reason = f"is {self.unsupported[name]}" if name in self.unsupported else "is missing"
                msg = f"{self.path}: branch {name!r} {reason}"
                raise InputFileError(msg)

    def _check_events(self) -> None:
        if not is_container(self._classnames.get("Events", "")):
            found = ", ".join(self._classnames) or "nothing"
            msg = f"{self.path}: is not NanoAOD: expected a tree 'Events', found {found}"
            raise InputFileError(msg)

    def _check_complete(self) -> None:
        expected = int(self._file.file.fEND)
        with self._input_errors():
            found = self._file.file.source.num_bytes
        if found is not None and found < expected:
            msg = (
                f"{self.path}: is truncated: expected {expected} bytes, found {found}; copy or make it again"
            )
            raise InputFileError(msg)

    @contextlib.contextmanager
    def _input_errors(self) -> Iterator[None]:
        try:
            yield
        except (FlashSimError, MemoryError):
            raise
        except FileNotFoundError as error:
            msg = f"{self.path}: no such file"
            raise InputFileError(msg) from error
        except (IsADirectoryError, PermissionError) as error:
            msg = f"{self.path}: cannot be opened: {error.strerror}"
            raise InputFileError(msg) from error
        except ImportError as error:
            msg = f"{self.path}: reading from here needs the package {error.name}; install it"
            raise MissingDependencyError(msg) from error
        except Exception as error:
            if _GENERATOR_FILE.search(self.path):
                msg = (
                    f"{self.path}: is not NanoAOD, by its name generator events; "
                    "make gen-level NanoAOD of them with 'flashsim gen'"
                )
                raise InputFileError(msg) from error
            # Damaged bytes surface as almost any exception, from struct.error to KeyError.
            msg = f"{self.path}: is not a ROOT file that can be read, or is damaged ({_first_line(error)})"
            raise InputFileError(msg) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(",")
