"""Gen-level NanoAOD from whatever a user has: HepMC events, LHE events, or settings of Pythia 8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.declarations.eras import load_era
from flashsim.declarations.recipes import recipe_path
from flashsim.errors import InputFileError, RecipeError
from flashsim.gen.command_file import CommandFile
from flashsim.gen.hepmc import convert_hepmc
from flashsim.gen.kinds import Kind, inputs_of_one_kind, kind_of
from flashsim.gen.lhe import shower_lhe
from flashsim.gen.numbering import Numbering
from flashsim.gen.pythia_events import generate_gen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flashsim.gen.gen_file import GenSummary

__all__ = ["DEFAULT_EVENTS", "make_gen"]

DEFAULT_EVENTS = 1000
"""Events that Pythia makes where no number is given."""


def make_gen(
    source: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    settings: str | Path | None = None,
    events: int | None = None,
    seed: int = 1,
    weight: str | None = None,
    workers: int = 1,
    era: str | Path | None = None,
    run: int = 1,
    lumi: int | None = None,
    first_event: int = 1,
    force: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> GenSummary:
    """Write gen-level NanoAOD from HepMC events (`convert_hepmc`), LHE events (`shower_lhe`) or Pythia 8.

    Parameters
    ----------
    source
        Event files, recognised by their content, or a Pythia 8 command file: a path, a glob, a folder of
        event files, ``@FILE``, or several of them, all of one kind.
    output
        NanoAOD file to write; it appears when it is complete.
    settings
        Pythia settings for LHE events.
    events
        How many; default: all of event files, `DEFAULT_EVENTS` of Pythia.
    seed
        Any integer.
    weight
        Name of the weight of HepMC events to take for `genWeight`; by default the nominal one.
    workers
        Processes of Pythia; HepMC text is read by one.
    era
        Name or file of the era whose pileup, vertices and NanoAOD version events get. Pythia collides beams
        of its energy, unless it reads events.
    run, lumi, first_event
        Run, first luminosity block and number of the first event, see `Numbering`.
    force
        Whether to replace an existing output.
    progress
        Called with the number of events done and to do (None if that is not known).

    Raises
    ------
    FlashSimError
        If an input cannot be read or is the output, and as the functions named above and `generate_gen` do.
    """
    numbering = Numbering(run, lumi, first_event)
    taken = load_era(era) if era is not None else None
    kind, paths = inputs_of_one_kind([source] if isinstance(source, str | Path) else source)
    if settings is not None and kind is not Kind.LHE:
        msg = f"{settings}: settings are for LHE events, and {paths[0]} is {kind.value}; leave them out"
        raise InputFileError(msg)
    if kind is Kind.HEPMC:
        return convert_hepmc(
            paths,
            output,
            events=events,
            seed=seed,
            weight=weight,
            force=force,
            era=taken,
            numbering=numbering,
            progress=progress,
        )
    if weight is not None:
        msg = f"{paths[0]}: is {kind.value}; --weight names a weight of HepMC events, leave it out"
        raise InputFileError(msg)
    if kind is Kind.LHE:
        own = CommandFile.read(recipe_path("reference", settings)) if settings is not None else None
        return shower_lhe(
            paths,
            output,
            settings=own,
            events=events,
            seed=seed,
            workers=workers,
            force=force,
            era=taken,
            numbering=numbering,
            progress=progress,
        )
    if len(paths) > 1:
        msg = f"{paths[1]}: is a second Pythia 8 command file; give one at a time"
        raise InputFileError(msg)
    commands = CommandFile.read(recipe_path("reference", paths[0]))
    if commands.reads_events:
        return shower_lhe(
            [_events_of(commands)],
            output,
            settings=commands,
            tuned=False,
            events=events,
            seed=seed,
            workers=workers,
            force=force,
            era=taken,
            numbering=numbering,
            progress=progress,
        )
    return generate_gen(
        paths[0],
        output,
        events=DEFAULT_EVENTS if events is None else events,
        seed=seed,
        workers=workers,
        force=force,
        era=taken,
        numbering=numbering,
        progress=progress,
    )


def _events_of(commands: CommandFile) -> Path:
    """LHE file that a command file names."""
    path = commands.path_of("Beams:LHEF")
    if path is None:
        msg = f"{commands.path}: Beams:frameType = 4 needs Beams:LHEF = FILE; name the LHE file"
        raise RecipeError(msg)
    if kind_of(path) is not Kind.LHE:
        msg = f"{path}: is not LHE, as Beams:LHEF of {commands.path} needs it"
        raise InputFileError(msg)
    return path
