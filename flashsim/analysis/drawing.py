"""Figures of what an analysis found: which curves stand beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.analysis.figures import draw_errors, draw_overlay, draw_simulations
from flashsim.analysis.results import edges_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.figure import Figure

    from flashsim.analysis.results import Results
    from flashsim.analysis.selection import HistogramRecipe

__all__ = ["draw_histogram", "draw_oversampling", "draw_processes", "draw_variations"]


def draw_histogram(
    results: Results,
    histogram: HistogramRecipe,
    processes: Iterable[str] | None = None,
    *,
    simulations: Sequence[str] | None = None,
) -> Figure | None:
    """Draw one histogram: a panel a process, simulations over each other, ratios to the reference below.

    Parameters
    ----------
    results
        What was found.
    histogram
        The histogram.
    processes, simulations
        Names of those that are drawn; default: all.

    Returns
    -------
    The figure; none if the reference does not have the observable.
    """
    panels = {}
    for name in processes if processes is not None else results.samples.processes:
        curves = results.curves(name, histogram)
        if results.samples.reference in curves:
            drawn = [c for s, c in curves.items() if simulations is None or s in simulations]
            panels[f"{results.samples.processes[name].label}, {histogram.region}"] = drawn
    if not panels:
        return None
    normalised = all(declared.cross_section is not None for declared in results.samples.processes.values())
    ylabel = "events" if normalised else "share of all events"
    return draw_simulations(panels, edges_of(histogram), axis=histogram.label, ylabel=ylabel)


def draw_processes(
    results: Results, histogram: HistogramRecipe, *, simulations: Sequence[str] | None = None
) -> Figure | None:
    """Overlay the shapes of all processes in all simulations; none where fewer than two have it."""
    drawn = {
        declared.label: [
            curve
            for simulation, curve in results.curves(name, histogram).items()
            if simulations is None or simulation in simulations
        ]
        for name, declared in results.samples.processes.items()
    }
    drawn = {label: curves for label, curves in drawn.items() if curves}
    if len(drawn) < 2:
        return None
    return draw_overlay(drawn, edges_of(histogram), axis=histogram.label, title=histogram.region)


def draw_variations(results: Results, histogram: HistogramRecipe, process: str) -> Figure | None:
    """Draw variation over nominal, a panel a variation; below, the ratio of that to the reference's.

    Where the points below are 1, a simulation predicts the variation of the reference from its nominal. None
    where the files have no weights of variations.
    """
    panels = results.variations(process, histogram)
    if not panels:
        return None
    label = results.samples.processes[process].label
    titled = {f"{label}, {histogram.region}: {name}": curves for name, curves in panels.items()}
    return draw_simulations(
        titled, edges_of(histogram), axis=histogram.label, ylabel="variation / nominal", counts=False
    )


def draw_oversampling(
    results: Results, histogram: HistogramRecipe, process: str, simulation: str
) -> Figure | None:
    """Draw relative errors of an oversampled histogram, beside those of each gen event simulated once.

    The third curve counts folds as if they were events of their own, which they are not. None where the
    simulation is not oversampled, or lacks the observable.
    """
    name = f"{process}/{simulation}"
    if results.totals(name).folds < 2 or histogram.observable not in results.table(name):
        return None
    filled = results.oversampled(process, simulation, histogram)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(filled.variances()) / filled.values()
        drawn = {
            "once": errors * np.sqrt(filled.gain()),
            f"{filled.folds} folds": errors,
            "folds taken for events": errors * np.sqrt(filled.gain() / filled.folds),
        }
    declared = results.samples.processes[process]
    return draw_errors(
        drawn, edges_of(histogram), axis=histogram.label, title=f"{declared.label}, {histogram.region}"
    )
