"""Predicted against observed efficiencies."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from flashsim.declarations.conditioning import Categories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from benchmarks.fidelity.observables import Observables
    from benchmarks.fidelity.samples import Sample
    from flashsim.models.object_model import ObjectModel

__all__ = ["FEWEST", "efficiency_in_bins", "predicted", "reliability", "reliability_table"]

FEWEST = 1000
"""Gen objects of a bin in which the efficiency must close."""
_PROBABILITIES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


def predicted(model: ObjectModel, sample: Sample) -> NDArray[np.float64]:
    """Probability of each gen object to be reconstructed, shape (N,), as generation computes it."""
    if model.efficiency is None:
        return np.ones(len(sample))
    logit = model.efficiency.logits(model.conditioning.encode(sample.conditioning))
    probability: NDArray[np.float64] = expit(logit)[:, 0]
    return probability


def reliability(probability: NDArray[np.float64], found: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Compare predicted with observed efficiencies in bins of the prediction.

    Parameters
    ----------
    probability
        Predictions, shape (N,).
    found
        Whether the objects were reconstructed, shape (D, N), in each of D draws.

    Returns
    -------
    A row a bin: its limits, objects of all draws, mean prediction, observed share, and the binomial error
    that the predictions give.
    """
    rows = []
    for number, (low, high) in enumerate(pairwise(_PROBABILITIES)):
        last = number == len(_PROBABILITIES) - 2
        inside = (probability >= low) & ((probability <= high) if last else (probability < high))
        if inside.any():
            rows.append({"low": low, "high": high, **_closeness(probability[inside], found[:, inside])})
    return rows


def _closeness(probability: NDArray[np.float64], found: NDArray[np.bool_]) -> dict[str, float]:
    trials = found.size
    return {
        "objects": trials,
        "predicted": float(probability.mean()),
        "observed": float(found.mean()),
        "error": float(np.sqrt(len(found) * np.sum(probability * (1.0 - probability))) / trials),
    }


def efficiency_in_bins(
    model: ObjectModel, sample: Sample, found: NDArray[np.bool_], observables: Observables
) -> list[dict[str, Any]]:
    """Compare predicted and observed efficiencies in bins of gen pT, |eta| and the first declared label.

    Bins with fewer than `FEWEST` gen objects are left out.
    """
    probability = predicted(model, sample)
    labels = next((e for e in model.declaration.conditioning if isinstance(e, Categories)), None)
    names = [] if labels is None else list(labels.columns())
    flags = {name: sample.conditioning[name] == 1.0 for name in names}
    flags["other" if names else "all"] = ~np.any([np.zeros(len(sample), bool), *flags.values()], axis=0)
    pt, eta = sample.gen["pt"], np.abs(sample.gen["eta"])
    rows = []
    bins = product(pairwise(observables.pt_edges), pairwise(observables.eta_edges), flags.items())
    for (low, high), (inner, outer), (label, flag) in bins:
        inside = flag & (pt >= low) & (pt < high) & (eta >= inner) & (eta < outer)
        if np.count_nonzero(inside) >= FEWEST:
            closeness = _closeness(probability[inside], found[:, inside])
            draws = found[:, inside].mean(axis=1)
            place = {"pt": [low, high], "|eta|": [inner, outer], "label": label}
            rows.append({**place, **closeness, "draws": draws.tolist()})
    return rows


def reliability_table(rows: Sequence[Mapping[str, float]]) -> str:
    """Markdown table of a `reliability`."""
    lines = [
        "| predicted | gen objects | mean prediction | observed | pull |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        pull = (row["observed"] - row["predicted"]) / max(row["error"], 1e-12)
        lines.append(
            f"| {row['low']:g} to {row['high']:g} | {row['objects']:,} | {row['predicted']:.4f} "
            f"| {row['observed']:.4f} ± {row['error']:.4f} | {pull:+.1f} σ |"
        )
    return "\n".join(lines)
