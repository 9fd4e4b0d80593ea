"""Branches in memory as coffea's NanoEvents."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.execution.extras import needs_extra

with needs_extra("analysis", "what gives NanoEvents"):
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory
    from coffea.nanoevents.mapping.base import BaseSourceMapping
    from coffea.nanoevents.util import quote, tuple_to_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flashsim.nanoaod.branch import Branch

__all__ = ["nano_events"]


class SimulatedSchema(NanoAODSchema):  # type: ignore[misc]  # coffea has no types
    """NanoAOD that lacks collections which others refer to, such as photons."""

    warn_missing_crossrefs = False


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
        return ak.Array(columnhandle())

    def __len__(self) -> int:
        return int(self._stop)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)


def nano_events(
    branches: Sequence[Branch],
    counter_titles: Mapping[str, str],
    columns: Mapping[str, Callable[[], Any]],
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
        What gives the values of each branch, in its type; called when something needs them.
    length
        Number of events.
    metadata
        Of the events, as coffea has them.
    """
    forms = {b.name: _form(b.name, b.dtype.name, b.title, jagged=b.jagged) for b in branches}
    columns = dict(columns)
    for branch in branches:
        counter = f"n{branch.collection}"
        if branch.collection is not None and counter not in forms:
            forms[counter] = _form(counter, "int32", counter_titles.get(branch.collection, ""))
            columns[counter] = partial(_counts, columns[branch.name])
    parameters = {"metadata": dict(metadata or {})}
    schema = SimulatedSchema(
        {"fields": list(forms), "contents": list(forms.values()), "parameters": parameters}
    )
    # No two events share a key, under which coffea may keep buffers.
    key = tuple_to_key((secrets.token_hex(16), "Events", f"0-{length}"))
    return NanoEventsFactory(schema, _Columns(columns, length), key, mode="virtual").events()


def _counts(column: Callable[[], Any]) -> Any:
    return np.asarray(ak.num(column()), dtype=np.int32)


def _form(name: str, dtype: str, title: str, *, jagged: bool = False) -> dict[str, Any]:
    load = f"{name},!load"
    documented = {"__doc__": title} if title else {}
    values = {"class": "NumpyArray", "primitive": dtype, "parameters": documented}
    if not jagged:
        return values | {"form_key": quote(load)}
    content = values | {"form_key": quote(f"{load},!content")}
    return {"class": "ListOffsetArray", "offsets": "i64", "content": content, "form_key": quote(load)}
