"""Closure on real FullSim: models against the events that they were not trained on.

Generates from the gen content of FullSim files, and compares with what FullSim itself has there: median and
half 68 % width of the pT response for gen pT > 30 GeV, reconstruction efficiency in bins of gen pT,
multiplicities, and how the objects of an event hang together. Several seeds make FlashSim's own statistical
error small beside FullSim's.

    python -m benchmarks.closure --models DIR --tables DIR --trained tt_2018_v5.root \
        --transfer tt_2022_v12.root --output closure.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import processor
from benchmarks.markdown import table
from flashsim.analysis.whole_events.joint import joint_lines
from flashsim.analysis.whole_events.reading import WholeEvents, read_whole_events
from flashsim.declarations.output import load_output
from flashsim.events.collection import Collection
from flashsim.events.copies import copy_branches, of_last_copies
from flashsim.events.gen_chunk import gen_branches, gen_chunk
from flashsim.events.matching import match
from flashsim.events.noise import EVENT_IDS
from flashsim.generation.generate import Generator
from flashsim.learning.tables import TRAINING_TABLES
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files
from flashsim.nanoaod.reading import NanoFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from flashsim.declarations.objects import ObjectDeclaration

PT_BINS = {
    "jets": (10.0, 15.0, 20.0, 30.0, 50.0, 100.0, np.inf),
    "muons": (0.0, 3.0, 5.0, 10.0, 20.0, 50.0, np.inf),
    "electrons": (0.0, 5.0, 10.0, 20.0, 50.0, np.inf),
}
RESPONSE_FROM = 30.0


@dataclass(frozen=True)
class Measured:
    """What is compared, of one sample.

    Parameters
    ----------
    objects
        Matched objects with gen pT above 30 GeV.
    median, width
        Of their pT response; half of the central 68 % interval.
    found, total
        Reconstructed and all gen objects in each bin of gen pT.
    per_event, per_event_error
        Mean number of reconstructed objects of an event above 20 and 30 GeV, and of unmatched ones.
    """

    objects: int
    median: float
    width: float
    found: list[int]
    total: list[int]
    per_event: dict[str, float]
    per_event_error: dict[str, float]


def measure(path: str, declaration: ObjectDeclaration, chosen: NDArray[np.bool_] | None) -> Measured:
    """Compare the reconstructed objects of a file with its gen objects, in the chosen events."""
    fields = ("pt", "eta", "phi", declaration.match)
    reco_names = [declaration.branch(field) for field in fields]
    with NanoFile(path) as file:
        needed = {*EVENT_IDS, *gen_branches(declaration), *copy_branches(declaration), *reco_names}
        arrays = file.read(sorted(needed))
    gen = gen_chunk(declaration, arrays).collections[declaration.gen]
    reco = of_last_copies(declaration, arrays, Collection.of_branches(arrays, declaration.collection, fields))
    rows = match(gen, reco, declaration.match)
    if chosen is None:
        chosen = np.ones(gen.events, dtype=bool)
    found = (rows >= 0) & chosen[gen.event_rows]
    gen_pt = gen["pt"].astype(np.float64)
    response = reco["pt"].astype(np.float64)[rows[found]] / gen_pt[found]
    response = response[gen_pt[found] > RESPONSE_FROM]
    low, median, high = np.quantile(response, [0.16, 0.5, 0.84]) if len(response) else (np.nan,) * 3
    bins = np.array(PT_BINS[declaration.name])
    unmatched = np.ones(len(reco), dtype=bool)
    unmatched[rows[rows >= 0]] = False
    counted = {
        "above 20 GeV": reco["pt"] > 20.0,
        "above 30 GeV": reco["pt"] > 30.0,
        "unmatched": unmatched,
    }
    numbers = {
        name: np.bincount(reco.event_rows[which], minlength=reco.events)[chosen]
        for name, which in counted.items()
    }
    return Measured(
        objects=len(response),
        median=float(median),
        width=float((high - low) / 2.0),
        found=np.histogram(gen_pt[found], bins)[0].tolist(),
        total=np.histogram(gen_pt[chosen[gen.event_rows]], bins)[0].tolist(),
        per_event={name: float(number.mean()) for name, number in numbers.items()},
        per_event_error={
            name: float(number.std() / np.sqrt(max(len(number), 1))) for name, number in numbers.items()
        },
    )


def test_events(source: str, tables: Path) -> NDArray[np.bool_]:
    """Which events of a file are in the test split of the tables."""
    table = TRAINING_TABLES.read(tables, "test", "events")
    kept = set(map(tuple, table[list(EVENT_IDS)].to_numpy().tolist()))
    with NanoFile(source) as file:
        ids = file.read(list(EVENT_IDS))
    events = zip(*(np.asarray(ids[name]).tolist() for name in EVENT_IDS), strict=True)
    return np.array([event in kept for event in events], dtype=bool)


def compare(full: Measured, flash: list[Measured]) -> dict[str, Any]:
    """Differences between FlashSim (mean of the seeds) and FullSim, with their errors."""
    median, width = (float(np.mean([getattr(m, name) for m in flash])) for name in ("median", "width"))
    total = np.array(full.total)
    efficiency_full = np.array(full.found) / np.maximum(total, 1)
    efficiency = np.mean([m.found for m in flash], axis=0) / np.maximum(total, 1)
    # Binomial error of FullSim around the expectation that is tested, one object at least.
    expected = np.clip(efficiency, 1.0 / np.maximum(total + 1, 2), 1.0 - 1.0 / np.maximum(total + 1, 2))
    error = np.sqrt(expected * (1.0 - expected) / np.maximum(total, 1))
    per_event = {key: float(np.mean([m.per_event[key] for m in flash])) for key in full.per_event}
    return {
        "full": asdict(full),
        "flash": {"median": median, "width": width, "per_event": per_event},
        "median_difference": median - full.median,
        "median_error": 1.253 * full.width / np.sqrt(max(full.objects, 1)),
        "width_difference": width - full.width,
        "efficiency": [
            {"gen": int(n), "full": float(a), "flash": float(b), "pull": float((b - a) / e)}
            for n, a, b, e in zip(total, efficiency_full, efficiency, error, strict=True)
        ],
    }


def closure(models: Path, tables: Path, trained: str, transfer: list[str], seeds: int) -> dict[str, Any]:
    """Run all comparisons."""
    loaded = [ObjectModel.load(path) for path in model_files([models])]
    result: dict[str, Any] = {
        "machine": processor(),
        "date": datetime.now(UTC).date().isoformat(),
        "seeds": seeds,
        "bins": {name: [str(edge) for edge in edges] for name, edges in PT_BINS.items()},
        "trained": Path(trained).name,
    }
    with tempfile.TemporaryDirectory() as folder:
        for source in [trained, *transfer]:
            outputs = [Path(folder) / f"{Path(source).stem}_{seed}.root" for seed in range(seeds)]
            for seed, output in enumerate(outputs):
                Generator(loaded, load_output(), seed=seed + 1).run(source, output)
            for declaration in (model.declaration for model in loaded):
                if declaration.per == "event":
                    continue
                chosen = test_events(source, tables / declaration.name) if source == trained else None
                full = measure(source, declaration, chosen)
                flash = [measure(str(output), declaration, chosen) for output in outputs]
                result.setdefault(Path(source).name, {})[declaration.name] = compare(full, flash)
            of_jets = tables / "jets"
            chosen = test_events(source, of_jets) if source == trained and of_jets.is_dir() else None
            result.setdefault("together", {})[Path(source).name] = together(source, outputs, chosen)
    return result


def together(source: str, outputs: list[Path], chosen: NDArray[np.bool_] | None) -> list[dict[str, Any]]:
    """Compare how the objects of an event hang together, in the chosen events, over all seeds."""
    rows = slice(None) if chosen is None else np.flatnonzero(chosen)

    def read(path: str | Path) -> WholeEvents:
        whole = read_whole_events(path)
        return whole.take(np.arange(whole.events)[rows])

    lines = joint_lines([read(source)], WholeEvents.joined([read(path) for path in outputs]))
    return [asdict(line) | {"passes": line.passes} for line in lines]


def _render_together(lines: list[dict[str, Any]]) -> Iterator[str]:
    """Give the lines of a table, with what differs in bold."""
    yield from ("**How objects hang together**", "")
    rows = []
    for line in lines:
        real, ours = (f"{value:.3f} ± {error:.3f}" for value, error in (line["real"], line["simulated"]))
        rows.append((line["quantity"], real, ours if line["passes"] else f"**{ours}**"))
    yield from table(("", "FullSim", "FlashSim"), rows)
    yield ""


def render(result: dict[str, Any]) -> str:
    """Markdown tables of the comparisons."""
    lines: list[str] = []
    for source, objects in result.items():
        if not source.endswith(".root"):
            continue
        which = ", test events" if source == result["trained"] else ""
        for name, found in objects.items():
            objects_measured = f"{found['full']['objects']} matched with gen pT > {RESPONSE_FROM:.0f} GeV"
            lines += [
                f"**{source}, {name}**{which} ({objects_measured})",
                "",
                "| | FullSim | FlashSim | difference |",
                "|---|---|---|---|",
                (
                    f"| median response | {found['full']['median']:.4f} ± {found['median_error']:.4f} "
                    f"| {found['flash']['median']:.4f} | {found['median_difference']:+.4f} |"
                ),
                (
                    f"| half 68 % width | {found['full']['width']:.4f} | {found['flash']['width']:.4f} "
                    f"| {found['width_difference']:+.4f} |"
                ),
            ]
            for key, value in found["full"]["per_event"].items():
                ours = found["flash"]["per_event"][key]
                error = found["full"]["per_event_error"][key]
                relative = f"{ours / value - 1.0:+.1%}" if value else "no objects"
                lines.append(f"| per event, {key} | {value:.3f} ± {error:.3f} | {ours:.3f} | {relative} |")
            edges = result["bins"][name]
            for number, row in enumerate(found["efficiency"]):
                lines.append(
                    f"| efficiency, gen pT {edges[number]}-{edges[number + 1]} GeV ({row['gen']}) "
                    f"| {row['full']:.3f} | {row['flash']:.3f} | {row['pull']:+.1f} σ |"
                )
            lines.append("")
        if source in (of_source := result.get("together", {})):
            lines += _render_together(of_source[source])
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True, help="folder of model files")
    parser.add_argument("--tables", type=Path, required=True, help="folder with tables of each object")
    parser.add_argument("--trained", required=True, help="the file that they were trained on")
    parser.add_argument("--transfer", nargs="*", default=[], help="other files")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args()
    result = closure(options.models, options.tables, options.trained, options.transfer, options.seeds)
    if options.output is not None:
        options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(render(result))


if __name__ == "__main__":
    main()
