"""Whether a model draws objects of its training again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from benchmarks.verdicts import judged
from flashsim.analysis.statistics.copies import copies, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.fidelity.samples import Sample
    from benchmarks.verdicts import Goal
    from flashsim.models.object_model import ObjectModel

__all__ = ["goal_of_memory", "memorisation"]

MOST, MOST_TRAINING = 20_000, 200_000
"""Rows of the training, and as many others, among which the nearest is looked for; most of the training."""

ASKED = 4_000
"""Rows whose nearest neighbours are looked for."""

LEAST = 50
ALLOWED = 0.01
"""What a share of generated rows may be above that of held-out ones."""

CLOSE = 0.01
"""Share of the held-out rows that count as close to the training."""

_EDGES = np.linspace(-1.0, 1.0, 41)


def memorisation(
    model: ObjectModel, training: Sample, full: Sample, flash: Sample, *, seed: int = 0
) -> dict[str, Any] | None:
    """Ask whether generated objects are closer to rows of the training than held-out ones are.

    Distances are in the columns that the flow draws, standard normal ones. The held-out events are halved:
    objects of one half are asked about, and compared with those of the other, so that no gen object is on
    both sides. Copies of some objects show as generated ones that are close to the training; a flow that
    bends towards its training shows in how many are closer to it than to as many other objects.

    Parameters
    ----------
    model
        The model.
    training
        Objects that it was trained on.
    full, flash
        Held-out objects of the reference, and those that the model draws of the same gen objects.

    Returns
    -------
    Shares and histograms of log10 of the ratio of the two distances; none with too few objects.
    """
    rng = np.random.default_rng(seed)
    first = rng.random(full.events) < 0.5
    reference = _rows(model, full)
    asked = {
        "held out": reference[first[full.matched_event]],
        "generated": _rows(model, flash)[first[flash.matched_event]],
    }
    asked = {name: rng.permutation(rows)[:ASKED] for name, rows in asked.items()}
    others, known = reference[~first[full.matched_event]], rng.permutation(_rows(model, training))
    number = min(len(others), len(known), MOST)
    if min(number, *(len(rows) for rows in asked.values())) < LEAST:
        return None
    others = rng.permutation(others)[:number]
    distances = {name: nearest(rows, known[:MOST_TRAINING])[0] for name, rows in asked.items()}
    limit = float(np.quantile(distances["held out"], CLOSE))
    found: dict[str, Any] = {"rows": number, "training": len(known), "edges": _EDGES.tolist()}
    for name, rows in asked.items():
        measured = copies(rows, known[:number], others)
        ratio = np.clip(np.log10(measured.ratio), _EDGES[0], _EDGES[-1])
        found[name] = {
            "asked": len(rows),
            "close": float(np.mean(distances[name] < limit)),
            "share": measured.share,
            "error": measured.error,
            "histogram": (np.histogram(ratio, _EDGES)[0] / len(ratio)).round(6).tolist(),
        }
    return found


def _rows(model: ObjectModel, sample: Sample) -> NDArray[np.float64]:
    """Columns of the flow of the reconstructed gen objects, shape (M, D).

    Point masses are at their middle: spread as in training, even the same row would be far from itself.
    """
    low, high = model.targets.bounds(sample.matched("targets"), sample.reference)
    least = 1e-6
    normal: NDArray[np.float64] = ndtri(np.clip((low + high) / 2.0, least, 1.0 - least))
    return normal


def goal_of_memory(found: dict[str, Any] | None) -> Goal:
    """Tell whether generated objects are no closer to the training than held-out ones are."""
    goal = f"no closer to rows of the training than held-out objects, within {ALLOWED:.0%} and two errors"
    if found is None:
        return judged(goal, "not measured", None)
    ours, other = found["generated"], found["held out"]
    error = float(np.hypot(ours["error"], other["error"]))
    of_close = float(np.sqrt(2.0 * max(ours["close"], CLOSE) / ours["asked"]))
    text = (
        f"{ours['share']:.3f} ± {ours['error']:.3f} closer to these than to others (held out: "
        f"{other['share']:.3f}); closer than {1.0 - CLOSE:.0%} of those held out: {ours['close']:.1%}"
    )
    bends = ours["share"] - other["share"] > ALLOWED + 2.0 * error
    copied = ours["close"] - CLOSE > ALLOWED + 2.0 * of_close
    return judged(goal, text, not (bends or copied))
