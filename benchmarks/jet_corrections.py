"""Jet corrections of the reference detector, made from its own events: reference/corrections/ERA.json.

Isolated gen jets without prompt leptons are looked for among raw reconstructed jets. The offset is the
slope of the raw pT against area times rho at fixed gen pT. The response is the median of what remains over
gen pT, jets that are not found included (as zero), so that thresholds do not bias it; its inverse is fitted
as a function of the reconstructed pT.

    python -m benchmarks.jet_corrections run2 --gen gen.root --particles particles.root --minbias minbias.root
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.eras import shipped_eras
from flashsim.declarations.recipes import recipe_folder
from flashsim.events.collection import Collection
from flashsim.events.identity import event_keys
from flashsim.events.neighbours import closest
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.stable import STABLE, STABLE_BRANCHES
from flashsim.reference.flow.recorded import record
from flashsim.reference.objects.clustering import anti_kt
from flashsim.reference.objects.corrections import OFFSET, RESPONSE
from flashsim.reference.objects.jets import weights
from flashsim.reference.particles.overlay import Library
from flashsim.reference.particles.streams import Streams
from flashsim.reference.recipe import load_detector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

    Columns = dict[str, NDArray[np.float64]]

JETS = {
    "AK4PFchs": ("CHS", 0.4, 10.0),
    "AK4PFPuppi": ("Puppi", 0.4, 10.0),
    "AK8PFPuppi": ("Puppi", 0.8, 60.0),
}
"""Kind of candidates, radius, and least pT of gen jets in GeV."""
EDGES = (0.0, 0.4, 0.8, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.2, 3.7, 5.2)
ISOLATION = 1.5
"""No other gen jet of 0.3 of the pT within so many radii."""
CLOSURE_ETA = (1.3, 2.4, 3.0)
CLOSURE = {"chs": (1.015, 1.03, 1.04, 0.94), "Puppi": (1.015, 1.03, 1.1, 1.05)}
"""Median corrected response of isolated jets below, between and beyond these |eta|.

It is not 1 in CMS simulation either: these give the medians of all jets of the tt files of 2018 and 2024.
"""
UNDERLYING = 2.0
"""Rho in GeV of an event without pileup, about."""
RAW_PT = 5.0
"""Least raw pT in GeV."""
CHUNK = 200
"""Events in memory."""
FEWEST, MOST_BINS, LEAST_FOUND = 100, 16, 0.75
"""Gen jets of a bin in pT, bins, and the share of found jets below which a bin is left out."""


def matches(recorded: Recorded, kind: Any, radius: float, gen_pt: float) -> Columns:
    """Find the raw jets of isolated gen jets: genPt, eta (of the gen jet without one), pt, area, rho."""
    found = anti_kt(
        recorded.candidates,
        weights(recorded.candidates, kind),
        recorded.streams.states(recorded.keys, f"jets {kind}"),
        radius=radius,
        min_pt=RAW_PT,
    ).objects
    gen = _gen_jets(recorded, radius, gen_pt)
    other, _ = closest(gen.directions, gen.directions, 1, ISOLATION * radius, same=True)
    near = np.where(other >= 0, gen["pt"][other], 0.0)
    particles = Collection.of_branches(
        recorded.gen, "GenPart", ("pt", "eta", "phi", "pdgId", "statusFlags", "status")
    )
    code = np.abs(particles["pdgId"])
    prompt = np.isin(code, (11, 13)) & (particles["status"] == 1) & (particles["statusFlags"] & 1 == 1)
    leptons = particles.select(prompt)
    lepton, _ = closest(gen.directions, leptons.directions, 1, radius)
    row, _ = closest(gen.directions, found.directions, 1, radius / 2)
    kept = (near < 0.3 * gen["pt"]) & (lepton < 0)
    has = row >= 0
    columns = {"genPt": gen["pt"], "eta": np.where(has, found["eta"][row], gen["eta"])}
    columns |= {name: np.where(has, found[name][row], 0.0) for name in ("pt", "area")}
    columns["rho"] = recorded.rho["FastjetAll"][gen.event_rows]
    return {name: values[kept] for name, values in columns.items()}


def _gen_jets(recorded: Recorded, radius: float, least: float) -> Collection:
    """Cluster the stable particles of the hard event."""
    particles = recorded.particles
    columns = {name: particles[name].astype(np.float64) for name in ("pt", "eta", "phi")}
    columns["energy"] = np.hypot(columns["pt"] * np.cosh(columns["eta"]), particles["mass"])
    hard = (particles["interaction"] == 0).astype(np.float64)
    return anti_kt(
        Collection(particles.offsets, columns), hard, recorded.keys, radius=radius, min_pt=least
    ).objects


def offset_slopes(jets: Columns, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offset over area and rho of each bin in |eta|, shape (bins,)."""
    slopes = np.zeros(len(edges) - 1)
    for k in range(len(slopes)):
        here = (np.abs(jets["eta"]) >= edges[k]) & (np.abs(jets["eta"]) < edges[k + 1])
        here &= (jets["genPt"] > 17) & (jets["genPt"] < 100) & (jets["pt"] > 0)
        gen, pt = jets["genPt"][here], jets["pt"][here]
        deposit = jets["area"][here] * (jets["rho"][here] - UNDERLYING)
        terms = np.stack([np.ones(len(gen)), gen, gen**2, deposit], axis=1)
        kept = np.ones(len(gen), dtype=np.bool_)
        for _ in range(4):  # without tails: lost jets, and jets of two
            solution = np.linalg.lstsq(terms[kept], pt[kept], rcond=None)[0]
            away = np.abs(pt - terms @ solution) / np.sqrt(gen)
            kept = away < 2.5 * 1.48 * np.median(away)
        slopes[k] = solution[3]
    return slopes


