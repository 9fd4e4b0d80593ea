"""Columns that the classifier sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.fidelity.samples import residual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.fidelity.samples import Columns
    from flashsim.objects import Target

__all__ = ["column_groups", "columns_for_trees"]


def columns_for_trees(
    targets: Sequence[Target], conditioning: Columns, gen: Columns, values: Columns
) -> Columns:
    """Conditioning and targets, the latter relative to gen, too.

    Trees cut on one column at a time: a resolution of a few per cent drowns in a spectrum. All of shape (M,).
    """
    found = {f"conditioning.{name}": column for name, column in conditioning.items()}
    for target in targets:
        found[f"target.{target.branch}"] = residual(target, values[target.branch], gen)
        if target.reference is not None:
            found[f"value.{target.branch}"] = values[target.branch]
    return found


def column_groups(targets: Sequence[Target]) -> dict[str, list[str]]:
    """Columns of each target: what must be shuffled together to take the target away."""
    return {
        t.branch: [f"target.{t.branch}", *([f"value.{t.branch}"] if t.reference is not None else [])]
        for t in targets
    }
