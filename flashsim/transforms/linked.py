"""Branches that follow from an object of another collection: their values, and whether files have them so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.objects import Target
from flashsim.events.expressions import evaluate
from flashsim.nanoaod.schema import load_schema, mantissa_bits
from flashsim.transforms.corrections import correction_values
from flashsim.transforms.relation_tests import RelationTest
from flashsim.transforms.rounding import agreement
from flashsim.transforms.values import allowed

if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.linked import Linked
    from flashsim.declarations.objects import ObjectDeclaration
    from flashsim.events.collection import Collection
    from flashsim.transforms.blocks import Environment

    Floats = NDArray[np.float64]

__all__ = ["LinkedTests", "linked_columns", "linked_rows", "linked_values"]


def linked_rows(index: NDArray[Any], source: Collection, to: Collection) -> NDArray[np.int64]:
    """Rows of the objects that others point at, shape (N,), or -1; indices count inside the event."""
    rows = source.event_rows
    index = index.astype(np.int64)
    there = (index >= 0) & (index < to.counts[rows])
    return np.where(there, to.offsets[rows] + index, -1)


def linked_columns(
    linked: Linked, source: Collection, to: Collection, events: Environment, rows: NDArray[np.int64]
) -> dict[str, Floats]:
    """Give the columns that formulas are computed from, of the M objects that have another one.

    Parameters
    ----------
    linked
        The declaration.
    source, to
        The N objects, and the others.
    events
        Values of events by the name of their conditioning, shape (E,).
    rows
        `linked_rows`, shape (N,).
    """
    has = np.flatnonzero(rows >= 0)
    event_rows, needs = source.event_rows[has], linked.needs
    columns = {name: source[name][has] for name in needs.branches}
    columns |= {f"to.{name}": to[name][rows[has]] for name in needs.to}
    columns |= {f"event.{name}": events[name][event_rows] for name in needs.event}
    return {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}


def linked_values(
    linked: Linked, targets: Sequence[Target], columns: Environment, rows: int
) -> dict[str, Floats]:
    """Compute the branches of columns of shape (rows,); NaN where a formula has no value."""
    known = dict(columns)
    for name, correction in linked.corrections.items():
        known[name] = correction_values(correction, columns, rows)[0]
    for name, text in linked.steps():
        known[name] = evaluate(text, known, rows)
    made = {}
    for target in targets:
        if target.branch in linked.formulas:
            values = evaluate(linked.formulas[target.branch], known, rows)
            made[target.branch] = np.where(np.isfinite(values), allowed(target, values), np.nan)
    return made


class LinkedTests:
    """Tests of the formulas of linked objects, chunk by chunk.

    Parameters
    ----------
    declaration
        With the targets and the links that the files have.
    version
        Their NanoAOD version, for the precision of stored values.
    """

    def __init__(self, declaration: ObjectDeclaration, version: str) -> None:
        self.declaration, self.version = declaration, version
        self._tests = [
            {branch: RelationTest(linked.title(branch)) for branch in linked.formulas}
            for linked in declaration.linked
        ]

    @property
    def tests(self) -> list[RelationTest]:
        """What was found, formula by formula."""
        return [test for tests in self._tests for test in tests.values()]

    def add(self, number: int, source: Collection, to: Collection, events: Environment) -> None:
        """Test a chunk for the linked objects of a number in the declaration.

        Parameters
        ----------
        number
            Position in the list `ObjectDeclaration.linked`.
        source, to, events
            As of `linked_columns`, `source` with the index.
        """
        linked = self.declaration.linked[number]
        rows = linked_rows(source[linked.index], source, to)
        columns = linked_columns(linked, source, to, events, rows)
        stored = {name: source[name][rows >= 0].astype(np.float64) for name in linked.formulas}
        columns |= stored
        good = np.all([np.isfinite(column) for column in columns.values()], axis=0)
        if not (count := int(np.count_nonzero(good))):
            return
        some = {name: column[good] for name, column in columns.items()}
        bits = self._bits(linked)
        whole = {f"to.{name}" for name in linked.needs.to if to[name].dtype.kind in "biu"}
        targets = {target.branch: target for target in self.declaration.targets}
        inputs = [
            targets[name] if name in targets else Target(branch=name, discrete=name in whole)
            for name in some
            if name not in stored
        ]
        for branch, test in self._tests[number].items():
            output = targets[branch]

            def computed(values: Environment, output: Target = output) -> dict[str, Floats]:
                made = linked_values(linked, [output], values, count)
                return {name: np.nan_to_num(column) for name, column in made.items()}

            holds, deviation = agreement(computed, inputs, [output], some, bits)
            test.rows += count
            test.held += int(np.count_nonzero(holds))
            test.largest = max(test.largest, float(deviation[~holds].max(initial=0.0)))

    def report(self, log: logging.Logger) -> None:
        """Say which formulas do not hold, and what becomes of their branches."""
        made = {branch for linked in self.tested(self.declaration).linked for branch in linked.formulas}
        for tests in self._tests:
            for branch, test in tests.items():
                if not test.holds and branch in made:
                    log.info("%s: left out, another is in its place", test.sentence())
                elif not test.holds:
                    log.warning("%s: left out, the branch is drawn by itself", test.sentence())

    def tested(self, declaration: ObjectDeclaration) -> ObjectDeclaration:
        """Give a declaration with the same links with the formulas that hold."""
        kept = [
            linked.only([branch for branch, test in tests.items() if test.holds])
            for linked, tests in zip(declaration.linked, self._tests, strict=True)
        ]
        return declaration.model_copy(update={"linked": [linked for linked in kept if linked.formulas]})

    def _bits(self, linked: Linked) -> dict[str, int | None]:
        """Bits of the mantissa by the names of columns."""
        d, needs = self.declaration, linked.needs
        branches = {entry.name: entry.branch for entry in d.event_values() if entry.name in needs.event}
        names = {name: d.branch(name) for name in (*needs.branches, *linked.formulas)}
        names |= {f"to.{name}": f"{linked.to}_{name}" for name in needs.to}
        names |= {f"event.{name}": branch for name, branch in branches.items()}
        schema = load_schema(self.version)
        return {
            key: mantissa_bits(self.version, name) if name in schema else None for key, name in names.items()
        }
