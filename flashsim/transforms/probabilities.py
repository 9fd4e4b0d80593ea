"""Outputs of one network that are ratios of the probabilities of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flashsim.transforms.blocks import Bits, Cells, Column, Environment, Floats, RelationBlock
from flashsim.transforms.rounding import agreement
from flashsim.transforms.values import allowed, stored_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import Probabilities

__all__ = ["ProbabilitiesBlock"]

_SINGULAR = 1e-12
_BISECTIONS = 30


@dataclass(frozen=True)
class ProbabilitiesBlock(RelationBlock):
    """Outputs, of which some are drawn.

    Each output o that is drawn says that the sum of its classes is o times the sum of those that divide it;
    with the sum of all, 1, these are as many linear equations as there are classes.

    Parameters
    ----------
    relation
        Its declaration.
    targets
        The outputs, in the order of the relation.
    """

    relation: Probabilities
    targets: tuple[Target, ...]

    @property
    def _drawn(self) -> list[Target]:
        known = {target.branch: target for target in self.targets}
        return [known[name] for name in self.relation.drawn]

    @property
    def _others(self) -> list[Target]:
        return [target for target in self.targets if target.branch not in self.relation.drawn]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Outputs that are drawn; the first also tells special values, which go to all."""
        first, *more = self._drawn
        head = Column(first.branch, atoms=first.special, dequantise=first.dequantise)
        return (head, *(Column(target.branch, dequantise=target.dequantise) for target in more))

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:
        """Give the outputs that are drawn, as finely as the others tell them."""
        special = self._special(values)
        fine = self._refined(values, bits, special)
        found = []
        for number, target in enumerate(self._drawn):
            stored = np.asarray(values[target.branch], dtype=np.float64)
            value, low, high = fine[target.branch]
            alone = np.isin(stored, target.special)
            if number == 0:
                value, low, high = (np.where(alone, stored, x) for x in (value, low, high))
                found.append(Cells(value, low, high))
            else:
                found.append(Cells(value, low, high, special | alone))
        return found

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:  # noqa: ARG002
        """Compute all outputs."""
        first = allowed(self._drawn[0], drawn[0])
        special = np.isin(first, self._drawn[0].special)
        outputs = {
            target.branch: np.clip(np.where(special, 0.5, column), 0.0, 1.0)
            for target, column in zip(self._drawn, (first, *drawn[1:]), strict=True)
        }
        probabilities, inside = self._probabilities(outputs)
        result = {}
        for target in self.targets:
            ratio = self._ratio(target.branch, probabilities)
            if target.branch in outputs:  # as drawn, wherever there are such probabilities
                ratio = np.where(inside, outputs[target.branch], ratio)
            result[target.branch] = np.where(special, _like(target, first), ratio)
        return result

    def check(self, values: Environment, bits: Bits) -> tuple[NDArray[np.bool_], Floats]:
        """Tell where the other outputs follow from those that are drawn, and by how much they do not."""
        holds, deviation = agreement(self._computed, self._drawn, self._others, values, bits)
        masks = [np.isin(np.asarray(values[t.branch]), t.special) for t in self.targets]
        first = self._special(values)
        together = np.all([mask == first for mask in masks], axis=0)
        return (first | holds) & together, np.where(first, 0.0, deviation)

    def _special(self, values: Environment) -> NDArray[np.bool_]:
        first = self._drawn[0]
        return np.isin(np.asarray(values[first.branch], dtype=np.float64), first.special)

    def _computed(self, values: Environment) -> dict[str, Floats]:
        drawn = {t.branch: np.asarray(values[t.branch], dtype=np.float64) for t in self._drawn}
        probabilities, _ = self._probabilities({n: np.clip(v, 0.0, 1.0) for n, v in drawn.items()})
        return {target.branch: self._ratio(target.branch, probabilities) for target in self._others}

    def _probabilities(self, outputs: dict[str, Floats]) -> tuple[Floats, NDArray[np.bool_]]:
        """Solve for the probabilities, shape (N, M), and tell where there are such."""
        classes = self.relation.classes
        equations = []
        for name, values in outputs.items():
            output = self.relation.outputs[name]
            equations.append([(x in output.of) - values * (x in output.among) for x in classes])
        # The last equation is that of the sum: by Cramer's rule probabilities are as its cofactors.
        cofactors = np.stack(
            [
                (-1.0) ** column * _determinant([row[:column] + row[column + 1 :] for row in equations])
                for column in range(len(classes))
            ],
            axis=1,
        )
        total = cofactors.sum(axis=1)
        singular = np.abs(total) < _SINGULAR
        solved = np.divide(
            cofactors, total[:, None], out=np.full_like(cofactors, 1.0), where=~singular[:, None]
        )
        inside = ~singular & (solved >= -1e-9).all(axis=1)
        positive = np.maximum(solved, 0.0)
        return positive / positive.sum(axis=1, keepdims=True), inside

    def _ratio(self, branch: str, probabilities: Floats) -> Floats:
        output = self.relation.outputs[branch]
        number = {label: index for index, label in enumerate(self.relation.classes)}
        # Sums in a declared order: a row's result depends on nothing else.
        part, whole = (
            sum((probabilities[:, number[label]] for label in labels), np.zeros(len(probabilities)))
            for labels in (output.of, output.among)
        )
        ratio: Floats = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0.0)
        return np.minimum(ratio, 1.0)

    def _refined(
        self, values: Environment, bits: Bits, special: NDArray[np.bool_]
    ) -> dict[str, tuple[Floats, Floats, Floats]]:
        """Find drawn outputs, with their cells, as finely as the others tell them.

        Near 1 a stored output tells little of how much is left, which decides ratios of the rest. Inside the
        cell of such an output, the value is taken at which another output is what is stored.
        """
        state = {}
        for target in self._drawn:
            stored = np.asarray(values[target.branch], dtype=np.float64)
            low, high = stored_cell(target, stored, bits.get(target.branch))
            inside = (np.clip(x, 0.0, 1.0) for x in (stored, low, high))
            state[target.branch] = tuple(np.where(special, stored, x) for x in inside)
        for other in self._others:
            stored = np.asarray(values[other.branch], dtype=np.float64)
            width = np.subtract(*reversed(stored_cell(other, stored, bits.get(other.branch))))
            for target in self._drawn:
                state[target.branch] = self._between(state, target.branch, other.branch, stored, width)
        return state  # type: ignore[return-value]  # tuples of three

    def _between(
        self,
        state: dict[str, tuple[Floats, ...]],
        branch: str,
        other: str,
        wanted: Floats,
        width: Floats,
    ) -> tuple[Floats, ...]:
        """Bisect the cell of one output, where that decides about another."""
        value, low, high = state[branch]
        centre = {name: cell[0] for name, cell in state.items()}

        def of(at: Floats) -> Floats:
            return self._computed({**centre, branch: at})[other]

        at_low, at_high = of(low), of(high)
        decides = np.abs(at_high - at_low) > 2.0 * width
        decides &= (np.minimum(at_low, at_high) <= wanted) & (wanted <= np.maximum(at_low, at_high))
        if not decides.any():
            return value, low, high
        rises = at_high > at_low
        a, b = low.copy(), high.copy()
        for _ in range(_BISECTIONS):
            middle = (a + b) / 2.0
            below = (of(middle) < wanted) == rises
            a, b = np.where(below, middle, a), np.where(below, b, middle)
        found = (a + b) / 2.0
        return tuple(np.where(decides, found, x) for x in (value, low, high))


def _determinant(matrix: list[list[Floats]]) -> Floats:
    """Give the determinants, shape (N,), of small matrices, given as rows of elements of shape (N,)."""
    if len(matrix) == 1:
        return matrix[0][0]
    first, *below = matrix
    found = np.zeros_like(first[0])
    for column, element in enumerate(first):
        minor = _determinant([row[:column] + row[column + 1 :] for row in below])
        found += (-1.0) ** column * element * minor
    return found


def _like(target: Target, special: Floats) -> Floats:
    """Give the special value of a target that goes with one of another."""
    if not target.special:
        return np.zeros(len(special))
    return np.where(np.isin(special, target.special), special, target.special[0])
