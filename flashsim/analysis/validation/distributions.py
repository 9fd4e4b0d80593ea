"""Distributions of every target: histograms, and the distances of samples from the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.analysis.statistics.distances import separations, split_floor
from flashsim.analysis.validation.comparison import LEAST, REFERENCE, Section, Topic
from flashsim.analysis.validation.lights import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from flashsim.analysis.statistics.distances import Drawn
    from flashsim.analysis.validation.comparison import Comparison
    from flashsim.analysis.validation.lights import Row
    from flashsim.declarations.objects import Target

__all__ = ["distributions", "histogram"]

_BINS = 40
_MOST_WHOLE = 80
"""Most bins of width one."""


def distributions(comparison: Comparison) -> Iterator[Section]:
    """Every target of all reconstructed objects, and relative to gen where it has a relation."""
    for target in comparison.selected.targets:
        title = comparison.branch(target)
        anchor = comparison.anchor(target.branch)
        drawn = {"all objects": comparison.values(target)}
        if target.reference is not None:
            drawn["matched, relative to gen"] = comparison.residuals(target)
        panels, rows = [], []
        for what, samples in drawn.items():
            if min(len(one.values) for one in samples.values()) < LEAST:
                rows.append(
                    comparison.row(
                        Topic.DISTRIBUTIONS, title, anchor, {role: [] for role in comparison.others}
                    )
                )
                continue
            panels.append(histogram(what, samples, discrete=target.is_discrete))
            name = title if what == "all objects" else f"{title} {what.rpartition(', ')[2]}"
            rows.append(_row(comparison, target, name, anchor, samples))
        data = {"description": target.description, "panels": panels}
        yield Section(Topic.DISTRIBUTIONS, title, anchor, data, rows)


def histogram(what: str, samples: Mapping[str, Drawn], *, discrete: bool) -> dict[str, Any]:
    """Count in bins that cover the reference but for its outermost 0.2 % on either side."""
    edges = _edges(samples[REFERENCE].values, discrete=discrete)
    return {
        "name": what,
        "edges": edges.tolist(),
        "counts": {role: np.histogram(one.values, edges)[0].tolist() for role, one in samples.items()},
        "totals": {role: len(one.values) for role, one in samples.items()},
    }


def _row(comparison: Comparison, target: Target, name: str, anchor: str, samples: Mapping[str, Drawn]) -> Row:
    reference = samples[REFERENCE]
    others = {role: one for role, one in samples.items() if role != REFERENCE}
    sizes = {role: len(one.values) for role, one in others.items()}
    found = separations(reference, others, comparison.events, discrete=target.is_discrete)
    floors = split_floor(reference, sizes, comparison.events, discrete=target.is_discrete)
    differences = {}
    for role, one in found.items():
        w1, ks = floors[role]
        differences[role] = [
            Difference("wasserstein", one.wasserstein.value, one.wasserstein.error, w1.value),
            Difference("ks", one.ks, one.ks_error, ks.value),
        ]
    return comparison.row(Topic.DISTRIBUTIONS, name, anchor, differences)


def _edges(values: NDArray[np.float64], *, discrete: bool) -> NDArray[np.float64]:
    low, high = (float(q) for q in np.quantile(values, [0.002, 0.998]))
    if discrete and high - low < _MOST_WHOLE:
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    margin = 0.02 * (high - low) if high > low else 0.5
    return np.linspace(low - margin, high + margin, _BINS + 1)
