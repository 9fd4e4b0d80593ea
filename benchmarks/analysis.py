"""Speed of the VBF H to mumu processor, and how well simulations agree with the reference in the analysis.

    python -m benchmarks.analysis samples.yaml

prints a JSON object: for each file of the reference the events a second of the processor on one core, columns
in memory; for each process and simulation the cutflow, the width of the dimuon mass in the signal region and
the worst bin of the discriminant of those with more than 200 events, as ratios to the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from coffea.nanoevents import NanoEventsFactory

from flashsim.analysis.analyze import Analysis, analyze
from flashsim.analysis.vbf_hmumu import SCORE, AnalysisSchema, VbfHmumu

if TYPE_CHECKING:
    from flashsim.analysis.concepts import ResolvedSelection
    from flashsim.analysis.results import Results

__all__ = ["agreement", "main", "speed"]

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
            found.setdefault(process, {})[name] = {
                "events": results.totals(f"{process}/{name}").events,
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


def measured(samples: str) -> dict[str, Any]:
    """Analyse samples and measure."""
    found: Analysis = analyze(samples)
    results = found.results
    reference = [d for d in results.datasets.values() if d.simulation == results.samples.reference]
    return {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "speed": {d.name: speed(d.files[0], found.selection) for d in reference},
        "agreement": agreement(results),
    }


def main() -> None:
    """Parse the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("samples", help="YAML file as flashsim analyze takes it")
    print(json.dumps(measured(parser.parse_args().samples), indent=2))


if __name__ == "__main__":
    main()
