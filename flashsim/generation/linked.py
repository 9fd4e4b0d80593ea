"""Objects that point at those of other collections, and branches that follow from objects drawn later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.conditioning import RECO
from flashsim.declarations.expressions import names_of
from flashsim.events.expressions import evaluate
from flashsim.nanoaod.assembly import rounded
from flashsim.transforms.linked import linked_columns, linked_rows, linked_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.linked import Linked
    from flashsim.declarations.objects import ObjectDeclaration
    from flashsim.declarations.output import Link
    from flashsim.events.collection import Collection

    Columns = dict[str, NDArray[Any]]

__all__ = ["LinkFollower", "points"]


def points(link: Link, source: Collection) -> NDArray[np.bool_]:
    """Tell which of N objects a link lets point at others, shape (N,)."""
    if link.where is None or not source.columns.keys() >= set(names_of(link.where).branches):
        return np.ones(len(source), dtype=bool)
    met: NDArray[np.bool_] = evaluate(link.where, source.columns, len(source)) != 0.0
    return met


@dataclass(frozen=True)
class LinkFollower:
    """Computes what follows from linked objects as soon as both collections of a chunk are there.

    Parameters
    ----------
    declarations
        Of all collections.
    bits
        Mantissa bits by collection and field.
    arrays
        Branches of the input with one value an event; each event may be simulated several times.
    exact
        Collections before values are rounded, in the order in which they are written: what follows is
        computed from these, as in real files. To be filled as they are drawn.
    """

    declarations: Sequence[ObjectDeclaration]
    bits: Mapping[str, Mapping[str, int | None]]
    arrays: Mapping[str, Any]
    exact: dict[str, Collection] = field(default_factory=dict)

    def after(self, drawn: str, simulated: Mapping[str, Collection]) -> dict[str, Collection]:
        """Give the collections of which branches follow, once the one of the name `drawn` is there.

        `simulated` are all that are there, as they are written and with their cross references.
        """
        found: dict[str, Collection] = {}
        for declaration in self.declarations:
            if (objects := simulated.get(declaration.collection)) is None:
                continue
            columns: Columns = {}
            for linked in declaration.linked:
                left = linked.only(linked.formulas.keys() - columns.keys())
                new = drawn in {declaration.collection, linked.to}
                if new and left.formulas and _is_there(left, objects, simulated.get(linked.to)):
                    columns |= self._followed(declaration, left, objects)
            if columns:
                found[declaration.collection] = objects.with_columns(columns)
        return found

    def _followed(self, declaration: ObjectDeclaration, linked: Linked, objects: Collection) -> Columns:
        """Columns that follow, as they are written; what was drawn where there is no other object."""
        to, mine = self.exact[linked.to], self.exact[declaration.collection]
        rows = linked_rows(objects[linked.index], mine, to)
        has = np.flatnonzero(rows >= 0)
        given = linked_columns(linked, mine, to, self._event_values(declaration, linked, mine.events), rows)
        found: Columns = {}
        for branch, values in linked_values(linked, declaration.targets, given, len(has)).items():
            column = mine[branch].astype(np.float64)
            column[has] = np.where(np.isfinite(values), values, column[has])
            found[branch] = column
        bits = self.bits[declaration.collection]
        stored = {branch: bits[branch] for branch in found if branch in bits}
        made = rounded(objects.with_columns(found), declaration.targets, stored)
        return {branch: made[branch] for branch in found}

    def _event_values(self, declaration: ObjectDeclaration, linked: Linked, events: int) -> Columns:
        """Values of events by the name of their conditioning, shape (events,)."""
        values: Columns = {}
        for entry in declaration.event_values():
            if entry.name not in linked.needs.event:
                continue
            if entry.of:
                columns = self.exact[entry.of.removeprefix(RECO)].columns
                names = (entry.branch, *entry.otherwise)
                values[entry.name] = next(columns[name] for name in names if name in columns)
            else:
                once = np.asarray(self.arrays[entry.branch])
                values[entry.name] = np.repeat(once, events // max(len(once), 1))
        return values


def _is_there(linked: Linked, objects: Collection, to: Collection | None) -> bool:
    """Tell whether references were made, and whether the other collection has what is read of it."""
    return to is not None and linked.index in objects.columns and to.columns.keys() >= set(linked.fields)
