"""What single distributions do not show: correlations, contours, tagging, and a classifier's view of all."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.analysis.statistics.classifier import two_sample_test
from flashsim.analysis.statistics.contours import Regions, plane_edges
from flashsim.analysis.statistics.correlations import difference, spearman
from flashsim.analysis.statistics.rates import EventSums, rates
from flashsim.analysis.statistics.residuals import column_groups, columns_for_trees
from flashsim.analysis.statistics.tagging import Scores, efficiency_at, roc, roc_area
from flashsim.analysis.validation.comparison import CANDIDATE, LEAST, REFERENCE, Section, Topic
from flashsim.analysis.validation.lights import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flashsim.analysis.validation.comparison import Comparison
    from flashsim.analysis.validation.recipe import Tagging
    from flashsim.analysis.validation.samples import Sample
    from flashsim.declarations.objects import Target

__all__ = ["classifier", "contours", "correlations", "tagging"]

_SPLITS = 3
_ROC_POINTS = np.logspace(-3.5, 0.0, 60)


def correlations(comparison: Comparison) -> Iterator[Section]:
    """Rank correlations of all pairs of targets, relative to gen, beside those of halves of the reference."""
    targets = comparison.selected.targets
    columns = {
        role: _residual_columns(s.first(comparison.recipe.correlated_objects), targets)
        for role, s in comparison.samples.items()
    }
    if min(len(next(iter(c.values()))) for c in columns.values()) < LEAST:
        return
    names = [target.branch for target in targets]
    matrices = {role: spearman(some) for role, some in columns.items()}
    whole = matrices[REFERENCE]
    chance, spread = _largest_by_chance(columns[REFERENCE])
    differences, compared = {}, {}
    for role in comparison.others:
        compared[role] = difference(whole, matrices[role])
        where = compared[role]["where"]
        pair = ", ".join(names[i] for i in where) if isinstance(where, list) else ""
        size = len(next(iter(columns[role].values())))
        scale = np.sqrt(1.0 / len(columns[REFERENCE][names[0]]) + 1.0 / size)
        largest = float(compared[role]["largest"])  # type: ignore[arg-type]
        differences[role] = [Difference("correlation", largest, spread * scale, chance * scale, pair)]
    anchor = comparison.anchor(Topic.CORRELATIONS)
    data = {
        "targets": names,
        "matrices": {role: matrix.round(4).tolist() for role, matrix in matrices.items()},
        "differences": compared,
    }
    row = comparison.row(Topic.CORRELATIONS, "largest difference of rank correlations", anchor, differences)
    yield Section(Topic.CORRELATIONS, "Spearman's correlations", anchor, data, [row])


def _residual_columns(sample: Sample, targets: Sequence[Target]) -> dict[str, NDArray[np.float64]]:
    columns = {target.branch: sample.residual(target) for target in targets}
    there = np.all([np.isfinite(column) for column in columns.values()], axis=0)
    return {name: column[there] for name, column in columns.items()}


def _largest_by_chance(columns: dict[str, NDArray[np.float64]]) -> tuple[float, float]:
    """Largest difference between halves, and its spread, for samples of one object each."""
    rng, rows = np.random.default_rng(0), len(next(iter(columns.values())))
    found = []
    for _ in range(_SPLITS):
        half = rng.random(rows) < 0.5
        parts = [spearman({n: c[chosen] for n, c in columns.items()}) for chosen in (half, ~half)]
        spread = np.sqrt(1.0 / max(half.sum(), 1) + 1.0 / max((~half).sum(), 1))
        found.append(float(difference(*parts)["largest"]) / spread)  # type: ignore[arg-type]
    return float(np.mean(found)), float(np.std(found))


def contours(comparison: Comparison) -> Iterator[Section]:
    """Shares of samples in the regions that hold given shares of the reference.

    The regions are those of one half of the reference's events, the shares compared with the other half's.
    """
    for branches in comparison.special.pairs:
        pair = [target for target in map(comparison.target, branches) if target is not None]
        if len(pair) < 2:
            continue
        samples = {role: _plane(s, pair) for role, s in comparison.samples.items()}
        if min(len(event) for event, _, _ in samples.values()) < 2 * LEAST:
            continue
        yield _contour(comparison, pair, samples)


def _plane(sample: Sample, pair: list[Target]) -> tuple[Any, Any, Any]:
    """Events and both values, relative to gen, of the reconstructed gen objects."""
    x, y = (sample.residual(target) for target in pair)
    there = np.isfinite(x) & np.isfinite(y)
    return sample.matched_event[there], x[there], y[there]


def _contour(comparison: Comparison, pair: list[Target], samples: dict[str, tuple[Any, Any, Any]]) -> Section:
    levels, (event, x, y) = comparison.recipe.levels, samples[REFERENCE]
    edges = plane_edges(x), plane_edges(y)
    first = np.random.default_rng(0).random(comparison.events)[event] < 0.5
    regions = Regions.of(x[first], y[first], levels, *edges)
    judged = samples | {REFERENCE: (event[~first], x[~first], y[~first])}
    shape = (comparison.events, len(levels))
    sums = {}
    for role, (events, x_judged, y_judged) in judged.items():
        inside = regions.inside(x_judged, y_judged)
        bins = np.repeat(np.arange(len(levels)), inside.shape[1])
        sums[role] = EventSums.of_trials(np.tile(events, len(levels)), bins, inside.ravel(), shape)
    found = rates(sums, REFERENCE)
    differences = {
        role: [
            Difference("contour", abs(float(d)), float(e), where=f"{level:g} contour")
            for level, d, e in zip(levels, found[role].difference, found[role].difference_error, strict=True)
        ]
        for role in comparison.others
    }
    own = {role: Regions.of(x, y, levels, *edges) for role, (_, x, y) in samples.items()}
    title = " and ".join(comparison.branch(t) for t in pair)
    anchor = comparison.anchor(Topic.CONTOURS, *(t.branch for t in pair))
    data = {
        "axes": [f"{t.branch}, relative to gen" if t.reference else t.branch for t in pair],
        "edges": [e.tolist() for e in edges],
        "levels": levels,
        "density": {role: one.density.round(8).tolist() for role, one in own.items()},
        "cuts": {role: one.cuts.round(8).tolist() for role, one in own.items()},
        "shares": {role: rate.value.round(5).tolist() for role, rate in found.items()},
    }
    row = comparison.row(Topic.CONTOURS, title, anchor, differences)
    return Section(Topic.CONTOURS, title, anchor, data, [row])


def tagging(comparison: Comparison) -> Iterator[Section]:
    """ROC curves, and signal efficiencies at fixed mistag rates."""
    recipe = comparison.special.tagging
    target = None if recipe is None else next(filter(None, map(comparison.target, recipe.scores)), None)
    if recipe is None or target is None:
        return
    for background in recipe.backgrounds:
        scores = {
            role: _scores(s, recipe, target.branch, background) for role, s in comparison.samples.items()
        }
        if min(len(part) for one in scores.values() for part in (one.signal, one.background)) < LEAST:
            continue
        mistags = np.array(recipe.mistags)
        found = {role: efficiency_at(one, mistags, comparison.events) for role, one in scores.items()}
        usable = _reachable(scores, mistags)
        reference, error = found[REFERENCE]
        differences = {
            role: [
                Difference("tagging", abs(v), e, where=f"{100 * m:g} % mistag")
                for m, v, e, use in zip(
                    recipe.mistags,
                    found[role][0] - reference,
                    np.hypot(error, found[role][1]),
                    usable,
                    strict=True,
                )
                if use
            ]
            for role in comparison.others
        }
        name = f"{comparison.branch(target)}, {recipe.signal} against {background}"
        anchor = comparison.anchor(Topic.TAGGING, background)
        data = {
            "background": background,
            "mistags": recipe.mistags,
            "curve_mistags": _ROC_POINTS.tolist(),
            "samples": {
                role: {
                    "area": roc_area(one),
                    "signal": len(one.signal),
                    "background": len(one.background),
                    "efficiency": found[role][0].tolist(),
                    "error": found[role][1].tolist(),
                    "curve": roc(one, _ROC_POINTS).round(5).tolist(),
                }
                for role, one in scores.items()
            },
        }
        row = comparison.row(Topic.TAGGING, name, anchor, differences)
        yield Section(Topic.TAGGING, name, anchor, data, [row])


def _reachable(scores: dict[str, Scores], mistags: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether enough background passes at a mistag rate to tell where the cut is."""
    fewest = min(len(one.background) for one in scores.values())
    return np.asarray(mistags * fewest >= 10.0)


