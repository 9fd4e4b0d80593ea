"""Response, efficiency, objects without a gen object, and numbers per event."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.analysis.statistics.distances import Drawn
from flashsim.analysis.statistics.rates import EventSums, rates
from flashsim.analysis.statistics.response import responses, slices
from flashsim.analysis.validation.comparison import LEAST, REFERENCE, Section, Topic, bins_of, label_of_bin
from flashsim.analysis.validation.distributions import histogram
from flashsim.analysis.validation.lights import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from flashsim.analysis.statistics.rates import Rate
    from flashsim.analysis.validation.comparison import Comparison
    from flashsim.analysis.validation.samples import Sample

__all__ = ["efficiencies", "numbers", "response", "unmatched"]

_Binned = dict[str, "tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]"]
"""By role: event, value of the binned quantity, and whether it passed, of each trial."""


def response(comparison: Comparison) -> Iterator[Section]:
    """Median and width of values relative to gen, in slices of the gen objects."""
    categories = [
        column
        for entry in comparison.selected.conditioning
        if entry.kind == "categories"
        for column in entry.columns()
    ]
    wanted = slices({"pt": comparison.recipe.pt_edges, "|eta|": comparison.recipe.eta_edges}, categories)
    for branch in comparison.special.response:
        target = comparison.target(branch)
        if target is None or target.reference is None:
            continue
        samples = {
            role: (s.residual(target), _gen_columns(s, categories)) for role, s in comparison.samples.items()
        }
        bins = responses(samples, wanted, REFERENCE)
        if not bins:
            continue
        name, anchor = comparison.branch(target), comparison.anchor(Topic.RESPONSE, branch)
        found = {
            role: [one for row in bins for one in _response_differences(row, role)]
            for role in comparison.others
        }
        rows = [comparison.row(Topic.RESPONSE, f"{name} response", anchor, found)]
        yield Section(Topic.RESPONSE, name, anchor, {"relation": target.relation, "bins": bins}, rows)


def _gen_columns(sample: Sample, categories: list[str]) -> dict[str, NDArray[np.float64]]:
    gen, conditioning = sample.matched("gen"), sample.matched("conditioning")
    return {name: conditioning[name] for name in categories} | {"pt": gen["pt"], "|eta|": np.abs(gen["eta"])}


def _response_differences(row: dict[str, Any], role: str) -> list[Difference]:
    ours, other = row[REFERENCE], row[role]
    width = ours["width"]
    if width <= 0.0:
        return []
    name = (
        row["column"] if row["high"] is None else f"{row['column']} {label_of_bin(row['low'], row['high'])}"
    )
    median, spread = (np.hypot(ours[f"{k}_error"], other[f"{k}_error"]) / width for k in ("median", "width"))
    shift = abs(other["median"] - ours["median"]) / width
    return [
        Difference("median", shift, float(median), where=name),
        Difference("width", abs(other["width"] / width - 1.0), float(spread), where=name),
    ]


def efficiencies(comparison: Comparison) -> Iterator[Section]:
    """Shares of gen objects that were reconstructed, by gen pT and the magnitude of gen eta."""

    def trials(of: Callable[[Sample], NDArray[np.float64]]) -> _Binned:
        return {role: (s.events[s.gen_event], of(s), s.found) for role, s in comparison.samples.items()}

    quantities = {
        "gen pT [GeV]": (trials(lambda s: s.gen["pt"]), comparison.recipe.pt_edges),
        "|gen eta|": (trials(lambda s: np.abs(s.gen["eta"])), comparison.recipe.eta_edges),
    }
    yield _shares(comparison, Topic.EFFICIENCY, "efficiency", quantities)


def unmatched(comparison: Comparison) -> Iterator[Section]:
    """Shares of reconstructed objects without a gen object, by pT and the magnitude of eta."""

    def trials(of: Callable[[Sample], NDArray[np.float64]]) -> _Binned:
        return {role: (s.events[s.reco_event], of(s), s.unmatched) for role, s in comparison.samples.items()}

    quantities = {
        "pT [GeV]": (trials(lambda s: s.reco["pt"]), comparison.recipe.pt_edges),
        "|eta|": (trials(lambda s: np.abs(s.reco["eta"])), comparison.recipe.eta_edges),
    }
    yield _shares(comparison, Topic.UNMATCHED, "unmatched", quantities)


def _shares(
    comparison: Comparison, topic: Topic, kind: str, quantities: Mapping[str, tuple[_Binned, list[float]]]
) -> Section:
    anchor, panels = comparison.anchor(topic), []
    differences: dict[str, list[Difference]] = {role: [] for role in comparison.others}
    for quantity, (samples, edges) in quantities.items():
        shape = (comparison.events, len(edges) - 1)
        found = rates(
            {
                role: EventSums.of_trials(event, bins_of(values, edges), passed, shape)
                for role, (event, values, passed) in samples.items()
            },
            REFERENCE,
        )
        labels = [label_of_bin(low, high) for low, high in pairwise(edges)]
        few = found[REFERENCE].trials < LEAST
        where = [f"{quantity} {name}" for name in labels]
        for role, collected in differences.items():
            collected.extend(_rate_differences(kind, found[role], where, few))
        panels.append({"name": quantity, "labels": labels, "rates": _rates_json(found)})
    row = comparison.row(topic, topic, anchor, differences)
    return Section(topic, topic, anchor, {"panels": panels}, [row])


def numbers(comparison: Comparison) -> Iterator[Section]:
    """Objects above pT thresholds, and objects without a gen object, per event."""
    counts = {role: _counts(s, comparison.recipe.count_thresholds) for role, s in comparison.samples.items()}
    panels = []
    for what in counts[REFERENCE]:
        drawn = {
            role: Drawn(some[what].astype(np.float64), np.arange(len(some[what])))
            for role, some in counts.items()
        }
        panels.append(histogram(what, drawn, discrete=True))
    names = list(counts[REFERENCE])
    shape = (comparison.events, len(names))
    sums = {}
    for role, sample in comparison.samples.items():
        present = np.bincount(sample.events, minlength=comparison.events)
        event = np.concatenate([np.repeat(sample.events, counts[role][name]) for name in names])
        bins = np.repeat(np.arange(len(names)), [int(counts[role][name].sum()) for name in names])
        sums[role] = EventSums.per_event(event, bins, present, shape)
    found, anchor = rates(sums, REFERENCE), comparison.anchor(Topic.NUMBERS)
    scale = found[REFERENCE].value
    differences = {
        role: [
            Difference("number", abs(d) / m, e / m, where=name)
            for d, e, m, name in zip(
                found[role].difference, found[role].difference_error, scale, names, strict=True
            )
            if m > 0.0
        ]
        for role in comparison.others
    }
    data = {"panels": panels, "names": names, "means": _rates_json(found)}
    row = comparison.row(Topic.NUMBERS, Topic.NUMBERS, anchor, differences)
    yield Section(Topic.NUMBERS, Topic.NUMBERS, anchor, data, [row])


def _counts(sample: Sample, thresholds: list[float]) -> dict[str, NDArray[np.int64]]:
    events = len(sample.events)
    found = {
        f"objects, pT > {low:g} GeV" if low else "objects": np.bincount(
            sample.reco_event[sample.reco["pt"] > low], minlength=events
        )
        for low in thresholds
    }
    alone = np.bincount(sample.reco_event[sample.unmatched], minlength=events)
    return {name: count.astype(np.int64) for name, count in (found | {"unmatched objects": alone}).items()}


def _rate_differences(kind: str, rate: Rate, labels: list[str], few: NDArray[np.bool_]) -> list[Difference]:
    return [
        Difference(kind, abs(float(d)), float(e), where=label)
        for d, e, label, skip in zip(rate.difference, rate.difference_error, labels, few, strict=True)
        if not skip
    ]


def _rates_json(found: Mapping[str, Rate]) -> dict[str, dict[str, list[float | None]]]:
    return {
        role: {
            name: [round(float(v), 7) if np.isfinite(v) else None for v in getattr(rate, name)]
            for name in ("value", "error", "trials", "difference", "difference_error")
        }
        for role, rate in found.items()
    }
