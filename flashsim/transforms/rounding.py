"""How far the rounding of stored values carries what is computed from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.transforms.values import stored_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target
    from flashsim.transforms.blocks import Bits, Environment

    Floats = NDArray[np.float64]
    Made = Mapping[str, Floats]

__all__ = ["agreement"]

_SLACK = 1.25
"""Times what a function of several values can move to first order."""

_RELATIVE = 2e-5
"""Share of a value that single precision and solvers may take."""


def agreement(
    compute: Callable[[Environment], Made],
    inputs: Sequence[Target],
    outputs: Sequence[Target],
    values: Environment,
    bits: Bits,
    *,
    within: float = 0.0,
) -> tuple[NDArray[np.bool_], Floats]:
    """Tell where stored values are what is computed from stored inputs, within the rounding of all.

    Parameters
    ----------
    compute
        Outputs by branch, shape (N,) each, of columns.
    inputs
        Targets among the columns that are rounded.
    outputs
        Targets that are compared.
    values
        Stored values, shape (N,) by name.
    bits
        Bits of the mantissa by branch.
    within
        Deviation that counts as rounding besides, in the unit of the outputs.

    Returns
    -------
    Where all outputs agree, and the largest deviation, shape (N,) each.
    """
    found = compute(values)
    moved = {target.branch: np.zeros(len(found[target.branch])) for target in outputs}
    for target in inputs:
        stored = np.asarray(values[target.branch], dtype=np.float64)
        ends = stored_cell(target, stored, bits.get(target.branch))
        shifted = [compute({**values, target.branch: end}) for end in ends]
        for name, total in [*moved.items()]:
            moved[name] = total + np.max([np.abs(made[name] - found[name]) for made in shifted], axis=0)
    rows = len(next(iter(values.values())))
    holds, largest = np.ones(rows, dtype=bool), np.zeros(rows)
    for target in outputs:
        stored = np.asarray(values[target.branch], dtype=np.float64)
        low, high = stored_cell(target, stored, bits.get(target.branch))
        deviation = np.abs(found[target.branch] - stored)
        half = np.maximum(high - stored, stored - low)
        tolerance = within + _SLACK * (moved[target.branch] + half)
        tolerance += _RELATIVE * np.maximum(np.abs(stored), 1e-3)
        holds = holds & (deviation <= tolerance)
        largest = np.maximum(largest, deviation)
    return holds, largest
