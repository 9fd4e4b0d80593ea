"""What an analysis found, from the output of the processor: cutflow, histograms, variations, gain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hist
import numpy as np

from flashsim.analysis.figures import Curve
from flashsim.analysis.oversampled import OversampledHistogram
from flashsim.analysis.ratios import (
    Binned,
    Totals,
    binned,
    central_width,
    double_ratio,
    ratio,
    share_gen_events,
    step_counts,
    variation_ratio,
)
from flashsim.analysis.vbf_hmumu import in_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.analysis.samples import Dataset, SamplesRecipe
    from flashsim.analysis.selection import HistogramRecipe, SelectionRecipe

__all__ = ["Results", "edges_of"]


def edges_of(recipe: HistogramRecipe) -> NDArray[np.float64]:
    """Give the edges of a histogram's bins, shape (B + 1,)."""
    return np.linspace(*recipe.range, recipe.bins + 1)


@dataclass(frozen=True)
class Results:
    """The processor's output for all data sets of some samples, and what follows from it.

    Parameters
    ----------
    samples
        Processes and simulations.
    recipe
        The selection.
    datasets
        Data sets by ``process/simulation``.
    found
        Output of `VbfHmumu` by the same names.
    """

    samples: SamplesRecipe
    recipe: SelectionRecipe
    datasets: dict[str, Dataset]
    found: dict[str, dict[str, Any]]

    def simulations(self, process: str) -> list[str]:
        """Names of the simulations of a process, the reference first."""
        names = [n for n in self.samples.simulations if f"{process}/{n}" in self.datasets]
        return sorted(names, key=lambda name: name != self.samples.reference)

    def totals(self, name: str) -> Totals:
        """Give what a data set holds in all."""
        return Totals.of(self.found[name]["totals"])

    def table(self, name: str) -> dict[str, NDArray[Any]]:
        """Give the preselected events of a data set, columns of shape (N,)."""
        table: dict[str, NDArray[Any]] = self.found[name]["preselected"]
        return table

    def inside(self, name: str, region: str) -> NDArray[np.bool_]:
        """Tell which preselected events of a data set are in a region, shape (N,)."""
        return in_windows(self.table(name)["mass"], self.recipe.regions[region])

    def scale(self, name: str) -> float:
        """Give the factor from weights to yields; to shares of all events without a cross section."""
        dataset = self.datasets[name]
        cross_section = self.samples.processes[dataset.process].cross_section
        if cross_section is None or dataset.sum_of_weights is None:
            return 1.0 / self.totals(name).sumw
        return 1000.0 * cross_section * self.samples.luminosity / dataset.sum_of_weights

    def cutflow(self) -> list[dict[str, Any]]:
        """Give the rows of the cutflow table: one a process, step or region, and simulation.

        ``efficiency`` is of all steps so far together; ``ratio`` is that of efficiencies, to the reference.
        """
        rows = []
        for process, declared in self.samples.processes.items():
            flows = {name: self._flow(f"{process}/{name}") for name in self.simulations(process)}
            reference = flows[self.samples.reference]
            for name, flow in flows.items():
                ratios = {} if name == self.samples.reference else self._ratios(flow, reference)
                key = f"{process}/{name}"
                errors = {
                    step: np.sqrt(part.variance)
                    for step, part in zip(("steps", "regions"), flow, strict=True)
                }
                for part, kind, labels in zip(flow, ("steps", "regions"), self._labels(key), strict=True):
                    for k, label in enumerate(labels):
                        row = {
                            "process": process,
                            "simulation": name,
                            "step": label,
                            "events": int(np.count_nonzero(self._passing(key, kind, k))),
                            "efficiency": float(part.efficiency[k]),
                            "error": float(errors[kind][k]),
                        }
                        if ratios:
                            row["ratio"], row["ratio_error"] = (float(c[k]) for c in ratios[kind])
                        if declared.cross_section is not None:
                            row["yield"] = float(part.efficiency[k] * part.totals.sumw * self.scale(key))
                        rows.append(row)
        return rows

    def masses(self) -> list[dict[str, Any]]:
        """Give median and width of the dimuon mass in each region that has windows, by data set.

        Errors of ratios to the reference are those of independent samples: the width is the detector's.
        """
        rows = []
        for process in self.samples.processes:
            for region, windows in self.recipe.regions.items():
                reference = (math.nan, math.nan)
                for simulation in self.simulations(process) if windows else ():
                    table = self.table(f"{process}/{simulation}")
                    chosen = in_windows(table["mass"], windows)
                    inside = table["mass"][chosen]
                    if len(inside) < 2:
                        continue
                    width, error = central_width(inside, table["event"][chosen])
                    row: dict[str, Any] = {"process": process, "simulation": simulation, "region": region}
                    row |= {"events": len(inside), "median": float(np.median(inside))}
                    row |= {"width": width, "width_error": error}
                    if simulation == self.samples.reference:
                        reference = (width, error)
                    elif width > 0 and reference[0] > 0:
                        row["ratio"] = width / reference[0]
                        row["ratio_error"] = row["ratio"] * math.hypot(
                            error / width, reference[1] / reference[0]
                        )
                    rows.append(row)
        return rows

    def curves(self, process: str, histogram: HistogramRecipe) -> dict[str, Curve]:
        """Give a histogram in all simulations that have the observable, the reference first."""
        sums = {}
        for name in self.simulations(process):
            column = self.table(f"{process}/{name}").get(histogram.observable)
            if column is not None and (len(column) == 0 or np.isfinite(column).any()):
                sums[name] = self.binned(f"{process}/{name}", histogram)
        reference = sums.get(self.samples.reference)
        curves = {}
        for name, part in sums.items():
            scale = self.scale(f"{process}/{name}") * part.totals.sumw
            values = (part.efficiency * scale, np.sqrt(part.variance) * scale)
            other = reference is not None and part is not reference
            ratios = ratio(part, reference) if reference is not None and other else (None, None)
            curves[name] = Curve(self.samples.simulations[name].label, *values, *ratios)
        return curves

    def binned(self, name: str, histogram: HistogramRecipe, variation: str | None = None) -> Binned:
        """Sum a histogram's weights by gen event; those of a variation, if named."""
        table = self.table(name)
        inside = self.inside(name, histogram.region)
        values: Any = table[histogram.observable][inside]
        axis = hist.axis.Regular(histogram.bins, *histogram.range)
        bins = np.asarray(axis.index(values), dtype=np.int64)
        events, weights = (table[column][inside] for column in ("event", "weight"))
        if variation is not None:
            weights = weights * table[f"variation_{variation}"][inside]
        return binned(events, weights, bins, histogram.bins, self.totals(name))

    def shared(self, process: str) -> dict[str, bool]:
        """Tell which simulations of a process are of the reference's gen events."""
        reference = self.totals(f"{process}/{self.samples.reference}")
        return {
            name: share_gen_events(self.totals(f"{process}/{name}"), reference)
            for name in self.simulations(process)
        }

    def variations(self, process: str, histogram: HistogramRecipe) -> dict[str, list[Curve]]:
        """Give variation over nominal in all simulations that have the weights, by variation.

        The reference comes first; ratios of the others to it are 1 where a simulation predicts its variation:
        reference varied = reference nominal x simulation varied / simulation nominal.
        """
        found: dict[str, list[Curve]] = {}
        for variation in self.recipe.variations:
            pairs = {
                name: (
                    self.binned(f"{process}/{name}", histogram, variation),
                    self.binned(f"{process}/{name}", histogram),
                )
                for name in self.simulations(process)
                if {f"variation_{variation}", histogram.observable} <= set(self.table(f"{process}/{name}"))
            }
            if (reference := pairs.get(self.samples.reference)) is None:
                continue
            found[variation] = [
                Curve(
                    self.samples.simulations[name].label,
                    *variation_ratio(*pair),
                    *((None, None) if pair is reference else double_ratio(pair, reference)),
                )
                for name, pair in pairs.items()
            ]
        return found

    def oversampled(self, process: str, simulation: str, recipe: HistogramRecipe) -> OversampledHistogram:
        """Fill a histogram that knows which events are folds of one gen event."""
        name = f"{process}/{simulation}"
        axis = hist.axis.Regular(recipe.bins, *recipe.range, name="value")
        filled = OversampledHistogram(axis, folds=self.totals(name).folds)
        inside, table = self.inside(name, recipe.region), self.table(name)
        columns = (table[c][inside] for c in ("event", "fold", "weight", recipe.observable))
        events, fold, weights, values = columns
        filled.fill(gen_event=events, fold=fold, weight=weights, value=values)
        return filled

    def gains(self) -> list[dict[str, Any]]:
        """Give what oversampling gained for each histogram of data sets that are oversampled.

        See `OversampledHistogram.overall_gain`.
        """
        rows = []
        for name, dataset in self.datasets.items():
            folds, table = self.totals(name).folds, self.table(name)
            rows += [
                {
                    "process": dataset.process,
                    "simulation": dataset.simulation,
                    "histogram": recipe.name,
                    "folds": folds,
                    "gain": self.oversampled(dataset.process, dataset.simulation, recipe).overall_gain(),
                }
                for recipe in self.recipe.histograms
                if folds > 1 and recipe.observable in table
            ]
        return rows

    def _labels(self, name: str) -> tuple[list[str], list[str]]:
        steps = [step for step in self.found[name]["cutflow"] if step != "all"]
        return steps, [region for region, windows in self.recipe.regions.items() if windows]

    def _passing(self, name: str, kind: str, k: int) -> NDArray[np.bool_]:
        if kind == "steps":
            return np.asarray(self.found[name]["reached"]["reached"] > k)
        return self.inside(name, self._labels(name)[1][k])

    def _flow(self, name: str) -> tuple[Binned, Binned]:
        """Weights by gen event and step, and by gen event and region."""
        totals, reached = self.totals(name), self.found[name]["reached"]
        steps, regions = self._labels(name)
        rows, numbers = step_counts(reached["reached"])
        flow = binned(reached["event"][rows], reached["weight"][rows], numbers, len(steps), totals)
        table = self.table(name)
        entries = [np.flatnonzero(self._passing(name, "regions", k)) for k in range(len(regions))]
        rows = np.concatenate([*entries, np.empty(0, dtype=np.int64)])
        numbers = np.repeat(np.arange(len(entries)), [len(part) for part in entries])
        return flow, binned(table["event"][rows], table["weight"][rows], numbers, len(regions), totals)

    @staticmethod
    def _ratios(
        flow: tuple[Binned, Binned], reference: tuple[Binned, Binned]
    ) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Ratios to the reference; steps that only one of them has are left out at the end."""
        found = {}
        for kind, part, other in zip(("steps", "regions"), flow, reference, strict=True):
            number = min(part.weights.shape[1], other.weights.shape[1])
            values, errors = ratio(_first(part, number), _first(other, number))
            missing = np.full(part.weights.shape[1] - number, np.nan)
            found[kind] = (np.append(values, missing), np.append(errors, missing))
        return found


def _first(part: Binned, number: int) -> Binned:
    return Binned(part.events, part.weights[:, :number], part.whole, part.totals)
