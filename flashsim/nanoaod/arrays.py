"""Events in memory, seen as the branches of a NanoAOD file; and branches, as one record an event."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.errors import InputFileError
from flashsim.events.collection import flat_column
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.content import Content

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["EventArrays", "records"]

# Indices into all objects of an array, which coffea computes of the indices into those of an event.
_GLOBAL_INDEX = re.compile(r"\w*Idx\w*G")


class EventArrays:
    """Events of an awkward array, which has the attributes of a `NanoFile` that planning asks for.

    Nothing is read from arrays that are virtual until `column` asks for it.

    Parameters
    ----------
    events
        E records with a field a collection (``events.GenPart.pt``), as coffea's NanoEvents have, or a field a
        branch (``events.GenPart_pt``), as uproot reads them.
    path
        What messages call the events.

    Attributes
    ----------
    num_entries : int
        E.
    branches : dict of str to Branch
        By flat names (``GenPart_pt``), counters left out. Titles are those that coffea keeps.
    counter_titles : dict of str to str
        For each collection its description, where there is one.
    unsupported : dict of str to str
        What fields are that no branch can be: of types with missing values, or nested lists.

    Raises
    ------
    InputFileError
        If it is no array of records.
    """

    trees: tuple[str, ...] = ()
    other_objects: tuple[str, ...] = ()

    def __init__(self, events: ak.Array, path: str = "events") -> None:
        self.path = path
        self.num_entries = len(events)
        self._events = events
        self._places: dict[str, tuple[str, ...]] = {}
        self.branches: dict[str, Branch] = {}
        self.counter_titles: dict[str, str] = {}
        self.unsupported: dict[str, str] = {}
        kind = events.layout.form.type
        if not isinstance(kind, ak.types.RecordType) or kind.is_tuple:
            msg = (
                f"{path}: expected an array of events with fields such as GenPart, found one of type {kind}; "
                "name the branches"
            )
            raise InputFileError(msg)
        fields = dict(zip(kind.fields, kind.contents, strict=True))
        for name, content in fields.items():
            self._add(name, content, fields)
        for collection in {branch.collection for branch in self.branches.values()}:
            self.branches.pop(f"n{collection}", None)

    def has(self, name: str) -> bool:
        """Whether the events have a branch of this name."""
        return name in self.branches

    def column(self, name: str) -> ak.Array:
        """Give a branch of all events: ``E * dtype``, or ``E * var * dtype`` in a collection."""
        column = self._events
        for field in self._places[name]:
            column = column[field]
        return ak.Array(column.layout)

    def chunks(
        self, names: Sequence[str], size: int, *, needed: Iterable[str] = ()
    ) -> Iterator[tuple[int, int, dict[str, ak.Array]]]:
        """Give some branches of all events, chunk by chunk, as `NanoFile.chunks` does."""
        columns = {name: ak.materialize(self.column(name)) for name in names}
        for start in range(0, self.num_entries, size):
            stop = min(start + size, self.num_entries)
            arrays = {name: ak.to_packed(column[start:stop]) for name, column in columns.items()}
            content = Content(self.path, self.branches, arrays, start, columns.__getitem__)
            # Whoever selects objects in memory may leave the counters of flat names as they were.
            content.check_lengths({})
            content.check_values(needed)
            yield start, stop, arrays

    def _add(self, name: str, content: Any, fields: Mapping[str, Any]) -> None:
        """Add the branches of a field of the events."""
        collection = name if isinstance(content, ak.types.ListType) else None
        members = content.content if collection is not None else content
        if not isinstance(members, ak.types.RecordType):
            self._add_branch(name, (name,), content, None if collection is None else _counted(name, fields))
            return
        if collection is not None and (title := members.parameters.get("__doc__", "")):
            self.counter_titles[collection] = title
        for field, inner in zip(members.fields, members.contents, strict=True):
            if not _GLOBAL_INDEX.fullmatch(field):
                branch = f"{name}_{field}"
                of = collection if collection or not isinstance(inner, ak.types.ListType) else branch
                kind = ak.types.ListType(inner) if collection else inner
                self._add_branch(branch, (name, field), kind, of)

    def _add_branch(self, name: str, place: tuple[str, ...], kind: Any, collection: str | None) -> None:
        element = kind.content if isinstance(kind, ak.types.ListType) else kind
        if not _is_number(element):
            self.unsupported[name] = f"of type {kind}"
            return
        title = element.parameters.get("__doc__", "")
        self.branches[name] = Branch(name, np.dtype(element.primitive), collection, title)
        self._places[name] = place


def _is_number(kind: Any) -> bool:
    """Whether a type is that of numbers or booleans; characters of a text are others."""
    if not isinstance(kind, ak.types.NumpyType) or kind.parameters.get("__array__") in {"char", "byte"}:
        return False
    return np.dtype(kind.primitive).kind in "biuf"


def _counted(name: str, fields: Mapping[str, Any]) -> str:
    """Tell the collection of a jagged branch: the longest start of its name that has a counter."""
    parts = name.split("_")
    starts = ["_".join(parts[:number]) for number in range(len(parts), 0, -1)]
    return next((start for start in starts if f"n{start}" in fields), parts[0])


def records(branches: Sequence[Branch], columns: Mapping[str, Any]) -> ak.Array:
    """Put branches together to one record an event, with a field a collection.

    Branches with one value an event that share what stands before an underscore, such as ``MET_pt`` and
    ``MET_phi``, become a record, too.

    Parameters
    ----------
    branches
        Which.
    columns
        Values by the branches' names, of E events each; those of a collection have the same lengths.

    Returns
    -------
    E records.
    """
    grouped: dict[str, list[Branch]] = {}
    for branch in branches:
        grouped.setdefault(branch.collection or branch.name.split("_")[0], []).append(branch)
    fields = {name: _field(name, members, columns) for name, members in grouped.items()}
    length = len(next(iter(fields.values()))) if fields else 0
    return ak.Array(ak.contents.RecordArray(list(fields.values()), list(fields), length=length))


def _field(name: str, members: Sequence[Branch], columns: Mapping[str, Any]) -> Any:
    """Layout of a collection, of values of events with a common name, or of a branch by itself."""
    named = {branch.name.removeprefix(f"{name}_"): columns[branch.name] for branch in members}
    if list(named) == [name]:
        return ak.to_layout(named[name])
    if members[0].collection is None:
        return ak.contents.RecordArray([ak.to_layout(values) for values in named.values()], list(named))
    flat = {field: flat_column(values) for field, values in named.items()}
    offsets = next(offsets for offsets, _ in flat.values())
    contents = [ak.contents.NumpyArray(values) for _, values in flat.values()]
    return ak.contents.ListOffsetArray(
        ak.index.Index64(offsets), ak.contents.RecordArray(contents, list(flat), length=int(offsets[-1]))
    )
