"""Distances, correlations, a classifier, tagging and sums of probabilities: fast and refined against full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from flashsim.analysis.statistics.classifier import two_sample_test
from flashsim.analysis.statistics.correlations import difference, spearman
from flashsim.analysis.statistics.distances import Drawn, floor, separations, split_floor
from flashsim.analysis.statistics.tagging import Scores, efficiency_at, roc
from flashsim.analysis.validation.comparison import CANDIDATE, REFERENCE, THIRD
from flashsim.analysis.validation.distributions import histogram
from flashsim.refinement.losses import deepjet_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from benchmarks.refinement.compared import Compared

__all__ = ["ROLES", "judge"]

ROLES = {REFERENCE: "full", CANDIDATE: "refined", THIRD: "fast"}
"""Which sample has which part in the figures of validation."""

_MISTAGS = np.array([0.001, 0.01, 0.1])
_CURVE = np.logspace(-3.5, 0.0, 71)
_LEAST = 200
"""Fewest objects of a group that is compared."""
_CLASSIFIED = 40_000
"""Objects of each sample that trees are trained on and tested by, about; of whole events."""


def judge(objects: Compared) -> dict[str, Any]:
    """Compare fast and refined objects with the full simulation; gives JSON content."""
    return {
        "objects": len(objects.gen),
        "events": objects.events,
        "draws": objects.draws,
        "undefined": {name: 1.0 - float(np.mean(objects.defined(name))) for name in objects.samples},
        "distances": _distances(objects),
        "correlations": _correlations(objects),
        "classifier": _classifier(objects),
        "tagging": _tagging(objects),
        "sums": _sums(objects),
        "panels": _panels(objects),
    }


def _drawn(objects: Compared, name: str, column: int, chosen: NDArray[np.bool_]) -> Drawn:
    return Drawn(objects.samples[name][chosen, column].astype(np.float64), objects.event[chosen])


def _valued(objects: Compared, name: str, column: int, chosen: NDArray[np.bool_]) -> Drawn:
    """Objects that have a value: those that have none are left alone by refinement, and counted."""
    return _drawn(objects, name, column, chosen & objects.has_value(name, column))


def _groups(objects: Compared) -> dict[str, NDArray[np.bool_]]:
    return {group: rows for group, rows in objects.groups().items() if np.count_nonzero(rows) >= _LEAST}


def _distances(objects: Compared) -> list[dict[str, Any]]:
    """Wasserstein distances of every variable, overall and by group, with what equal samples have."""
    rows = []
    for column, variable in enumerate(objects.recipe.branches):
        for group, chosen in _groups(objects).items():
            full, *others = (_valued(objects, name, column, chosen) for name in ("full", "fast", "refined"))
            found = separations(
                full, dict(zip(("fast", "refined"), others, strict=True)), objects.events, discrete=False
            )
            fast, refined = (found[name].wasserstein for name in ("fast", "refined"))
            rows.append(
                {
                    "variable": variable,
                    "group": group,
                    "objects": int(np.count_nonzero(chosen)),
                    "fast": fast.value,
                    "fast_error": fast.error,
                    "refined": refined.value,
                    "refined_error": refined.error,
                    "floor": _floor(objects, column, chosen),
                    "factor": fast.value / refined.value,
                }
            )
    return rows


def _floor(objects: Compared, column: int, chosen: NDArray[np.bool_]) -> float:
    """Distance that a perfect refinement would have: of two draws of the full simulation.

    All draws together are compared, whose distance is smaller by the root of their number. A single draw is
    cut into halves.
    """
    if objects.draws == 1:
        full = _valued(objects, "full", column, chosen)
        found, _ = split_floor(full, {"": len(full.values)}, objects.events, discrete=False)[""]
        return found.value
    one, two = (_valued(objects, "full", column, chosen & (objects.draw == k)) for k in (0, 1))
    return floor(one, two, objects.events, discrete=False).value / float(np.sqrt(objects.draws))


def _correlations(objects: Compared) -> dict[str, Any]:
    """Pearson's and Spearman's coefficients of variables and gen fields, where all variables are defined."""
    names = [*objects.recipe.branches, *(f"gen {field}" for field in objects.recipe.gen_fields)]
    kinds: dict[str, Callable[[Mapping[str, NDArray[np.float64]]], NDArray[np.float64]]] = {
        "pearson": lambda columns: np.corrcoef(np.stack(list(columns.values()))),
        "spearman": spearman,
    }
    found: dict[str, Any] = {"targets": names}
    for kind, coefficients in kinds.items():
        matrices = {}
        for role, name in ROLES.items():
            rows = np.hstack((objects.samples[name], objects.gen))[objects.defined(name)]
            matrices[role] = coefficients(dict(zip(names, rows.T.astype(np.float64), strict=True)))
        found[kind] = {
            "matrices": {role: matrix.tolist() for role, matrix in matrices.items()},
            **{ROLES[r]: difference(matrices[REFERENCE], matrices[r]) for r in (CANDIDATE, THIRD)},
        }
    return found


def _classifier(objects: Compared) -> dict[str, Any]:
    """AUC of trees that see variables and gen fields, against the full simulation."""
    # Numbers of events follow their hashes, so the first ones are a random choice.
    some = objects.event < objects.events * _CLASSIFIED / len(objects.event)

    def columns(name: str) -> dict[str, NDArray[np.float64]]:
        values = np.hstack((objects.samples[name], objects.gen))[some].astype(np.float64)
        names = [*objects.recipe.branches, *(f"gen.{f}" for f in objects.recipe.gen_fields)]
        return dict(zip(names, values.T, strict=True))

    groups = {branch: [branch] for branch in objects.recipe.branches}
    found = {}
    for role in (CANDIDATE, THIRD):
        name = ROLES[role]
        test = two_sample_test(
            columns("full"), columns(name), objects.event[some], objects.event[some], groups=groups
        )
        found[name] = {"auc": test.auc, "error": test.error, "importance": test.importance}
    return found


def _tagging(objects: Compared) -> dict[str, Any]:
    """Efficiency of b jets by B, of c jets by c against light, at mistag rates of light jets."""
    names = objects.recipe.deepjet
    if names is None or objects.recipe.groups is None:
        return {}
    groups = objects.groups()
    found: dict[str, Any] = {}
    for signal, branch in (("5", names.b), ("4", names.c_against_light)):
        samples = {}
        for role, name in ROLES.items():
            column = objects.recipe.branches.index(branch)
            one, other = (_drawn(objects, name, column, groups[group]) for group in (signal, "0"))
            scores = Scores(one.values, other.values, one.event, other.event)
            efficiency, error = efficiency_at(scores, _MISTAGS, objects.events)
            samples[role] = {
                "efficiency": efficiency.tolist(),
                "error": error.tolist(),
                "curve": roc(scores, _CURVE).tolist(),
            }
        found[branch] = {
            "background": "light jets",
            "mistags": _MISTAGS.tolist(),
            "curve_mistags": _CURVE.tolist(),
            "samples": samples,
        }
    return found


def _sums(objects: Compared) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of the sum of DeepJet's probabilities."""
    names = objects.recipe.deepjet
    if names is None:
        return {}
    at = [objects.recipe.branches.index(n) for n in (names.b, names.c_against_b, names.c_against_light)]
    found = {}
    for name, values in objects.samples.items():
        columns = torch.from_numpy(values[objects.defined(name)][:, at].astype(np.float64)).T
        sums = deepjet_sum(*columns)
        error = float(sums.std()) / float(np.sqrt(len(sums)))
        found[name] = {"mean": float(sums.mean()), "error": error, "deviation": float(sums.std())}
    return found


def _panels(objects: Compared) -> list[dict[str, Any]]:
    """Histograms of every variable."""
    all_rows = objects.groups()["all"]
    return [
        histogram(
            branch,
            {role: _valued(objects, name, column, all_rows) for role, name in ROLES.items()},
            discrete=False,
        )
        for column, branch in enumerate(objects.recipe.branches)
    ]
