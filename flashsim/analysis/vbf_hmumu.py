"""The first steps of the VBF H to mumu analysis (CMS HIG-19-006, JHEP 01 (2021) 148) as a coffea processor.

It takes NanoAOD of any simulation, and the generator level of any of them as a view of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np
import vector
from coffea import processor
from coffea.analysis_tools import PackedSelection
from coffea.nanoevents import NanoAODSchema

from flashsim.analysis.observables import (
    collins_soper,
    mass_error,
    min_delta_eta,
    pt_balance,
    zeppenfeld,
)
from flashsim.analysis.selection import CountStep, FlagsStep, any_box
from flashsim.analysis.views import gen_jets, gen_muons, reco_jets, reco_muons, separated
from flashsim.errors import RecipeError
from flashsim.events.identity import event_keys
from flashsim.events.noise import EVENT_IDS
from flashsim.events.sketch import EventSketch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.analysis.concepts import ResolvedSelection
    from flashsim.analysis.selection import HistogramRecipe

__all__ = [
    "BASE_STEPS",
    "OBSERVABLES",
    "SCORE",
    "AnalysisSchema",
    "VbfHmumu",
    "fill_histogram",
    "in_windows",
]

BASE_STEPS = ("muons", "oppositeCharge", "jets", "mjj", "deltaEta")
"""Steps that are always on, in order; the optional ones come after them."""
SCORE = "score"
"""The discriminant: an observable of events, not computed by the processor."""
OBSERVABLES = (
    *("mass", "mass_error", "mass_error_relative", "dimuon_pt", "log_dimuon_pt", "dimuon_eta"),
    *("phi_cs", "cos_theta_cs", "r_pt", "z_star", "log_z_star"),
    *(f"jet{rank}_{name}" for rank in (1, 2) for name in ("pt", "eta", "phi", "qg")),
    *("mjj", "log_mjj", "delta_eta_jj", "delta_phi_jj", "min_delta_eta"),
    *("year", "n_soft5", "ht_soft2"),
    *(f"muon{rank}_{name}" for rank in (1, 2) for name in ("pt", "eta", "iso")),
)
"""Observables of preselected events."""


class AnalysisSchema(NanoAODSchema):  # type: ignore[misc]  # coffea has no types
    """NanoAOD that may lack collections which others refer to, as files of simulated muons and jets do."""

    warn_missing_crossrefs = False


def in_windows(mass: NDArray[Any], windows: list[tuple[float, float]]) -> NDArray[np.bool_]:
    """Tell which masses are inside one of some windows, edges excluded; no window at all is any mass."""
    inside = np.full(len(mass), not windows)
    for low, high in windows:
        inside |= (mass > low) & (mass < high)
    return inside


def fill_histogram(
    recipe: HistogramRecipe, table: Mapping[str, Any], windows: list[tuple[float, float]]
) -> hist.Hist[Any]:
    """Fill a histogram from a table of preselected events.

    Parameters
    ----------
    recipe
        The histogram.
    table
        Columns of shape (N,): ``weight``, ``mass`` and the observable.
    windows
        Windows of the region.

    Returns
    -------
    Histogram with sums of weights and of their squares.
    """
    axis = hist.axis.Regular(recipe.bins, *recipe.range, name=recipe.observable, label=recipe.label)
    histogram = hist.Hist(axis, storage=hist.storage.Weight())
    inside = in_windows(np.asarray(table["mass"]), windows)
    return histogram.fill(
        np.asarray(table[recipe.observable])[inside], weight=np.asarray(table["weight"])[inside]
    )


class VbfHmumu(processor.ProcessorABC):  # type: ignore[misc]  # coffea has no types
    """Cutflow, histograms and a table of preselected events.

    The metadata of each data set say its ``view``: ``reco`` or ``gen``; ``content``, where given, lists the
    branches that tell gen events of the same numbers apart, see `flashsim.events.identity.CONTENTS`.

    Parameters
    ----------
    selection
        The selection, as `flashsim.analysis.concepts.resolve` has found it in the files.

    Raises
    ------
    RecipeError
        If the recipe names an observable that does not exist.

    Notes
    -----
    `process` returns for each data set

    - ``cutflow``: numbers of events that pass each step and all before it, ``all`` first;
    - ``totals``: number, sum of weights, sum of the squared weights of gen events (of which a chunk's end may
      cut one in two when oversampled), by file the sum of the identities of its gen events (equal where two
      files are of the same gen events) and a sketch of them, and numbers of folds found;
    - ``reached``: for events that pass the first step their identity, weight, and number of steps passed;
    - ``preselected``: for events that pass all steps identity, fold, weight, relative weights of the
      variations that the file has (``variation_NAME``), and `OBSERVABLES`;
    - ``histograms``: those of the recipe, by name.

    Muons are a pair of opposite charge: the leading one and the highest in pT of the other charge. The two
    jets are those of highest pT among the selected.
    """

    def __init__(self, selection: ResolvedSelection) -> None:
        self.selection = selection
        recipe = selection.recipe
        named = [
            h.observable for h in recipe.histograms if h.observable != SCORE
        ] + recipe.discriminant.inputs
        if unknown := [name for name in named if name not in OBSERVABLES]:
            msg = f"'{unknown[0]}' is no observable; known are {', '.join((*OBSERVABLES, SCORE))}"
            raise RecipeError(msg)
        self.year = float(found[0]) if (found := re.findall(r"20\d\d", selection.era)) else 0.0

    def step_names(self, view: str) -> list[str]:
        """Names of the steps in order; the generator level has no optional ones."""
        if view == "gen":
            return list(BASE_STEPS)
        optional = (n for n, step in self.selection.steps.items() if isinstance(step, FlagsStep | CountStep))
        return [*BASE_STEPS, *optional]

    def process(self, events: Any) -> dict[str, Any]:
        """Analyse a chunk of events."""
        view = events.metadata["view"]
        weight = np.asarray(events["genWeight"], dtype=np.float64)
        gen = _gen_events(events)
        identity = event_keys(gen)
        fold = (
            np.asarray(events["fold"]) if "fold" in events.fields else np.zeros(len(events), dtype=np.uint16)
        )
        packed = PackedSelection()
        muons = (reco_muons if view == "reco" else gen_muons)(events, self.selection)
        rows, table, jets = self._candidates(events, view, muons, packed)
        self._optional_steps(events, view, muons, jets, packed)
        names = self.step_names(view)
        passed = [packed.all(*names[: k + 1]) for k in range(len(names))]
        reached = np.asarray(np.sum(passed, axis=0), dtype=np.int8)
        some, last = reached > 0, passed[-1][rows]
        rows, table = rows[last], {name: column[last] for name, column in table.items()}
        base = {"event": identity, "fold": fold, "weight": weight, **self._variations(events)}
        table = {**{name: column[rows] for name, column in base.items()}, **table}
        counts = packed.cutflow(*names).result().nevcutflow
        return {
            events.metadata["dataset"]: {
                "cutflow": dict(zip(("all", *names), map(int, counts), strict=True)),
                "totals": _totals(identity, fold, weight, EventSketch.of(gen), events.metadata),
                "reached": _columns(
                    {"event": identity[some], "weight": weight[some], "reached": reached[some]}
                ),
                "preselected": _columns(table),
                "histograms": {
                    h.name: fill_histogram(h, table, self.selection.recipe.regions[h.region])
                    for h in self.selection.recipe.histograms
                    if h.observable != SCORE
                },
            }
        }

    def postprocess(self, accumulator: dict[str, Any]) -> dict[str, Any]:
        """Turn columns into arrays."""
        for result in accumulator.values():
            for name in ("reached", "preselected"):
                result[name] = {
                    column: values.value if isinstance(values, processor.column_accumulator) else values
                    for column, values in result[name].items()
                }
        return accumulator

    def _candidates(
        self, events: Any, view: str, muons: ak.Array, packed: PackedSelection
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], tuple[NDArray[np.int64], ak.Array]]:
        """Add the base steps; give rows and observables of candidates, and rows and jets of muon pairs."""
        size, dijet = len(events), self.selection.recipe.dijet
        rows = np.flatnonzero(ak.num(muons) >= 2)
        packed.add("muons", _mask(size, rows))
        muons = muons[rows]
        opposite = muons[muons["charge"] != muons["charge"][:, 0]]
        paired = np.asarray(ak.num(opposite) > 0)
        rows, first, second = rows[paired], muons[paired][:, 0], opposite[paired][:, 0]
        packed.add("oppositeCharge", _mask(size, rows))
        jets = (reco_jets if view == "reco" else gen_jets)(events[rows], self.selection)
        jets = separated(jets, muons[paired], self.selection.recipe.jets.clean)
        with_pair = (rows, jets)
        leading = ak.fill_none(ak.pad_none(jets["pt"], 2, axis=1, clip=True), -1.0)
        two = np.asarray((leading[:, 0] > dijet.leading_pt) & (leading[:, 1] > dijet.subleading_pt))
        rows, first, second, jets = rows[two], first[two], second[two], jets[two]
        packed.add("jets", _mask(size, rows))
        table = self._observables(first, second, jets[:, 0], jets[:, 1])
        packed.add("mjj", _mask(size, rows[table["mjj"] > dijet.mass]))
        packed.add("deltaEta", _mask(size, rows[table["delta_eta_jj"] > dijet.delta_eta]))
        return rows, table, with_pair

    def _observables(
        self, first: ak.Array, second: ak.Array, jet1: ak.Array, jet2: ak.Array
    ) -> dict[str, NDArray[Any]]:
        """Give the observables of muons and jets, one each an event."""
        p1, p2, j1, j2 = map(_four_vectors, (first, second, jet1, jet2))
        is_negative = ak.to_numpy(first["charge"]) < 0
        # Both assignments of the charges, of which each event takes its own.
        angles = np.where(is_negative, collins_soper(p1, p2), collins_soper(p2, p1))
        dimuon, dijet = p1 + p2, j1 + j2
        mass, pt, mjj = dimuon.mass, dimuon.pt, dijet.mass
        error = mass_error(mass, ak.to_numpy(first["relErr"]), ak.to_numpy(second["relErr"]))
        z_star = zeppenfeld(dimuon, j1, j2)[1]
        with np.errstate(divide="ignore"):
            logs = {"log_z_star": np.log(np.abs(z_star)), "log_dimuon_pt": np.log(pt), "log_mjj": np.log(mjj)}
        single = {
            **{f"jet{k}_pt": jet.pt for k, jet in enumerate((j1, j2), 1)},
            **{f"jet{k}_eta": jet.eta for k, jet in enumerate((j1, j2), 1)},
            **{f"jet{k}_phi": jet.phi for k, jet in enumerate((j1, j2), 1)},
            **{f"jet{k}_qg": ak.to_numpy(jet["score"]) for k, jet in enumerate((jet1, jet2), 1)},
            **{f"muon{k}_pt": muon.pt for k, muon in enumerate((p1, p2), 1)},
            **{f"muon{k}_eta": muon.eta for k, muon in enumerate((p1, p2), 1)},
            **{f"muon{k}_iso": ak.to_numpy(m["pfRelIso04_all"]) for k, m in enumerate((first, second), 1)},
        }
        constants = {"year": self.year, **self.selection.recipe.soft_activity}
        found = logs | single
        found |= {"mass": mass, "mass_error": error, "mass_error_relative": error / mass}
        found |= {"dimuon_pt": pt, "dimuon_eta": dimuon.eta, "cos_theta_cs": angles[0], "phi_cs": angles[1]}
        found |= {"r_pt": pt_balance(dimuon, j1, j2), "z_star": z_star, "mjj": mjj}
        found |= {"delta_eta_jj": np.abs(j1.eta - j2.eta), "delta_phi_jj": np.abs(j1.deltaphi(j2))}
        found["min_delta_eta"] = min_delta_eta(dimuon, j1, j2)
        found |= {name: np.full(len(mass), constants[name]) for name in ("year", "n_soft5", "ht_soft2")}
        return {name: np.asarray(found[name], dtype=np.float64) for name in OBSERVABLES}

    def _optional_steps(
        self,
        events: Any,
        view: str,
        muons: ak.Array,
        jets: tuple[NDArray[np.int64], ak.Array],
        packed: PackedSelection,
    ) -> None:
        for name in self.step_names(view)[len(BASE_STEPS) :]:
            step = self.selection.steps[name]
            mask: NDArray[np.bool_] = np.ones(len(events), dtype=bool)
            if isinstance(step, FlagsStep):
                if step.any_of:
                    mask &= np.any([np.asarray(_flag(events, flag)) for flag in step.any_of], axis=0)
                for flag in step.all_of:
                    mask &= np.asarray(_flag(events, flag))
            elif isinstance(step, CountStep) and step.collection == "Jet":
                # Jets are those of events with a pair of muons; the others have failed already.
                mask = _mask(len(events), jets[0][_counted(step, jets[1])])
            elif isinstance(step, CountStep):
                mask = _counted(step, muons if step.collection == "Muon" else events[step.collection])
            packed.add(name, mask)

    def _variations(self, events: Any) -> dict[str, NDArray[np.float64]]:
        """Relative weights of the variations that are in the file; 1 for events without this one."""
        found = {}
        for name, variation in self.selection.recipe.variations.items():
            if variation.branch in events.fields:
                weights = ak.pad_none(events[variation.branch], variation.index + 1, axis=1)
                column = ak.fill_none(weights[:, variation.index], 1.0)
                found[f"variation_{name}"] = np.asarray(column, dtype=np.float64)
        return found


def _four_vectors(objects: ak.Array) -> Any:
    """Four-vectors in double precision: rapidities and small masses need it."""
    columns = {name: ak.to_numpy(objects[name]).astype(np.float64) for name in ("pt", "eta", "phi", "mass")}
    return vector.array(columns)


def _mask(size: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    mask = np.zeros(size, dtype=bool)
    mask[rows] = True
    return mask


def _flag(events: Any, branch: str) -> Any:
    """Give a boolean of the event such as ``HLT_IsoMu24``, which coffea holds in a record ``HLT``."""
    if branch in events.fields:
        return events[branch]
    collection, _, field = branch.partition("_")
    return events[collection][field] != 0


def _counted(step: CountStep, objects: Any) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = np.ones(len(objects), dtype=bool)
    for rule in step.rules:
        if rule.where:
            number = ak.sum(any_box(rule.where, lambda name: objects[name]), axis=1)
        else:
            number = ak.num(objects["pt"])
        mask &= np.asarray(number >= rule.at_least)
        if rule.at_most is not None:
            mask &= np.asarray(number <= rule.at_most)
    return mask


def _gen_events(events: Any) -> dict[str, Any]:
    """Give the branches that tell which gen event each is, in memory."""
    columns = {name: np.asarray(events[name]) for name in EVENT_IDS}
    for name in events.metadata.get("content", ()):
        collection, _, field = name.partition("_")
        columns[name] = ak.to_packed(ak.materialize(events[collection][field]))
    return columns


def _totals(
    identity: NDArray[np.uint64],
    fold: NDArray[Any],
    weight: NDArray[np.float64],
    sketch: EventSketch,
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    file = metadata.get("filename", "")
    # Folds of one gen event stand side by side, so a gen event starts where the identity changes.
    starts = np.flatnonzero(np.diff(identity, prepend=~identity[:1]) != 0)
    sums = np.add.reduceat(weight, starts) if len(weight) else weight
    return {
        "events": len(weight),
        "sumw": float(weight.sum()),
        "sumw2": float((sums**2).sum()),
        "files": {file: int(identity[fold == 0].astype(object).sum()) if len(identity) else 0},
        "sketches": {file: sketch},
        "folds": {int(fold.max(initial=0)) + 1},
    }


def _columns(table: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {name: processor.column_accumulator(values) for name, values in table.items()}