def response_fit(jets: Columns, first: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Parameters of `RESPONSE` for jets of a range in |eta|, `first` times raw pT is what is corrected."""
    here = (np.abs(jets["eta"]) >= low) & (np.abs(jets["eta"]) < high)
    gen, pt = jets["genPt"][here], (jets["pt"] * first)[here]
    bins = np.array_split(np.argsort(gen), max(1, min(MOST_BINS, len(gen) // FEWEST)))
    # Where most are lost even among the hardest, only those that are found tell a response.
    kept = [b for b in bins if np.mean(pt[b] > 0) > LEAST_FOUND] or [bins[-1][pt[bins[-1]] > 0]]
    x, y, error = [], [], []
    for chosen in kept:
        ratio = pt[chosen] / gen[chosen]
        response = np.median(ratio)
        spread = np.quantile(ratio, 0.84) - response
        x.append(response * np.median(gen[chosen]))
        y.append(1.0 / response)
        error.append(max(1.25 * spread / np.sqrt(len(chosen)), 0.003) / response**2)
    at, inverse = np.array(x), np.array(y)
    terms = np.stack([np.ones(len(at)), np.log(at), np.log(at) ** 2, 1 / at, 1 / at**2], axis=1)
    order = [0, 3, 1, 2, 4][: max(1, min(5, len(at) // 2))]
    solution = np.linalg.lstsq(
        terms[:, order] / np.array(error)[:, None], inverse / np.array(error), rcond=None
    )[0]
    parameters = np.zeros(7)
    parameters[order] = solution
    parameters[5:] = at[0], at[-1]
    return parameters


def derive(jets: Columns, name: str) -> dict[str, dict[str, Any]]:
    """Levels of a jet algorithm, as `flashsim.reference.objects.corrections.payload` takes them."""
    edges = np.array(EDGES)
    both = np.concatenate([-edges[:0:-1], edges])
    levels: dict[str, dict[str, Any]] = {}
    first = np.ones(len(jets["pt"]))
    if name.endswith("chs"):
        slopes = offset_slopes(jets, edges)
        rows = np.stack([slopes, np.full(len(slopes), UNDERLYING)], axis=1)
        levels["L1FastJet"] = binned(
            both, OFFSET, ["JetPt", "JetA", "Rho"], np.concatenate([rows[::-1], rows])
        )
        k = np.clip(np.searchsorted(edges, np.abs(jets["eta"]), side="right") - 1, 0, len(slopes) - 1)
        lost = jets["area"] * slopes[k] * np.maximum(jets["rho"] - UNDERLYING, 0.0)
        first = np.maximum(0.1, 1.0 - lost / np.maximum(jets["pt"], 1e-9))
    closure = CLOSURE["chs" if name.endswith("chs") else "Puppi"]
    rows = np.array([response_fit(jets, first, *pair) for pair in pairwise(edges)])
    middle = (edges[:-1] + edges[1:]) / 2
    rows[:, :5] *= np.array(closure)[np.searchsorted(CLOSURE_ETA, middle), None]
    levels["L2Relative"] = binned(both, RESPONSE, ["JetPt"], np.concatenate([rows[::-1], rows]))
    return levels


def binned(
    edges: NDArray[np.float64], expression: str, variables: list[str], rows: NDArray[np.float64]
) -> dict[str, Any]:
    """Bins in eta, each with the formula and its own parameters, as correctionlib has them."""
    formulas = [
        {
            "nodetype": "formula",
            "expression": expression,
            "parser": "TFormula",
            "variables": variables,
            "parameters": [float(f"{value:.7g}") for value in row],
        }
        for row in rows
    ]
    return {
        "nodetype": "binning",
        "input": "JetEta",
        "edges": [float(edge) for edge in edges],
        "content": formulas,
        "flow": "clamp",
    }


def payload(tag: str, levels: dict[str, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Make the content of a file: for each jet algorithm its levels, in their order, and all of them."""
    inputs = {"L1FastJet": ["JetA", "JetEta", "JetPt", "Rho"], "L2Relative": ["JetEta", "JetPt"]}
    corrections, compound = [], []
    for jets, data in levels.items():
        stack = [f"{tag}_{level}_{jets}" for level in (*data, "L3Absolute")]
        for name, (level, content) in zip(stack, [*data.items(), ("L3Absolute", 1.0)], strict=True):
            corrections.append(
                {
                    "name": name,
                    "version": 1,
                    "inputs": [{"name": n, "type": "real"} for n in inputs.get(level, ["JetEta", "JetPt"])],
                    "output": {"name": "correction", "type": "real"},
                    "data": content,
                }
            )
        names = [{"name": n, "type": "real"} for n in inputs["L1FastJet"]]
        compound.append(
            {
                "name": f"{tag}_L1L2L3_{jets}",
                "inputs": names,
                "output": {"name": "correction", "type": "real"},
                "inputs_update": ["JetPt"],
                "input_op": "*",
                "output_op": "*",
                "stack": stack,
            }
        )
    return {"schema_version": 2, "corrections": corrections, "compound_corrections": compound}


def recordings(gen: Path, particles: Path, minbias: Path, era: str, events: int | None) -> Iterator[Recorded]:
    """Record the events of a sample in chunks."""
    fields = [branch.field for branch in STABLE_BRANCHES]
    names = [branch.name for branch in STABLE_BRANCHES]
    recipe = load_detector("full", era).recording
    with NanoFile(minbias) as file:
        library = Library.of(Collection.of_branches(file.read(names), STABLE, fields), recipe.pileup.min_pt)
    with NanoFile(gen) as source, NanoFile(particles) as beside:
        for start in range(0, min(events or source.num_entries, source.num_entries), CHUNK):
            truth = source.read(list(source.branches), start, start + CHUNK)
            hard = Collection.of_branches(beside.read(names, start, start + CHUNK), STABLE, fields)
            yield record(hard, truth, event_keys(truth), Streams(1, "full"), library, recipe)


def collect(chunks: Iterator[Recorded]) -> dict[str, Columns]:
    """Match jets of many events for each jet algorithm."""
    tables: dict[str, list[Columns]] = {name: [] for name in JETS}
    for recorded in chunks:
        for name, settings in JETS.items():
            tables[name].append(matches(recorded, *settings))
    return {
        name: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for name, parts in tables.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the corrections of an era."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jet_corrections", description=__doc__)
    parser.add_argument("era", choices=shipped_eras())
    for name in ("gen", "particles", "minbias"):
        parser.add_argument(f"--{name}", type=Path, required=True, help=f"{name}.root")
    parser.add_argument("--events", type=int, help="how many; all by default")
    parser.add_argument("--output", type=Path, help="by default that of reference/corrections")
    chosen = parser.parse_args(arguments)
    tables = collect(recordings(chosen.gen, chosen.particles, chosen.minbias, chosen.era, chosen.events))
    levels = {name: derive(jets, name) for name, jets in tables.items()}
    content = payload(f"FlashSim_{chosen.era}", levels)
    output = chosen.output or recipe_folder("reference") / "corrections" / f"{chosen.era}.json"
    output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{output}: corrections of {', '.join(levels)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
