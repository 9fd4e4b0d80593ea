"""Reconstructed values relative to those of the gen object, and the columns that a classifier sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flashsim.transforms.response import Ratio, Relation, response_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.declarations.objects import Target

__all__ = ["column_groups", "columns_for_trees", "compared_field", "residual", "residual_relation"]

Floats = NDArray[np.float64]


def residual_relation(target: Target) -> Relation:
    """Relation of a target to gen, but a plain ratio where values begin at a threshold."""
    return Ratio(floor=target.floor) if target.threshold is not None else response_of(target)


def compared_field(target: Target) -> str | None:
    """Field of the gen object that a target compares with, if there is one."""
    same = target.branch in target.needs.gen
    return target.branch if target.reference is None and same else target.reference


def residual(target: Target, values: Floats, gen: Mapping[str, Floats]) -> Floats:
    """Value relative to the gen object, shape (N,): what a spectrum would hide."""
    if (field := compared_field(target)) is None:
        return values
    return residual_relation(target).forward(values, gen[field])


def columns_for_trees(
    targets: Sequence[Target],
    conditioning: Mapping[str, Floats],
    gen: Mapping[str, Floats],
    values: Mapping[str, Floats],
) -> dict[str, Floats]:
    """Conditioning and targets, the latter relative to gen, too.

    Trees cut on one column at a time: a resolution of a few per cent drowns in a spectrum. All of shape (M,).
    """
    found = {f"conditioning.{name}": column for name, column in conditioning.items()}
    for target in targets:
        found[f"target.{target.branch}"] = residual(target, values[target.branch], gen)
        if compared_field(target) is not None:
            found[f"value.{target.branch}"] = values[target.branch]
    return found


def column_groups(targets: Sequence[Target]) -> dict[str, list[str]]:
    """Columns of each target: what must be shuffled together to take the target away."""
    return {
        t.branch: [f"target.{t.branch}", *([f"value.{t.branch}"] if compared_field(t) is not None else [])]
        for t in targets
    }
