"""Corrections of payloads of correctionlib, for whole columns."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.errors import RecipeError
from flashsim.transforms.expressions import evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.declarations.relations import Correction
    from flashsim.transforms.blocks import Environment

    Floats = NDArray[np.float64]

__all__ = ["correction_values"]

_STEPS = 20
_PRECISION = 1e-7
_LONGEST = 1.0
"""Of a step in the logarithm of the input."""


def correction_values(correction: Correction, columns: Environment, rows: int) -> Floats:
    """Compute the factor of a correction, shape (rows,), at its inputs, or at those for which it is solved.

    Inputs that are not finite, or not positive where one is solved for, give NaN.
    """
    applied = _correction(correction.payload, correction.name)
    inputs = {name: evaluate(text, columns, rows) for name, text in correction.inputs.items()}
    good = np.all([np.isfinite(column) for column in inputs.values()], axis=0)
    found = np.full(rows, np.nan)
    if correction.solve is None:
        found[good] = _applied(applied, {name: column[good] for name, column in inputs.items()})
        return found
    product = evaluate(correction.solve.product, columns, rows)
    good &= np.isfinite(product) & (product > 0.0)
    given = {name: column[good] for name, column in inputs.items()}
    found[good] = _solved(applied, given, correction.solve.input, product[good])
    return found


def _solved(applied: Any, inputs: dict[str, Floats], name: str, product: Floats) -> Floats:
    """Factor at the input that the factor brings to `product`, by secants on logarithms.

    Only rows that have not converged are computed again, so that each depends on itself alone.
    """
    wanted = np.log(product)
    at = wanted.copy()
    factor = _applied(applied, inputs | {name: product})
    wrong = at + _log(factor) - wanted
    before, wrong_before = at, wrong
    step = np.clip(-wrong, -_LONGEST, _LONGEST)
    open_rows = np.flatnonzero(np.abs(wrong) > _PRECISION)
    for _ in range(_STEPS):
        if len(open_rows) == 0:
            break
        before, wrong_before = at.copy(), wrong.copy()
        at[open_rows] += step[open_rows]
        some = {key: column[open_rows] for key, column in inputs.items()}
        factor[open_rows] = _applied(applied, some | {name: np.exp(at[open_rows])})
        wrong[open_rows] = at[open_rows] + _log(factor[open_rows]) - wanted[open_rows]
        change = wrong - wrong_before
        slope = np.divide(change, at - before, out=np.ones_like(change), where=at != before)
        # Where corrections make steps or fall, a plain step is safer than a secant.
        step = np.clip(-wrong / np.where(slope > 0.1, slope, 1.0), -_LONGEST, _LONGEST)
        open_rows = open_rows[np.abs(wrong[open_rows]) > _PRECISION]
    # The input, not the correction there, decides: their product is what was asked for.
    return product / np.exp(at)


def _log(factor: Floats) -> Floats:
    return np.log(np.maximum(factor, 1e-6))


def _applied(applied: Any, inputs: dict[str, Floats]) -> Floats:
    columns = [
        inputs[i.name].astype(np.int64) if i.type == "int" else np.ascontiguousarray(inputs[i.name])
        for i in applied.inputs
    ]
    return np.asarray(applied.evaluate(*columns), dtype=np.float64)


@cache
def _correction(payload: str, name: str) -> Any:
    """Read the correction, or compound correction, of a name."""
    import correctionlib  # noqa: PLC0415  # most models have no corrections

    try:
        content = correctionlib.CorrectionSet.from_string(payload)
        return content.compound[name] if name in content.compound else content[name]
    except (RuntimeError, IndexError, KeyError, ValueError) as error:
        msg = f"the correction '{name}' cannot be read from its payload ({error})"
        raise RecipeError(msg) from error
