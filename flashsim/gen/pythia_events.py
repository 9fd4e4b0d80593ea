"""Gen-level NanoAOD from a Pythia 8 command file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak

from flashsim.declarations.eras import DEFAULT_ERA, load_era
from flashsim.declarations.recipes import recipe_path
from flashsim.execution.whole_files import refuse_input
from flashsim.gen.blocks import EVENTS_PER_BLOCK, in_order
from flashsim.gen.command_file import CommandFile
from flashsim.gen.gen_file import Columns, GenFile, GenSummary, event_columns
from flashsim.gen.libraries import require
from flashsim.gen.pythia import CRASHED, CrossSection, PythiaGenerator, block_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flashsim.declarations.eras import GenEra
    from flashsim.gen.numbering import Numbering

__all__ = ["generate_gen"]


def generate_gen(
    command_file: str | Path,
    output: str | Path,
    *,
    events: int,
    seed: int,
    force: bool = False,
    workers: int = 1,
    particles: str | Path | None = None,
    era: GenEra | None = None,
    numbering: Numbering | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GenSummary:
    """Generate events with Pythia 8 and write them as gen-level NanoAOD.

    The same seed gives the same events whatever the number of workers, and the first n events of a longer
    run: events are made in blocks of `EVENTS_PER_BLOCK`, each with a Pythia seed of its own.

    Parameters
    ----------
    command_file
        Pythia settings: a shipped one such as ``vbf_hmumu.cmnd``, or the path of any.
    output
        NanoAOD file to write; it appears when it is complete.
    events
        How many to write, at least 1.
    seed
        Any integer.
    force
        Whether to replace an existing output.
    workers
        Processes to work in.
    particles
        A second file, for all their stable visible particles (`flashsim.gen.stable`).
    era
        Whose pileup, vertices and NanoAOD version events get, and whose energy in place of the command
        file's; by default those of `DEFAULT_ERA`, with the energy of the command file.
    numbering
        How events are numbered; by default with luminosity blocks that other jobs do not have.
    progress
        Called with the number of events done and to do, after each block.

    Raises
    ------
    RecipeError
        If there is no such command file, or Pythia does not accept it.
    OutputFileError
        If the output exists (without `force`), is the command file, or cannot be written.
    MissingDependencyError
        If pythia8mc or fastjet is not installed.
    ValueError
        If `events` or `workers` is below 1.
    """
    if events < 1 or workers < 1:
        msg = f"events and workers must be at least 1, found {events} and {workers}"
        raise ValueError(msg)
    settings = recipe_path("reference", command_file)
    for target in (output, particles or output):
        refuse_input(Path(target), settings)
    commands = CommandFile.read(settings)
    for package in ("pythia8mc", "fastjet"):
        require(package)
    cross_sections: list[CrossSection] = []
    taken = era or load_era(DEFAULT_ERA)
    energy = era.energy if era is not None else None
    block = _Block(settings, taken, energy, seed, particles is not None)
    with GenFile(output, particles=particles, force=force, numbering=numbering, era=taken) as file:
        for columns, cross_section in _blocks(block, events, workers):
            file.extend(columns)
            cross_sections.append(cross_section)
            if progress is not None:
                progress(file.events, events)
        return file.finish(CrossSection.combined(cross_sections), _provenance(block), notes=commands.notes())


def _provenance(block: _Block) -> dict[str, Any]:
    text = block.settings.read_text(encoding="utf-8", errors="replace")
    return {
        "command_file": block.settings.name,
        "settings": text,
        "seed": block.seed,
        "era": block.era.model_dump(mode="json"),
        "energy": block.energy,
    }


def _blocks(block: _Block, events: int, workers: int) -> Iterator[tuple[Columns, CrossSection]]:
    """Yield all blocks in order."""
    tasks = [
        replace(block, number=number, first=start + 1, events=min(EVENTS_PER_BLOCK, events - start))
        for number, start in enumerate(range(0, events, EVENTS_PER_BLOCK))
    ]
    return in_order(
        _generate,
        tasks,
        workers=min(workers, len(tasks)),
        preload=[__name__],
        crashed=f"{block.settings}: {CRASHED}",
    )


@dataclass(frozen=True)
class _Block:
    """A unit of work: `events` events from event number `first` on; what files beside it hold, if wanted."""

    settings: Path
    era: GenEra
    energy: float | None
    seed: int
    particles: bool
    number: int = 0
    first: int = 1
    events: int = 0


def _generate(block: _Block) -> tuple[Columns, CrossSection]:
    """Generate the events of a block and give their NanoAOD branches."""
    generator = PythiaGenerator(block.settings, block_seed(block.seed, block.number), energy=block.energy)
    parts = []
    first = block.first
    for batch in generator.batches(block.events):
        parts.append(event_columns(batch, block.seed, first, particles=block.particles, era=block.era))
        first += batch.record.events
    columns = {name: ak.concatenate([part[name] for part in parts]) for name in parts[0]}
    return columns, generator.cross_section()
