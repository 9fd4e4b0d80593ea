"""Gen-level events to simulate: some of Pythia 8, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.gen.pythia_events import generate_gen
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PROCESS", "make_events", "repeated_events"]

PROCESS = "vbf_hmumu.cmnd"


def make_events(output: Path, events: int) -> Path:
    """Write gen-level events of vector-boson fusion, with multiparton interactions."""
    generate_gen(PROCESS, output, events=events, seed=1)
    return output


def repeated_events(source: Path, output: Path, events: int) -> Path:
    """Write a file with so many events: those of the source again and again, with numbers of their own."""
    with NanoFile(source) as file, NanoWriter(output, force=True) as writer:
        arrays = file.read(list(file.branches))
        writer.tree("Events", list(file.branches.values()), counter_titles=file.counter_titles)
        for start in range(0, events, file.num_entries):
            part = {name: array[: events - start] for name, array in arrays.items()}
            part["event"] = np.arange(start + 1, start + 1 + len(part["event"]))
            writer.extend("Events", part)
        for name in file.trees:
            branches, columns = file.read_tree(name)
            writer.tree(name, list(branches.values()))
            writer.extend(name, columns)
    return output
