"""Corrections of payloads of correctionlib, for whole columns."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.errors import RecipeError
from flashsim.events.expressions import evaluate
from flashsim.transforms.payloads import Product, simple_correction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.declarations.relations import Correction
    from flashsim.transforms.blocks import Environment

    Floats = NDArray[np.float64]

__all__ = ["correction_values"]

_STEPS = 20
_PRECISION = 1e-5
"""Of logarithms of a product: far below what NanoAOD stores of a momentum."""

_LEAST_SLOPE = 0.1
_LONGEST = 1.0
"""Of a step in the logarithm of the input."""

_MOST_SOLUTIONS = 3
_GRID = (-1.1, 1.4, 41)
"""Points of the logarithm of an input over the product, where several solutions are looked for."""

_BISECTIONS = 14


def correction_values(correction: Correction, columns: Environment, rows: int) -> Floats:
    """Compute factors of a correction, shape (S, rows): at its inputs, or at those for which it is solved.

    S is 1, or 3 where up to three solutions are looked for; those that are not there are NaN, and so is all
    of inputs that are not finite, or of a product that is not positive.
    """
    applied = _correction(correction.payload, correction.name)
    inputs = {name: evaluate(text, columns, rows) for name, text in correction.inputs.items()}
    good = np.all([np.isfinite(column) for column in inputs.values()], axis=0)
    if (solve := correction.solve) is None:
        found = np.full((1, rows), np.nan)
        found[0, good] = _applied(applied, {name: column[good] for name, column in inputs.items()})
        return found
    product = evaluate(solve.product, columns, rows)
    good &= np.isfinite(product) & (product > 0.0)
    several = np.zeros(rows, dtype=bool)
    if solve.several is not None:
        several = good & (evaluate(solve.several, columns, rows) != 0.0)
    found = np.full((1 if solve.several is None else _MOST_SOLUTIONS, rows), np.nan)
    for mask, solver in ((good & ~several, _solved), (several, _all_solved)):
        if mask.any():
            given = {name: column[mask] for name, column in inputs.items()}
            factors = solver(applied, given, solve.input, product[mask])
            found[: len(factors), mask] = factors
    return found


def _solved(applied: Any, inputs: dict[str, Floats], name: str, product: Floats) -> Floats:
    """Factor, shape (1, N), at the input that it brings to `product`, by secants on logarithms.

    Only rows that have not converged are computed again, so that each depends on itself alone.
    """
    wanted = np.log(product)
    at = wanted.copy()
    factor = _applied(applied, inputs | {name: product})
    wrong = at + _log(factor) - wanted
    step = np.clip(-wrong, -_LONGEST, _LONGEST)
    rows = np.flatnonzero(np.abs(wrong) > _PRECISION)
    for _ in range(_STEPS):
        if len(rows) == 0:
            break
        some = {key: column[rows] for key, column in inputs.items()}
        moved = at[rows] + step[rows]
        now = moved + _log(_applied(applied, some | {name: np.exp(moved)})) - wanted[rows]
        slope = (now - wrong[rows]) / step[rows]
        # Where corrections make steps or fall, a plain step is safer than a secant.
        step[rows] = np.clip(-now / np.where(slope > _LEAST_SLOPE, slope, 1.0), -_LONGEST, _LONGEST)
        at[rows], wrong[rows] = moved, now
        rows = rows[np.abs(now) > _PRECISION]
    # The input, not the correction there, decides: their product is what was asked for.
    return (product / np.exp(at))[None]


def _all_solved(applied: Any, inputs: dict[str, Floats], name: str, product: Floats) -> Floats:
    """Factors, shape (3, N), at the inputs that they bring to `product`, by rising input.

    Signs on a grid tell between which of its points there are solutions, which bisections then find.
    """
    grid = np.log(product) + np.linspace(*_GRID)[:, None]
    wrong = np.stack([_wrong(applied, inputs, name, product, at) for at in grid])
    crosses = (wrong[:-1] < 0.0) != (wrong[1:] < 0.0)
    found = np.full((_MOST_SOLUTIONS, len(product)), np.nan)
    which = np.cumsum(crosses, axis=0) - 1
    for cell, row in zip(*np.nonzero(crosses & (which < _MOST_SOLUTIONS)), strict=True):
        found[which[cell, row], row] = cell
    solution, rows = np.nonzero(np.isfinite(found))
    cells = found[solution, rows].astype(np.int64)
    low, high = grid[cells, rows], grid[cells + 1, rows]
    rises = wrong[cells, rows] < 0.0
    some = {key: column[rows] for key, column in inputs.items()}
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        below = (_wrong(applied, some, name, product[rows], middle) < 0.0) == rises
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found[solution, rows] = product[rows] / np.exp((low + high) / 2.0)
    if len(missing := np.flatnonzero(~crosses.any(axis=0))):
        given = {key: column[missing] for key, column in inputs.items()}
        found[0, missing] = _solved(applied, given, name, product[missing])[0]
    return found


def _wrong(applied: Any, inputs: dict[str, Floats], name: str, product: Floats, at: Floats) -> Floats:
    """Logarithm of what the input exp(at) is after the correction, over the product."""
    return at + _log(_applied(applied, inputs | {name: np.exp(at)})) - np.log(product)


def _log(factor: Floats) -> Floats:
    return np.log(np.maximum(factor, 1e-6))


def _applied(applied: Any, inputs: dict[str, Floats]) -> Floats:
    if isinstance(applied, Product):
        return applied.values(inputs, len(next(iter(inputs.values()))))
    columns = [
        inputs[i.name].astype(np.int64) if i.type == "int" else np.ascontiguousarray(inputs[i.name])
        for i in applied.inputs
    ]
    return np.asarray(applied.evaluate(*columns), dtype=np.float64)


@cache
def _correction(payload: str, name: str) -> Any:
    """Read the correction, or compound correction, of a name."""
    if (simple := simple_correction(payload, name)) is not None:
        return simple
    import correctionlib  # noqa: PLC0415  # most models need none of its kinds

    try:
        content = correctionlib.CorrectionSet.from_string(payload)
        return content.compound[name] if name in content.compound else content[name]
    except (RuntimeError, IndexError, KeyError, ValueError) as error:
        msg = f"the correction '{name}' cannot be read from its payload ({error})"
        raise RecipeError(msg) from error