def _scores(sample: Sample, recipe: Tagging, score: str, background: str) -> Scores:
    values, truth = sample.matched("reco"), sample.matched("conditioning")
    taken = (values["pt"] > recipe.min_pt) & (np.abs(values["eta"]) < recipe.max_eta)
    taken &= np.isfinite(values[score])
    which = recipe.backgrounds[background]
    if isinstance(which, str):
        is_background = taken & (truth[which] == 1)
    else:
        is_background = taken & np.all([truth[name] == 0 for name in which], axis=0)
    is_signal = taken & (truth[recipe.signal] == 1)
    event, one = sample.matched_event, values[score]
    return Scores(one[is_signal], one[is_background], event[is_signal], event[is_background])


def classifier(comparison: Comparison) -> Iterator[Section]:
    """Whether trees can tell samples apart, and by which targets."""
    targets = comparison.selected.targets
    most = comparison.recipe.classified_objects
    few = {role: sample.first(most) for role, sample in comparison.samples.items()}
    if min(int(sample.found.sum()) for sample in few.values()) < 2 * LEAST:
        return
    columns = {
        role: columns_for_trees(targets, s.matched("conditioning"), s.matched("gen"), s.matched("reco"))
        for role, s in few.items()
    }
    tests = {
        role: two_sample_test(
            columns[REFERENCE],
            columns[role],
            few[REFERENCE].matched_event,
            few[role].matched_event,
            groups=column_groups(targets) if role == CANDIDATE else None,
        )
        for role in comparison.others
    }
    anchor = comparison.anchor(Topic.CLASSIFIER)
    differences = {
        role: [Difference("auc", max(test.auc - 0.5, 0.0), test.error)] for role, test in tests.items()
    }
    data: dict[str, Any] = {role: asdict(test) for role, test in tests.items()}
    data = {"tests": data, "objects": {role: int(s.found.sum()) for role, s in few.items()}}
    row = comparison.row(Topic.CLASSIFIER, "classifier on all targets", anchor, differences)
    yield Section(Topic.CLASSIFIER, "Classifier test", anchor, data, [row])
