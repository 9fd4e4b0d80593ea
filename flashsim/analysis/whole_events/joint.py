"""How the objects of one event hang together: numbers that no single object shows, with their errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.analysis.whole_events.pairs import all_pairs
from flashsim.events.angles import wrap_angle
from flashsim.events.neighbours import closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.analysis.whole_events.reading import WholeEvents
    from flashsim.events.collection import Collection

    Measured = tuple[float, float]
    Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]

__all__ = ["JointLine", "joint_lines", "joint_quantities"]

_ERRORS, _RELATIVE = 3.0, 0.10
"""What a line may differ by: combined statistical errors, or a share of the real value."""

_FRACTIONS = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")
_HARD_JET, _HARD_LEPTON, _SOFT_LEPTON = 20.0, 10.0, 5.0
_CENTRAL = 2.4
_ADDS_UP = 0.01
_CONES = (0.4, 0.1)
_GEN_RANGES = {"gen dR < 0.8": (0.0, 0.8), "gen dR 0.8 to 1.2": (0.8, 1.2), "gen dR beyond 1.2": (1.2, 99.0)}
_LEAST_GEN_PT, _LARGEST_RESIDUAL = 15.0, 1.2
_CELLS_PT, _CELLS_ETA, _LEAST_IN_CELL, _LARGEST_Z = (20, 27, 35, 50, 80), (1.3, 2.5, 3.0), 25, 3.0
_LEAST_PAIRS = 30
_PROMPT, _FROM_B = 1, 5
_TAGGERS = ("btagDeepFlavB", "btagPNetB", "btagUParTAK4B")
_TAGGED_PT, _TAGGED_ETA, _LEAST_TAGGED = 30.0, 2.5, 20


@dataclass(frozen=True)
class JointLine:
    """A quantity in real and in simulated events, each with its error.

    Parameters
    ----------
    quantity
        What it is.
    real, simulated
        Value and statistical error.
    allowed
        Share of the real value that they may differ by.
    """

    quantity: str
    real: Measured
    simulated: Measured
    allowed: float = _RELATIVE

    @property
    def pull(self) -> float:
        """Difference in its statistical errors."""
        error = float(np.hypot(self.real[1], self.simulated[1]))
        return abs(self.real[0] - self.simulated[0]) / max(error, 1e-12)

    @property
    def passes(self) -> bool:
        """Whether they agree within three errors, or the allowed share of the real value."""
        difference = abs(self.real[0] - self.simulated[0])
        error = float(np.hypot(self.real[1], self.simulated[1]))
        return bool(difference <= max(_ERRORS * error, self.allowed * abs(self.real[0])))


def joint_lines(real: Sequence[WholeEvents], simulated: WholeEvents) -> list[JointLine]:
    """Compare the quantities that both have; of several real samples, the mean weighted by their errors."""
    parts = [joint_quantities(sample) for sample in real]
    of_simulated = joint_quantities(simulated)
    lines = []
    for name in dict.fromkeys(name for part in parts for name in part):
        if name in of_simulated:
            measured = [part[name] for part in parts if name in part]
            lines.append(JointLine(name, _mean(measured), of_simulated[name]))
    return lines


def joint_quantities(sample: WholeEvents) -> dict[str, Measured]:
    """Measure all quantities that a sample has the branches for: value and statistical error by name."""
    found = dict(_all_quantities(sample))
    return {name: measured for name, measured in found.items() if np.isfinite(measured[0])}


def _all_quantities(sample: WholeEvents) -> Iterator[tuple[str, Measured]]:
    if "Jet" in sample.collections:
        yield from _quantities_of_jets(sample)
    muons = sample["Muon"]
    if {"looseId", "mediumId", "tightId"} <= set(muons.columns):
        loose, medium, tight = (muons[f"{name}Id"] > 0 for name in ("loose", "medium", "tight"))
        inconsistent = (tight & ~medium) | (medium & ~loose)
        yield "muons with tight but not medium, or medium but not loose", _share(inconsistent)
    density = next((name for name in sample.values if name.endswith("ixedGridRhoFastjetAll")), None)
    if density and "PV_npvsGood" in sample.values:
        correlation = np.corrcoef(sample.values[density], sample.values["PV_npvsGood"])[0, 1]
        yield "correlation of rho and npvsGood", (float(correlation), 1.0 / np.sqrt(sample.events))


def _quantities_of_jets(sample: WholeEvents) -> Iterator[tuple[str, Measured]]:
    jets = sample["Jet"]
    hard = jets.select(jets["pt"] > _HARD_JET)
    close = _distances(hard, *all_pairs(hard)) < _CONES[0]
    value, error = _share(close)
    yield "jet pairs (pT > 20) closer than 0.4, per mille", (1e3 * value, 1e3 * error)
    if all(fraction in jets.columns for fraction in _FRACTIONS):
        kinds = [name for name in (*_FRACTIONS, "hfHEF", "hfEmEF") if name in jets.columns]
        total = np.sum([jets[name] for name in kinds], axis=0)[np.abs(jets["eta"]) < _CENTRAL]
        yield (
            "energy fractions of central jets add up to 1 within 0.01",
            _share(np.abs(total - 1.0) < _ADDS_UP),
        )
    matched = "genJetIdx" in jets.columns and bool(sample["GenJet"].columns)
    if matched:
        yield from _response_correlations(sample)
    for name, fraction in (("Muon", "muEF"), ("Electron", "chEmEF")):
        yield from _leptons_in_jets(sample, name, fraction)
    for met in ("MET", "PuppiMET"):
        if {f"{met}_pt", f"{met}_phi"} <= sample.values.keys():
            yield f"{met} + vector sum of jets, half 68 % width of a component, GeV", _balance(sample, met)
    if matched:
        yield from _tagging(sample)


def _mean(measured: Sequence[Measured]) -> Measured:
    weights = np.array([1.0 / max(error, 1e-9) ** 2 for _, error in measured])
    value = float(np.average([value for value, _ in measured], weights=weights))
    return value, float(1.0 / np.sqrt(weights.sum()))


def _share(mask: NDArray[np.bool_]) -> Measured:
    if not len(mask):
        return np.nan, np.nan
    share = float(np.mean(mask))
    return share, float(np.sqrt(max(share * (1.0 - share), 1.0 / len(mask)) / len(mask)))


def _distances(
    objects: Collection, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    eta, phi = objects["eta"], objects["phi"]
    separation: NDArray[np.float64] = np.hypot(eta[first] - eta[second], wrap_angle(phi[first] - phi[second]))
    return separation


def _response_correlations(sample: WholeEvents) -> Iterator[tuple[str, Measured]]:
    """Correlation of the log responses of two matched jets of an event, each in units of its own width."""
    jets, gen = sample["Jet"], sample["GenJet"]
    jets = jets.select(jets["genJetIdx"] >= 0)
    rows = gen.offsets[jets.event_rows] + jets["genJetIdx"]
    columns = {name: gen[name][rows] for name in ("pt", "eta", "phi")}
    columns["residual"] = np.log(jets["pt"] / columns["pt"])
    matched = type(jets)(jets.offsets, columns)
    kept = (columns["pt"] > _LEAST_GEN_PT) & (np.abs(columns["residual"]) < _LARGEST_RESIDUAL)
    matched = matched.select(kept)
    z = _in_widths(matched)
    first, second = all_pairs(matched)
    known = np.isfinite(z[first]) & np.isfinite(z[second])
    first, second = first[known], second[known]
    distance = _distances(matched, first, second)
    for name, (low, high) in _GEN_RANGES.items():
        chosen = (distance > low) & (distance < high)
        one, two = z[first[chosen]], z[second[chosen]]
        if chosen.sum() > _LEAST_PAIRS:
            both = np.corrcoef(np.concatenate((one, two)), np.concatenate((two, one)))
            yield f"jet response correlation, {name}", (float(both[0, 1]), float(1 / np.sqrt(chosen.sum())))


def _in_widths(jets: Collection) -> NDArray[np.float64]:
    """Residuals in half widths of jets of like pT and eta; not a number where there are few."""
    z = np.full(len(jets), np.nan)
    cell = np.digitize(jets["pt"], _CELLS_PT) * (len(_CELLS_ETA) + 1)
    cell = cell + np.digitize(np.abs(jets["eta"]), _CELLS_ETA)
    for value in np.unique(cell):
        here = cell == value
        if here.sum() >= _LEAST_IN_CELL:
            rest = jets["residual"][here] - jets["residual"][here].mean()
            low, high = np.quantile(rest, (0.16, 0.84))
            z[here] = np.clip(2.0 * rest / (high - low), -_LARGEST_Z, _LARGEST_Z)
    return z


def _leptons_in_jets(sample: WholeEvents, name: str, fraction: str) -> Iterator[tuple[str, Measured]]:
    leptons, jets = sample[name], sample["Jet"]
    if "pt" not in leptons.columns:
        return
    hard = leptons.select(leptons["pt"] > _HARD_LEPTON)
    for cone in _CONES:
        row, _ = closest(hard.directions, jets.directions, 1, cone)
        yield f"{name} (pT > 10) with a jet within {cone}", _share(row >= 0)
    near = _distances(hard, *all_pairs(hard)) < _CONES[-1]
    yield f"{name} pairs (pT > 10) closer than 0.1", _share(near)
    if not {"jetIdx", "genPartFlav"} <= set(leptons.columns) or not {fraction, "rawFactor"} <= set(
        jets.columns
    ):
        return
    for origin, code, least in (("prompt", _PROMPT, _HARD_LEPTON), ("from b", _FROM_B, _SOFT_LEPTON)):
        chosen = (leptons["jetIdx"] >= 0) & (leptons["pt"] > least) & (leptons["genPartFlav"] == code)
        in_jets = leptons.select(chosen)
        rows = jets.offsets[in_jets.event_rows] + in_jets["jetIdx"]
        of_jet = (jets["pt"] * (1.0 - jets["rawFactor"]) * jets[fraction])[rows]
        agree = np.abs(in_jets["pt"] / np.maximum(of_jet, 0.01) - 1.0) < 0.1
        yield f"{name} {origin} (pT > {least:g}) within 10 % of its jet's {fraction}", _share(agree)


def _balance(sample: WholeEvents, met: str) -> Measured:
    jets, components = sample["Jet"], []
    for axis in (np.cos, np.sin):
        of_jets = np.bincount(
            jets.event_rows, weights=jets["pt"] * axis(jets["phi"]), minlength=sample.events
        )
        components.append(sample.values[f"{met}_pt"] * axis(sample.values[f"{met}_phi"]) + of_jets)
    both = np.concatenate(components)
    low, high = np.quantile(both, (0.16, 0.84))
    half = float(high - low) / 2.0
    return half, half / float(np.sqrt(len(both)))


def _tagging(sample: WholeEvents) -> Iterator[tuple[str, Measured]]:
    """Area under the ROC curve of b jets against light and c jets, with its error of order statistics."""
    jets, gen = sample["Jet"], sample["GenJet"]
    matched = jets.select(
        (jets["genJetIdx"] >= 0) & (jets["pt"] > _TAGGED_PT) & (np.abs(jets["eta"]) < _TAGGED_ETA)
    )
    rows = gen.offsets[matched.event_rows] + matched["genJetIdx"]
    hadron, parton = gen["hadronFlavour"][rows], np.abs(gen["partonFlavour"][rows])
    light = (hadron == 0) & np.isin(parton, (1, 2, 3, 21))
    for tagger in (name for name in _TAGGERS if name in matched.columns):
        scores: Mapping[str, NDArray[Any]] = {
            "b": matched[tagger][hadron == 5],
            "c": matched[tagger][hadron == 4],
            "light": matched[tagger][light],
        }
        for other in ("light", "c"):
            yield f"{tagger}: area under ROC, b against {other}", _roc_area(scores["b"], scores[other])


def _roc_area(signal: NDArray[Any], background: NDArray[Any]) -> Measured:
    """Probability that a signal jet has the higher score, and its error (Hanley and McNeil 1982)."""
    if min(len(signal), len(background)) < _LEAST_TAGGED:
        return np.nan, np.nan
    ordered = np.sort(background)
    below = np.searchsorted(ordered, signal, "left") + np.searchsorted(ordered, signal, "right")
    area = float(below.mean()) / (2.0 * len(background))
    by_signal, by_background = area / (2.0 - area), 2.0 * area**2 / (1.0 + area)
    variance = area * (1.0 - area) + (len(signal) - 1) * (by_signal - area**2)
    variance += (len(background) - 1) * (by_background - area**2)
    return area, float(np.sqrt(variance / (len(signal) * len(background))))
