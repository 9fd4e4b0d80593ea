"""Speed of the reference simulation's detectors.

    python -m benchmarks.detector GEN_DIR [--events 5000] [--chunk 5000] [--repeats 5]

passes gen-level events of a folder with ``gen.root`` and ``hidden.root`` through each shipped detector on one
core, and prints a JSON object: gen jets a second of jets alone, and events a second of everything, by CPU
time. Each is the best of some passes after one to warm up.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uproot

from benchmarks.machine import processor
from flashsim.reference.detect import DEFAULT_CHUNK
from flashsim.reference.detector.jets import jets
from flashsim.reference.detector.parameters import load_detector
from flashsim.reference.detector.pileup import energy_density
from flashsim.reference.detector.reconstruction import reconstruct
from flashsim.reference.detector.truth import GEN_BRANCHES, HIDDEN_BRANCHES, Noise, Truth, read_truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from flashsim.reference.detector.parameters import DetectorRecipe

__all__ = ["main", "measured"]

DETECTORS = ("full", "fast")


def main() -> None:
    """Parse the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with gen.root and hidden.root")
    parser.add_argument("--events", type=int, default=DEFAULT_CHUNK, help="events of a pass")
    parser.add_argument(
        "--chunk", type=int, default=DEFAULT_CHUNK, help="events at a time; by default as detectors take them"
    )
    parser.add_argument("--repeats", type=int, default=5, help="passes, of which the best counts")
    options = parser.parse_args()
    chunks = _read(options.folder, options.events, options.chunk)
    result: dict[str, Any] = {"machine": processor(), "chunk": options.chunk}
    for name in DETECTORS:
        result[name] = measured(chunks, name, load_detector(name), options.repeats)
    print(json.dumps(result, indent=2))


def measured(chunks: list[Truth], name: str, recipe: DetectorRecipe, repeats: int) -> dict[str, float]:
    """Measure the rates of one detector.

    Parameters
    ----------
    chunks
        Events, some at a time.
    name, recipe
        The detector.
    repeats
        How often all of them are passed; the fastest pass counts.
    """
    noise = Noise(1, name)

    def make_jets(truth: Truth) -> None:
        jets(truth, noise, recipe.jets, energy_density(truth, noise, recipe.pileup))

    def make_events(truth: Truth) -> None:
        reconstruct(truth, noise, recipe)

    gen_jets = sum(len(truth.jets) for truth in chunks)
    events = sum(truth.events for truth in chunks)
    return {
        "gen_jets_per_second": gen_jets / _seconds(make_jets, chunks, repeats),
        "events_per_second": events / _seconds(make_events, chunks, repeats),
    }


def _seconds(work: Callable[[Truth], None], chunks: list[Truth], repeats: int) -> float:
    work(chunks[0])  # compiles

    def one_pass() -> float:
        start = time.process_time()
        for truth in chunks:
            work(truth)
        return time.process_time() - start

    return min(one_pass() for _ in range(repeats))


def _read(folder: Path, events: int, chunk: int) -> list[Truth]:
    with uproot.open(folder / "gen.root") as gen, uproot.open(folder / "hidden.root") as hidden:
        total = min(events, gen["Events"].num_entries)
        chunks = []
        for start in range(0, total, chunk):
            stop = min(start + chunk, total)
            columns = [
                {name: file["Events"][name].array(entry_start=start, entry_stop=stop) for name in names}
                for file, names in ((gen, GEN_BRANCHES), (hidden, HIDDEN_BRANCHES))
            ]
            chunks.append(read_truth(*columns))
    return chunks


if __name__ == "__main__":
    main()
