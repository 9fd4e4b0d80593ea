"""Speed of the processor, and how well simulations agree with the reference in the analysis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from coffea.nanoevents import NanoEventsFactory

from flashsim.analysis.vbf_hmumu import SCORE, AnalysisSchema, VbfHmumu

if TYPE_CHECKING:
    from flashsim.analysis.concepts import ResolvedSelection
    from flashsim.analysis.results import Results

__all__ = ["agreement", "speed"]

REPEATS = 5
MANY = 200
"""Events of a bin that is judged."""
SIGNAL_REGION = "SignalRegion"


def speed(path: str, selection: ResolvedSelection) -> dict[str, Any]:
    """Measure the processor on a file at once, the fastest of some runs.

    Parameters
    ----------
    path
        NanoAOD.
    selection
        The selection as it was resolved for the file.
    """
    metadata = {"dataset": path, "view": "reco"}
    events = NanoEventsFactory.from_root(
        {path: "Events"}, schemaclass=AnalysisSchema, metadata=metadata
    ).events()
    instance = VbfHmumu(selection)
    instance.process(events)  # reads the columns, which stay in memory
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        instance.process(events)
        seconds.append(time.process_time() - started)
    return {"events": len(events), "events_per_second": round(len(events) / min(seconds))}


def agreement(results: Results) -> dict[str, Any]:
    """Give ratios to the reference, by process and simulation."""
    rows = [row for row in results.cutflow() if "ratio" in row]
    found: dict[str, Any] = {}
    for process in results.samples.processes:
        for name in results.simulations(process)[1:]:
            mine = [row for row in rows if (row["process"], row["simulation"]) == (process, name)]
            totals = results.totals(f"{process}/{name}")
            found.setdefault(process, {})[name] = {
                "events": totals.events,
                "passes": totals.passes,
                "cutflow": {
                    row["step"]: [round(row["ratio"], 4), round(row["ratio_error"], 4)] for row in mine
                },
                "mass_width": _width(results, process, name),
                "discriminant": _worst_bin(results, process, name),
            }
    return found


def _width(results: Results, process: str, simulation: str) -> list[float] | None:
    for row in results.masses():
        place = (row["process"], row["simulation"], row["region"])
        if place == (process, simulation, SIGNAL_REGION) and "ratio" in row:
            return [round(row["ratio"], 4), round(row["ratio_error"], 4)]
    return None


def _worst_bin(results: Results, process: str, simulation: str) -> dict[str, Any] | None:
    """Find the ratio that is farthest from 1 in bins where both have many events."""
    worst: dict[str, Any] | None = None
    for histogram in (h for h in results.recipe.histograms if h.observable == SCORE):
        curve = results.curves(process, histogram).get(simulation)
        if curve is None or curve.ratio is None or curve.ratio_errors is None:
            continue
        counts = [
            np.diff(results.binned(f"{process}/{name}", histogram).weights.tocsc().indptr)
            for name in (results.samples.reference, simulation)
        ]
        for k in np.flatnonzero(np.minimum(*counts) > MANY):
            off = abs(curve.ratio[k] - 1.0)
            if worst is None or off > abs(worst["ratio"] - 1.0):
                worst = {"histogram": histogram.name, "bin": int(k), "events": int(counts[0][k])}
                worst |= {"ratio": round(curve.ratio[k], 4), "error": round(curve.ratio_errors[k], 4)}
    return worst
