"""From HepMC files to gen-level NanoAOD."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flashsim.gen.gen_file import GenFile, GenSummary, event_columns
from flashsim.gen.hepmc.reader import HepMCReader
from flashsim.gen.libraries import require

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["convert_hepmc", "is_hepmc"]

_FIRST_LINE, _HEADER = b"HepMC::", 64
_SUFFIXES = re.compile(r"\.(hepmc[23]?)(\.(gz|bz2|xz|zst|zstd))?$", re.IGNORECASE)


def is_hepmc(path: str | Path) -> bool:
    """Whether a file holds HepMC events, by its name (such as ``.hepmc.gz``) or its first line."""
    if _SUFFIXES.search(str(path)):
        return True
    try:
        with Path(path).open("rb") as file:
            return _FIRST_LINE in file.read(_HEADER)
    except OSError:
        return False


def convert_hepmc(
    source: str | Path,
    output: str | Path,
    *,
    events: int | None = None,
    seed: int = 1,
    force: bool = False,
    hidden: str | Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> GenSummary:
    """Write the events of a HepMC file as gen-level NanoAOD (v9 branches).

    `genWeight` is the first weight, which HepMC holds for the nominal one. Every other is a branch
    ``GenWeight_*`` of its own, an event weight to be used in place of `genWeight`, with the generator's name
    as its title; its sum is ``GenWeightSumw_*`` in Runs. Events are numbered anew, from 1.

    Parameters
    ----------
    source
        HepMC3 or HepMC2 text, compressed if the name ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst``.
    output
        NanoAOD file to write; it appears when it is complete.
    events
        How many to write at most; default all.
    seed
        Of pileup and vertices, which HepMC files do not hold.
    force
        Whether to replace an existing output.
    hidden
        A second file, for the hidden variables of the same events (`flashsim.gen.hidden`).
    progress
        Called with the number of events done and `events`, after each batch.

    Raises
    ------
    InputFileError
        If the file is not there, is not HepMC, holds no event, is cut off or damaged.
    OutputFileError
        If the output exists (without `force`) or cannot be written.
    MissingDependencyError
        If pyhepmc or fastjet is not installed.
    ValueError
        If `events` is below 1.
    """
    if events is not None and events < 1:
        msg = f"events must be at least 1, found {events}"
        raise ValueError(msg)
    require("fastjet")
    with HepMCReader(source) as reader:
        branches = _weight_branches(reader.weight_names[1:])
        weights = dict(zip(branches, reader.weight_names[1:], strict=True))
        with GenFile(output, hidden=hidden, force=force, weights=weights) as file:
            for batch, values in reader.batches(events):
                columns = event_columns(batch, seed, file.events + 1, hidden=hidden is not None)
                columns |= dict(zip(branches, values[:, 1:].T.astype(np.float32), strict=True))
                file.extend(columns)
                if progress is not None:
                    progress(file.events, events)
            provenance = {
                "hepmc_file": reader.path.name,
                "generators": reader.generators,
                "seed": seed,
                "weight": reader.weight_names[0],
                "weights": weights,
            }
            return file.finish(reader.cross_section, provenance)


def _weight_branches(names: list[str]) -> list[str]:
    """Branch names of weights: what is no letter or digit becomes an underscore, twins get a number."""
    branches: list[str] = []
    for number, name in enumerate(names, start=1):
        stem = "GenWeight_" + (re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_") or str(number))
        branch, twin = stem, 2
        while branch in branches:
            branch, twin = f"{stem}_{twin}", twin + 1
        branches.append(branch)
    return branches
