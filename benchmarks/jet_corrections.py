"""Jet corrections of the reference detector, made from its own events: reference/corrections/ERA.json.

Isolated gen jets without prompt leptons are looked for among raw reconstructed jets. The offset of CHS jets
is the slope of the raw pT against area times rho at fixed gen pT. The response is the median of what remains
over gen pT in bins of gen pT and eta, jets that are not found included (as zero), so that thresholds do not
bias it. Its inverse is fitted as a function of the reconstructed pT, and again with what the corrected jets
lack, until their median response is one. A table of these medians says how well that holds.

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

from benchmarks.markdown import table
from flashsim.declarations.eras import shipped_eras
from flashsim.declarations.recipes import recipe_folder
from flashsim.events.collection import Collection
from flashsim.events.identity import event_keys
from flashsim.events.neighbours import closest
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.stable import STABLE, STABLE_BRANCHES
from flashsim.reference.flow.recorded import record
from flashsim.reference.objects.clustering import anti_kt
from flashsim.reference.objects.corrections import OFFSET, RESPONSE, JetCorrections, inverse_response
from flashsim.reference.objects.jets import weights
from flashsim.reference.particles.overlay import Library
from flashsim.reference.particles.streams import Streams
from flashsim.reference.recipe import load_detector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.jets import Kind

    Columns = dict[str, NDArray[np.float64]]
    Levels = dict[str, dict[str, Any]]

JETS: dict[str, tuple[Kind, float, str]] = {
    "AK4PFchs": ("CHS", 0.4, "GenJet"),
    "AK4PFPuppi": ("Puppi", 0.4, "GenJet"),
    "AK8PFPuppi": ("Puppi", 0.8, "GenJetAK8"),
}
"""Kind of candidates, radius, and gen jets."""
EDGES = (0.0, 0.4, 0.8, 1.2, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.2, 3.7, 5.2)
ISOLATION = 1.5
"""No other gen jet of 0.3 of the pT within so many radii."""
RAW_PT = 5.0
"""Least raw pT in GeV."""
CHUNK = 200
"""Events in memory."""
FEWEST, MOST_BINS, LEAST_FOUND = 100, 16, 0.6
"""Gen jets of a bin in pT, bins, and the share of found jets below which a bin is left out."""
ROUNDS = 3
"""Fits of the response, each to what the one before left."""
CLOSURE_ETA, CLOSURE_PT = (0.0, 1.3, 2.4, 3.0, 5.2), (15, 20, 30, 50, 100, 300)
"""Ranges in |eta| and gen pT of the table."""


def matches(recorded: Recorded, kind: Kind, radius: float, gen_jets: str) -> Columns:
    """Find the raw jets of isolated gen jets: genPt, eta (of the gen jet without one), pt, area, rho."""
    found = anti_kt(
        recorded.candidates,
        weights(recorded.candidates, kind),
        recorded.streams.states(recorded.keys, f"jets {kind}"),
        radius=radius,
        min_pt=RAW_PT,
    ).objects
    gen = Collection.of_branches(recorded.gen, gen_jets, ("pt", "eta", "phi"))
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
    return {name: values[kept].astype(np.float64) for name, values in columns.items()}


def offset_slopes(jets: Columns) -> NDArray[np.float64]:
    """Offset over area and rho of each bin in |eta|, shape (bins,)."""
    slopes = []
    for low, high in pairwise(EDGES):
        here = (np.abs(jets["eta"]) >= low) & (np.abs(jets["eta"]) < high)
        here &= (jets["genPt"] > 17) & (jets["genPt"] < 100) & (jets["pt"] > 0)
        gen, pt = jets["genPt"][here], jets["pt"][here]
        terms = np.stack([np.ones(len(gen)), gen, gen**2, (jets["area"] * jets["rho"])[here]], axis=1)
        kept = np.ones(len(gen), dtype=np.bool_)
        for _ in range(4):  # without tails: lost jets, and jets of two
            solution = np.linalg.lstsq(terms[kept], pt[kept], rcond=None)[0]
            away = np.abs(pt - terms @ solution) / np.sqrt(gen)
            kept = away < 2.5 * 1.48 * np.median(away)
        slopes.append(max(solution[3], 0.0))
    return np.array(slopes)


def response_fit(gen: NDArray[np.float64], pt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Parameters of `RESPONSE` for jets of a range in |eta|, from their gen pT and the pT to correct."""
    bins = np.array_split(np.argsort(gen), max(1, min(MOST_BINS, len(gen) // FEWEST)))
    # Where most are lost even among the hardest, only those that are found tell a response.
    kept = [b for b in bins if np.mean(pt[b] > 0) > LEAST_FOUND] or [bins[-1][pt[bins[-1]] > 0]]
    at, inverse, error = np.empty((3, len(kept)))
    for number, chosen in enumerate(kept):
        ratio = pt[chosen] / gen[chosen]
        response = np.median(ratio)
        spread = np.quantile(ratio, 0.84) - response
        at[number], inverse[number] = response * np.median(gen[chosen]), 1.0 / response
        error[number] = max(1.25 * spread / np.sqrt(len(chosen)), 0.003) / response**2
    order = [0, 3, 1, 2, 4][: min(5, (len(at) + 1) // 2)]
    parameters = np.zeros(7)
    parameters[5:] = max(at[0], RAW_PT), at[-1]
    terms = np.stack([np.ones(len(at)), np.log(at), np.log(at) ** 2, 1 / at, 1 / at**2], axis=1)[:, order]
    for _ in range(ROUNDS):
        parameters[order] = np.linalg.lstsq(terms / error[:, None], inverse / error, rcond=None)[0]
        corrected = pt * inverse_response(parameters, pt)
        inverse = inverse / [np.median(corrected[chosen] / gen[chosen]) for chosen in kept]
    return parameters


def derive(jets: Columns, name: str) -> Levels:
    """Levels of a jet algorithm, as `payload` takes them."""
    eta, first, levels = np.abs(jets["eta"]), np.ones(len(jets["pt"])), {}
    if name.endswith("chs"):
        slopes = offset_slopes(jets)
        levels["L1FastJet"] = binned(OFFSET, ["JetPt", "JetA", "Rho"], slopes[:, None])
        slope = slopes[np.clip(np.searchsorted(EDGES, eta, side="right") - 1, 0, len(slopes) - 1)]
        first = np.maximum(0.1, 1.0 - slope * jets["area"] * jets["rho"] / np.maximum(jets["pt"], 1e-9))
    inside = [(eta >= low) & (eta < high) for low, high in pairwise(EDGES)]
    rows = [response_fit(jets["genPt"][here], (jets["pt"] * first)[here]) for here in inside]
    levels["L2Relative"] = binned(RESPONSE, ["JetPt"], np.array(rows))
    return levels


def binned(expression: str, variables: list[str], rows: NDArray[np.float64]) -> dict[str, Any]:
    """Bins in eta, the formula with parameters for each bin in |eta|, as correctionlib has them."""
    formula = {"nodetype": "formula", "expression": expression, "parser": "TFormula", "variables": variables}
    formulas = [formula | {"parameters": [float(f"{value:.7g}") for value in row]} for row in rows]
    return {
        "nodetype": "binning",
        "input": "JetEta",
        "edges": [-edge for edge in EDGES[:0:-1]] + list(EDGES),
        "content": formulas[::-1] + formulas,
        "flow": "clamp",
    }


def payload(tag: str, levels: dict[str, Levels]) -> dict[str, Any]:
    """Make the content of a file: for each jet algorithm its levels, in their order, and all of them."""
    names = {"L1FastJet": ["JetA", "JetEta", "JetPt", "Rho"], "L2Relative": ["JetEta", "JetPt"]}
    names["L3Absolute"] = names["L2Relative"]
    inputs = {level: [{"name": n, "type": "real"} for n in given] for level, given in names.items()}
    output = {"output": {"name": "correction", "type": "real"}}
    corrections, compound = [], []
    for jets, data in levels.items():
        every = data | {"L3Absolute": 1.0}
        stack = [f"{tag}_{level}_{jets}" for level in every]
        corrections += [
            {"name": name, "version": 1, "inputs": inputs[level], **output, "data": every[level]}
            for name, level in zip(stack, every, strict=True)
        ]
        steps = {"inputs_update": ["JetPt"], "input_op": "*", "output_op": "*", "stack": stack}
        compound.append({"name": f"{tag}_L1L2L3_{jets}", "inputs": inputs["L1FastJet"], **output, **steps})
    return {"schema_version": 2, "corrections": corrections, "compound_corrections": compound}


def closure(jets: Columns, corrections: JetCorrections, name: str) -> Iterator[list[str]]:
    """Median of corrected pT / gen pT with its error, a row for each range in |eta|, a column in gen pT."""
    found = jets["pt"] > 0
    given = {key: np.where(found, jets[key], 1.0) for key in ("area", "eta", "pt", "rho")}
    ratio = jets["pt"] * corrections.factors(name, **given)[1] / jets["genPt"]
    for low, high in pairwise(CLOSURE_ETA):
        cells = []
        for least, most in pairwise(CLOSURE_PT):
            here = (np.abs(jets["eta"]) >= low) & (np.abs(jets["eta"]) < high)
            values = ratio[here & (jets["genPt"] >= least) & (jets["genPt"] < most)]
            if len(values) < FEWEST:
                cells.append("-")
                continue
            error = 1.25 * np.diff(np.quantile(values, (0.16, 0.84)))[0] / 2 / np.sqrt(len(values))
            cells.append(f"{np.median(values):.3f} ± {error:.3f}")
        yield [f"{name}, {low} to {high}", *cells]


def recordings(gen: Path, particles: Path, minbias: Path, era: str) -> Iterator[Recorded]:
    """Record the events of a sample in chunks."""
    fields = [branch.field for branch in STABLE_BRANCHES]
    names = [branch.name for branch in STABLE_BRANCHES]
    recipe = load_detector("full", era).recording
    with NanoFile(minbias) as file:
        library = Library.of(Collection.of_branches(file.read(names), STABLE, fields), recipe.pileup.min_pt)
    with NanoFile(gen) as source, NanoFile(particles) as beside:
        for start in range(0, source.num_entries, CHUNK):
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
    """Write the corrections of an era, and print how well they close."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jet_corrections", description=__doc__)
    parser.add_argument("era", choices=shipped_eras())
    for name in ("gen", "particles"):
        parser.add_argument(
            f"--{name}", type=Path, nargs="+", required=True, help=f"{name}.root, one or more"
        )
    parser.add_argument("--minbias", type=Path, required=True, help="minbias.root")
    parser.add_argument("--output", type=Path, help="by default that of reference/corrections")
    chosen = parser.parse_args(arguments)
    chunks = (
        chunk
        for gen, particles in zip(chosen.gen, chosen.particles, strict=True)
        for chunk in recordings(gen, particles, chosen.minbias, chosen.era)
    )
    tables = collect(chunks)
    content = payload(f"FlashSim_{chosen.era}", {name: derive(jets, name) for name, jets in tables.items()})
    output = chosen.output or recipe_folder("reference") / "corrections" / f"{chosen.era}.json"
    output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    made = JetCorrections.load(str(output))
    rows = [row for name, jets in tables.items() for row in closure(jets, made, name)]
    head = [f"gen pT {least} to {most} GeV" for least, most in pairwise(CLOSURE_PT)]
    print("\n".join([f"{output}: median of corrected pT / gen pT", "", *table(["jets", *head], rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
