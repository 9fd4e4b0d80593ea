"""The two ways in which ROOT files hold a table of events, TTree and RNTuple, seen as NanoAOD branches."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import awkward as ak
import numpy as np
from uproot.interpretation.jagged import AsJagged
from uproot.interpretation.numerical import AsDtype
from uproot.interpretation.objects import AsStridedObjects

from flashsim.nanoaod.branch import Branch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Container", "NtupleContainer", "TreeContainer", "is_container"]

Columns: TypeAlias = dict[str, ak.Array]


class Container(Protocol):
    """What reading needs to know of a TTree or an RNTuple."""

    kind: Literal["TTree", "RNTuple"]
    num_entries: int
    branches: dict[str, Branch]
    """Branches under their flat names, counters left out."""
    counter_titles: dict[str, str]
    """Title of the counter of each collection, where there is one."""
    unsupported: dict[str, str]
    """What branches are that NanoAOD does not have, by name: ``of type float[3]``, ``there 2 times``."""
    counters: dict[str, str]
    """For jagged branches the name of what says how many values an event has, where there is one."""

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        """Read entries ``start`` to ``stop`` of some branches."""

    def iterate(self, names: Sequence[str], size: int) -> Iterator[Columns]:
        """Read all entries of some branches, `size` at a time."""


def is_container(classname: str) -> bool:
    """Whether objects of this class can be read as a `Container`."""
    return classname in {"TTree", "ROOT::RNTuple"}


class TreeContainer:
    """A TTree; see `Container`.

    Parameters
    ----------
    tree
        As uproot opens it.
    """

    kind: Literal["TTree", "RNTuple"] = "TTree"

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self.num_entries = int(tree.num_entries)
        self.branches: dict[str, Branch] = {}
        counted = [(b.name, b.count_branch) for b in tree.branches]
        counters = {name: counter.name for name, counter in counted if counter is not None}
        scalars = {b.name for b in tree.branches if b.name not in counters}
        self.unsupported: dict[str, str] = _twice(b.name for b in tree.branches)
        for b in tree.branches:
            if b.name in self.unsupported:
                continue
            dtype = _element_dtype(b.interpretation)
            if dtype is None:
                self.unsupported[b.name] = f"of type {b.typename}"
                continue
            collection = None
            if isinstance(b.interpretation, AsJagged):
                collection = _collection(b.name, counters.get(b.name), scalars - set(counters.values()))
            self.branches[b.name] = Branch(b.name, dtype, collection, _documentation(b))
        numbers = {name for name, b in self.branches.items() if b.collection is None and b.dtype.kind in "iu"}
        self.counters = {name: counter for name, counter in counters.items() if counter in numbers}
        collections = {b.collection for b in self.branches.values() if b.collection is not None}
        titles = {c: self.branches[f"n{c}"].title for c in collections if f"n{c}" in self.branches}
        self.counter_titles = titles
        for name in {*counters.values(), *(f"n{collection}" for collection in collections)}:
            self.branches.pop(name, None)

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        """Read entries ``start`` to ``stop`` of some branches."""
        wanted = set(names)
        arrays = self._tree.arrays(
            filter_name=lambda name: name in wanted, entry_start=start, entry_stop=stop, how=dict
        )
        return {name: arrays[name] for name in names}

    def iterate(self, names: Sequence[str], size: int) -> Iterator[Columns]:
        """Read all entries of some branches, `size` at a time; each basket is decompressed once."""
        wanted = set(names)
        for arrays in self._tree.iterate(filter_name=lambda name: name in wanted, step_size=size, how=dict):
            yield {name: arrays[name] for name in names}


def _twice(names: Iterable[str]) -> dict[str, str]:
    """Names that several branches have, which leaves open whose values are meant."""
    return {name: f"there {count} times" for name, count in Counter(names).items() if count > 1}


def _element_dtype(interpretation: Any) -> np.dtype[Any] | None:
    """Return the native dtype of flat and of once nested numbers; ``None`` for everything else."""
    content = interpretation.content if isinstance(interpretation, AsJagged) else interpretation
    if not isinstance(content, AsDtype) or isinstance(content, AsStridedObjects) or content.inner_shape:
        return None
    dtype: np.dtype[Any] = content.to_dtype.newbyteorder("=")
    return dtype if dtype.kind in "biuf" else None


# ROOT's own title of a branch is its leaf list, ``Jet_pt[nJet]/F``: types, not documentation.
_LEAF_LIST = re.compile(r"\w+(?:\[\w+\])*/[A-Za-z]")


def _documentation(branch: Any) -> str:
    title: str = branch.title or ""
    return "" if _LEAF_LIST.fullmatch(title) else title


def _collection(name: str, counter: str | None, scalars: set[str]) -> str:
    """Tell the collection of a jagged branch from the counter that its leaf names.

    Files rewritten column by column have a counter ``nJet_pt`` for each branch ``Jet_pt`` and keep the
    original ``nJet`` as a plain number, if at all: there the collection is the longest part of the name
    that such a number counts.
    """
    if counter is not None and counter.startswith("n") and counter != f"n{name}":
        return counter.removeprefix("n")
    prefix = name
    while prefix:
        prefix = prefix.rpartition("_")[0]
        if prefix and f"n{prefix}" in scalars:
            return prefix
    return name


def _counter_of(name: str, numbers: set[str]) -> str | None:
    """Find the number that counts a jagged branch: that of the longest start of its name."""
    parts = name.split("_")
    starts = ("n" + "_".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((start for start in starts if start in numbers), None)


_NTUPLE_TYPES = {
    "bool": "bool",
    "float": "float32",
    "double": "float64",
    **{f"std::{s}int{bits}_t": f"{s}int{bits}" for s in ("", "u") for bits in (8, 16, 32, 64)},
}
_VECTOR = re.compile(r"(?:ROOT::VecOps::RVec|std::vector)<(?P<element>[^<>]+)>")


class NtupleContainer:
    """An RNTuple; see `Container`.

    CMS stores a collection as an anonymous field ``_collection3`` of records and projects every member
    to the top level, ``Jet_pt``, next to its length ``nJet``; the projections are what is read.

    Parameters
    ----------
    ntuple
        As uproot opens it.
    """

    kind: Literal["TTree", "RNTuple"] = "RNTuple"

    def __init__(self, ntuple: Any) -> None:
        self._ntuple = ntuple
        self._fields = {field.name: field for field in ntuple.fields}
        self.num_entries = int(ntuple.num_entries)
        self.branches: dict[str, Branch] = {}
        self.counter_titles: dict[str, str] = {}
        collections = self._collections()
        self.unsupported: dict[str, str] = _twice(field.name for field in ntuple.fields)
        for name, field in self._fields.items():
            if (
                name in self.unsupported
                or field.typename.startswith("ROOT::RNTupleCardinality<")
                or field.field_id in collections
            ):
                continue
            vector = _VECTOR.fullmatch(field.typename)
            element = _NTUPLE_TYPES.get(vector["element"] if vector else field.typename)
            if element is None:
                self.unsupported[name] = f"of type {field.typename}"
                continue
            collection = collections.get(field.record.source_field_id, name) if vector else None
            self.branches[name] = Branch(name, np.dtype(element), collection, field.description)
        numbers = {name for name, b in self.branches.items() if b.collection is None and b.dtype.kind in "iu"}
        numbers |= {f"n{collection}" for collection in collections.values()}
        self.counters = {
            name: counter
            for name, b in self.branches.items()
            if b.collection is not None and (counter := _counter_of(name, numbers)) is not None
        }

    def _collections(self) -> dict[int, str]:
        """Names of collections by the id of the field that stores them, told from the projected lengths."""
        names = {}
        for name, field in self._fields.items():
            source = field.record.source_field_id
            if (
                field.typename.startswith("ROOT::RNTupleCardinality<")
                and source is not None
                and name[:1] == "n"
            ):
                names[source] = name.removeprefix("n")
                self.counter_titles[names[source]] = field.description
        return names

    def read(self, names: Sequence[str], start: int, stop: int) -> Columns:
        """Read entries ``start`` to ``stop`` of some branches."""
        return {
            name: ak.to_packed(self._fields[name].array(entry_start=start, entry_stop=stop)) for name in names
        }

    def iterate(self, names: Sequence[str], size: int) -> Iterator[Columns]:
        """Read all entries of some branches, `size` at a time; each cluster is decompressed once."""
        held: Columns = {}
        held_start = held_stop = 0
        ends = [c.num_first_entry + c.num_entries for c in self._ntuple.cluster_summaries]
        for start in range(0, self.num_entries, size):
            stop = min(start + size, self.num_entries)
            if stop > held_stop:
                end = next(end for end in ends if end >= stop)
                fresh = self.read(names, held_stop, end)
                kept = {name: array[start - held_start :] for name, array in held.items()}
                held = {name: ak.concatenate([kept[name], fresh[name]]) for name in names} if kept else fresh
                held_start, held_stop = start, end
            yield {name: ak.to_packed(held[name][start - held_start : stop - held_start]) for name in names}
