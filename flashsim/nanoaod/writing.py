"""Writing NanoAOD files: TTrees with one counter a collection, complete or not there at all."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import awkward as ak
import numpy as np
import uproot

from flashsim.errors import OutputFileError
from flashsim.execution.locks import sole_writer
from flashsim.execution.whole_files import check_output, disk_errors, require_parent, unfinished
from flashsim.nanoaod.buffer import TreeBuffer, check_entries
from flashsim.nanoaod.described_tree import make_tree
from flashsim.nanoaod.schema import VERSIONS, counter_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from flashsim.nanoaod.branch import Branch
    from flashsim.nanoaod.buffer import CheckedEntries

__all__ = ["COMPRESSIONS", "NanoWriter"]

# ROOT flushes its own baskets after about as much; far smaller baskets cost size and reading time, far
# larger ones memory.
_FLUSH_BYTES = 30_000_000

COMPRESSIONS: dict[str, Any] = {
    # A higher level takes longer than all the rest of writing, for files a twentieth smaller.
    "zstd": uproot.ZSTD(3),
    "lz4": uproot.LZ4(4),
    "zlib": uproot.ZLIB(1),
    "lzma": uproot.LZMA(9),
    "none": None,
}
"""Compression names and the algorithm and level behind each."""

_DTYPES = tuple(np.dtype(name) for name in ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"))


class NanoWriter:
    """Write a NanoAOD file, which appears under its name only when it is complete.

    Used as a context manager: the file is hidden beside its final place, gets its name when the block ends,
    and is removed when the block raises (an interrupt included).

    Parameters
    ----------
    path
        Where the file shall be; a local path.
    compression
        One of ``"zstd"`` (the default), ``"lz4"``, ``"zlib"``, ``"lzma"`` (as central NanoAOD: smallest,
        slowest), ``"none"``.
    force
        Whether to replace an existing file.
    version
        NanoAOD version of the file, one of `VERSIONS`, by default the newest: the type of the counters is
        that of the version, see `counter_dtype`.

    Raises
    ------
    OutputFileError
        If the path exists and `force` is not set, or its folder does not exist or cannot be written.
    ValueError
        If the compression is not known.

    Notes
    -----
    Trees are TTrees, for which every analysis framework has a reader.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        compression: str = "zstd",
        force: bool = False,
        version: str = VERSIONS[-1],
    ) -> None:
        if compression not in COMPRESSIONS:
            msg = f"compression must be one of {', '.join(COMPRESSIONS)}, found {compression!r}"
            raise ValueError(msg)
        if "://" in str(path):
            msg = f"{path}: outputs are written to local paths; copy the file to its remote place afterwards"
            raise OutputFileError(msg)
        self.path = Path(path)
        self._compression = COMPRESSIONS[compression]
        self._force = force
        self._counter_dtype = counter_dtype(version)
        self._block = self._write()
        self._handle: IO[bytes] | None = None
        self._file: Any = None
        self._trees: dict[str, Any] = {}
        self._branches: dict[str, Sequence[Branch]] = {}
        self._buffers: dict[str, TreeBuffer] = {}
        self._check_target()

    def __enter__(self) -> Self:
        self._block.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.__exit__(kind, error, trace)

    @contextlib.contextmanager
    def _write(self) -> Iterator[None]:
        with sole_writer(self.path), unfinished(self.path) as part:
            self._check_target()  # another process may have written it since
            try:
                with disk_errors(self.path):
                    self._handle = part.open("x+b")
                    self._file = uproot.recreate(self._handle, compression=self._compression)
                yield
                for name in self._trees:
                    self._flush(name)
                with disk_errors(self.path):
                    self._close()
            except BaseException:
                # The disk may be full or gone: what matters is the first error, not those of cleaning up.
                with contextlib.suppress(OSError, ValueError):
                    self._close()
                raise
            # Someone else may have made the file in the hours since the first look.
            self._check_target()

    def tree(
        self,
        name: str,
        branches: Sequence[Branch],
        title: str = "",
        *,
        counter_titles: Mapping[str, str] | None = None,
    ) -> None:
        """Declare a tree; without any `extend` it has zero entries.

        Parameters
        ----------
        name
            Name of the tree, such as ``Events``.
        branches
            Its branches. Those of one collection share the counter ``n{collection}``, which is made here
            and must not be among them.
        title
            Title of the tree.
        counter_titles
            Title of the counter of each collection, which NanoAOD uses to describe the collection.

        Raises
        ------
        ValueError
            If there is no branch, two have one name, a name is that of a counter, or a dtype is not one
            that a TTree stores.
        """
        file = self._opened()
        if name in self._trees:
            msg = f"{self.path}: tree {name!r} is declared twice"
            raise ValueError(msg)
        _check_branches(name, branches)
        counters = {branch.name: f"n{branch.collection}" for branch in branches if branch.jagged}
        types = {
            branch.name: ak.types.ListType(ak.types.NumpyType(branch.dtype.name))
            if branch.jagged
            else branch.dtype
            for branch in branches
        }
        titles = {branch.name: branch.title for branch in branches}
        titles |= {f"n{collection}": text for collection, text in (counter_titles or {}).items()}
        with disk_errors(self.path):
            self._trees[name] = make_tree(
                file,
                name,
                types,
                title=title,
                counter_name=counters.__getitem__,
                titles={branch: text for branch, text in titles.items() if text},
                counter_dtype=self._counter_dtype,
            )
        self._branches[name] = branches
        self._buffers[name] = TreeBuffer(branches)

    def extend(self, name: str, arrays: Mapping[str, ak.Array | np.ndarray] | CheckedEntries) -> None:
        """Add entries to a tree. Zero entries are allowed and add nothing.

        Parameters
        ----------
        name
            Name of a declared tree.
        arrays
            One array per declared branch under its full name: shape ``(entries,)``, or one list per entry
            for a branch in a collection. Values are converted to the branch's dtype where that is exact
            (floating point values may lose precision). Or what `check_entries` made of such arrays.

        Raises
        ------
        ValueError
            If the tree or a branch is not known, lengths differ, or a value does not fit its branch.
        """
        self._opened()
        if name not in self._buffers:
            msg = (
                f"{self.path}: tree {name!r} is not declared; declared are {', '.join(self._trees) or 'none'}"
            )
            raise ValueError(msg)
        buffer = self._buffers[name]
        buffer.append(check_entries(name, self._branches[name], arrays))
        if buffer.nbytes >= _FLUSH_BYTES:
            self._flush(name)

    def write_string(self, name: str, text: str) -> None:
        """Store a text as a TObjString, which ``hadd`` keeps: provenance, configuration."""
        file = self._opened()
        with disk_errors(self.path):
            file[name] = text

    def _flush(self, name: str) -> None:
        # A basket without entries makes ROOT misread the entry after it, so nothing empty is written.
        for piece in self._buffers[name].drain(_FLUSH_BYTES):
            with disk_errors(self.path):
                self._trees[name].extend(piece)

    def _opened(self) -> Any:
        if self._file is None:
            msg = f"{self.path}: use NanoWriter in a 'with' block"
            raise RuntimeError(msg)
        return self._file

    def _check_target(self) -> None:
        require_parent(self.path)
        check_output(self.path, force=self._force)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _check_branches(tree: str, branches: Sequence[Branch]) -> None:
    if not branches:
        msg = f"tree {tree!r} needs at least one branch"
        raise ValueError(msg)
    counters = {f"n{branch.collection}": branch.collection for branch in branches if branch.jagged}
    seen = set()
    for branch in branches:
        if branch.name in seen:
            msg = f"tree {tree!r}: branch {branch.name!r} is declared twice"
            raise ValueError(msg)
        if branch.name in counters:
            msg = (
                f"tree {tree!r}: {branch.name!r} is the counter of {counters[branch.name]!r}, "
                "which the writer makes; leave it out"
            )
            raise ValueError(msg)
        if branch.dtype not in _DTYPES:
            msg = (
                f"tree {tree!r}: branch {branch.name!r} has dtype {branch.dtype}, which a TTree cannot store"
            )
            raise ValueError(msg)
        seen.add(branch.name)
