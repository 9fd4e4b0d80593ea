"""From HepMC files to gen-level NanoAOD."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flashsim.declarations.eras import DEFAULT_ERA, load_era
from flashsim.errors import InputFileError
from flashsim.execution.whole_files import refuse_input
from flashsim.gen.cross_sections import FileCrossSection, combined
from flashsim.gen.gen_file import GenFile, GenSummary, UsedWeight, event_columns
from flashsim.gen.hepmc.reader import HepMCReader
from flashsim.gen.libraries import require
from flashsim.gen.weights import weight_branches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.eras import GenEra
    from flashsim.gen.numbering import Numbering
    from flashsim.gen.pythia import GeneratedEvents

__all__ = ["convert_hepmc"]


def convert_hepmc(
    source: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    events: int | None = None,
    seed: int = 1,
    weight: str | None = None,
    force: bool = False,
    particles: str | Path | None = None,
    era: GenEra | None = None,
    numbering: Numbering | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> GenSummary:
    """Write the events of a HepMC file as gen-level NanoAOD.

    `genWeight` is the nominal weight, found by its name (`flashsim.gen.weights.nominal_index`). Every other
    is a branch ``GenWeight_*`` of its own, an event weight to be used in place of `genWeight`, with the
    generator's name as its title; its sum is ``GenWeightSumw_*`` in Runs. Events get new
    numbers (`numbering`). An event without particles is written empty: its weight is in the sums.

    Parameters
    ----------
    source
        HepMC3 or HepMC2 text, compressed or not; or several files of one process, whose events are joined
        in this order. Their cross sections are averaged by events.
    output
        NanoAOD file to write; it appears when it is complete.
    events
        How many to write at most; default all.
    seed
        Of pileup and vertices, which HepMC files do not hold.
    weight
        Name of the weight to take for `genWeight`.
    force
        Whether to replace an existing output.
    particles
        A second file, for all their stable visible particles (`flashsim.gen.stable`).
    era
        Whose pileup, vertices and NanoAOD version events get; by default those of `DEFAULT_ERA`.
    numbering
        How events are numbered; by default with luminosity blocks that files of other events do not have.
    progress
        Called with the number of events done and `events`, after each batch.

    Raises
    ------
    InputFileError
        If the file is not there, is not HepMC, holds no event, is cut off or damaged, has no weight of the
        wanted name; if an event holds what cannot be true or stored; or if the weights of two files have
        other names.
    OutputFileError
        If the output exists (without `force`), is an input, or cannot be written.
    MissingDependencyError
        If fastjet is not installed.
    ValueError
        If `events` is below 1.
    """
    if events is not None and events < 1:
        msg = f"events must be at least 1, found {events}"
        raise ValueError(msg)
    paths = [Path(source)] if isinstance(source, str | Path) else [Path(path) for path in source]
    for target in (output, particles or output):
        refuse_input(Path(target), *paths)
    require("fastjet")
    taken = era or load_era(DEFAULT_ERA)
    with HepMCReader(paths[0], weight=weight) as first:
        others = [index for index in range(len(first.weight_names)) if index != first.nominal]
        names = [first.weight_names[index] for index in others]
        branches = weight_branches(names)
        weights = dict(zip(branches, names, strict=True))
        empty = 0
        cross_sections: list[FileCrossSection] = []
        generators: list[str] = []
        with GenFile(
            output,
            particles=particles,
            force=force,
            weights=weights,
            numbering=numbering,
            era=taken,
        ) as file:
            for reader, batch, values in _batches(first, paths, events):
                columns = event_columns(
                    batch,
                    seed,
                    file.events + 1,
                    particles=particles is not None,
                    era=taken,
                )
                columns |= dict(zip(branches, values[:, others].T, strict=True))
                empty += int(np.count_nonzero(np.diff(batch.record.offsets) == 0))
                file.extend(columns)
                _count(cross_sections, reader, len(values))
                generators += [name for name in reader.generators if name not in generators]
                if progress is not None:
                    progress(file.events, events)
            cross_section, notes = combined(cross_sections)
            provenance = {
                "hepmc_file": paths[0].name,
                "inputs": [{"file": part.path.name, "events": part.events} for part in cross_sections],
                "generators": generators,
                "seed": seed,
                "era": taken.model_dump(mode="json"),
                "weights": weights,
                "events_without_particles": empty,
            }
            used = UsedWeight(first.weight_names[first.nominal], len(first.weight_names))
            notes += _notes(first, empty)
            return file.finish(cross_section, provenance, notes=notes, weight=used)


def _notes(first: HepMCReader, empty: int) -> list[str]:
    notes = []
    if not first.nominal_known:
        notes.append(
            f"none of the {len(first.weight_names)} weights is named as the nominal one: the first, "
            f"'{first.weight_names[0]}', is taken; choose another with --weight NAME"
        )
    if first.other_chosen and first.one_cross_section:
        notes.append(
            "the cross section is that of the nominal weight: the file has none of "
            f"'{first.weight_names[first.nominal]}'"
        )
    if empty:
        have = "event has" if empty == 1 else "events have"
        notes.append(f"{empty} {have} no particles: written empty, with the weight in the sums")
    return notes


def _batches(
    first: HepMCReader, paths: list[Path], events: int | None
) -> Iterator[tuple[HepMCReader, GeneratedEvents, NDArray[np.float64]]]:
    """Events of all files in turn, `events` at most, each batch with the reader that it comes from."""
    left = events
    for number, path in enumerate(paths):
        if left == 0:
            return
        with first if number == 0 else HepMCReader(path) as reader:
            if reader.weight_names != first.weight_names:
                msg = (
                    f"{path}: its weights have other names than those of {first.path} "
                    f"({_difference(reader.weight_names, first.weight_names)}); give files of one run"
                )
                raise InputFileError(msg)
            reader.nominal = first.nominal
            for batch, values in reader.batches(left):
                left = None if left is None else left - len(values)
                yield reader, batch, values


def _difference(names: list[str], expected: list[str]) -> str:
    """Say in a few words how lists of names differ."""
    if len(names) != len(expected):
        return f"{len(names)} weights, expected {len(expected)}"
    place = next(k for k, name in enumerate(names) if name != expected[k])
    return f"weight {place + 1} is '{names[place]}', expected '{expected[place]}'"


def _count(cross_sections: list[FileCrossSection], reader: HepMCReader, events: int) -> None:
    """Add events to what is known of their file; its cross section is what it says last."""
    before = 0
    if cross_sections and cross_sections[-1].path == reader.path:
        before = cross_sections.pop().events
    cross_sections.append(FileCrossSection(reader.path, before + events, reader.cross_section))
