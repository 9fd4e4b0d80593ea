"""Branches in memory as coffea's NanoEvents."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import awkward as ak

from flashsim.execution.extras import needs_extra

with needs_extra("analysis", "what gives NanoEvents"):
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
    from coffea.nanoevents.mapping.base import BaseSourceMapping
    from coffea.nanoevents.util import quote, tuple_to_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flashsim.nanoaod.branch import Branch

__all__ = ["LazyColumns", "SimulatedSchema", "nano_events"]


class SimulatedSchema(NanoAODSchema):  # type: ignore[misc]  # coffea has no types
    """NanoAOD that lacks collections which others refer to, such as photons."""

    warn_missing_crossrefs = False


class LazyColumns(Mapping[str, Any]):
    """Columns by name, each computed when it is asked for.

    Parameters
    ----------
    columns
        What gives each of them.
    """

    def __init__(self, columns: Mapping[str, Callable[[], Any]]) -> None:
        self._columns = columns

    def __getitem__(self, name: str) -> Any:
        """Compute a column."""
        return self._columns[name]()

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Count the columns."""
        return len(self._columns)


class _Columns(BaseSourceMapping):  # type: ignore[misc]  # coffea has no types
    """What coffea reads buffers of events from."""

    def __init__(self, columns: Mapping[str, Any], length: int) -> None:
        super().__init__(None, 0, length, virtual=True)
        self._columns = columns

    @classmethod
    def _extract_base_form(cls, source: Mapping[str, Any]) -> dict[str, Any]:
        # Abstract in coffea; the forms are made of the branches, so that nothing is read for them.
        raise NotImplementedError

    def _column_source(self, *_: str) -> Mapping[str, Any]:
        return self._columns

    def get_column_handle(self, columnsource: Mapping[str, Any], name: str, _: bool) -> Any:
        return columnsource[name]

    def extract_column(self, columnhandle: Any, *_: Any, **__: Any) -> ak.Array:
        return ak.Array(columnhandle)

    def __len__(self) -> int:
        return int(self._stop)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)


def nano_events(
    branches: Sequence[Branch],
    counter_titles: Mapping[str, str],
    columns: Mapping[str, Any],
    length: int,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """Make NanoEvents, with the behaviours and cross references that coffea's schema of NanoAOD gives them.

    Parameters
    ----------
    branches
        Of the events, counters apart.
    counter_titles
        Descriptions of collections.
    columns
        Values by the branches' names, of the branches' types, and the counters: ``nJet`` and so on. They are
        asked for when something needs them.
    length
        Number of events.
    metadata
        Of the events, as coffea has them.
    """
    forms = {b.name: _form(b.name, b.dtype.name, b.title, jagged=b.jagged) for b in branches}
    for collection in dict.fromkeys(b.collection for b in branches if b.collection is not None):
        forms[f"n{collection}"] = _form(f"n{collection}", "int32", counter_titles.get(collection, ""))
    parameters = {"metadata": dict(metadata or {})}
    schema = SimulatedSchema(
        {"fields": list(forms), "contents": list(forms.values()), "parameters": parameters}
    )
    # No two events share a key, under which coffea may keep buffers.
    key = tuple_to_key((secrets.token_hex(16), "Events", f"0-{length}"))
    return NanoEventsFactory(schema, _Columns(columns, length), key, mode="virtual").events()


def _form(name: str, dtype: str, title: str, *, jagged: bool = False) -> dict[str, Any]:
    load = f"{name},!load"
    documented = {"__doc__": title} if title else {}
    values = {"class": "NumpyArray", "primitive": dtype, "parameters": documented}
    if not jagged:
        return values | {"form_key": quote(load)}
    content = values | {"form_key": quote(f"{load},!content")}
    return {"class": "ListOffsetArray", "offsets": "i64", "content": content, "form_key": quote(load)}
