"""Gen-level NanoAOD from LHE events that Pythia 8 showers and hadronises."""

from __future__ import annotations

import contextlib
import re
import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.declarations.eras import DEFAULT_ERA, load_era
from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import InputFileError
from flashsim.execution.whole_files import refuse_input
from flashsim.gen.blocks import EVENTS_PER_BLOCK, in_order
from flashsim.gen.cross_sections import combined
from flashsim.gen.gen_file import Columns, GenFile, GenSummary, event_columns
from flashsim.gen.lhe.columns import lhe_columns
from flashsim.gen.lhe.counts import Counts, ShoweredBlock
from flashsim.gen.lhe.event import LHEEvent, plain
from flashsim.gen.lhe.text import LHEText
from flashsim.gen.lhe.weights import LHEWeights
from flashsim.gen.libraries import require
from flashsim.gen.pythia import CRASHED, EVENT_NUMBER, PythiaGenerator, block_seed
from flashsim.nanoaod.schema import load_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flashsim.declarations.eras import GenEra
    from flashsim.gen.command_file import CommandFile
    from flashsim.gen.lhe.event import Init
    from flashsim.gen.numbering import Numbering

__all__ = ["shower_lhe"]

_TUNE = "cp5.cmnd"
# Read here, and of no use to Pythia, which stumbles over some.
_WEIGHTS = re.compile(r"<(initrwgt|rwgt|weights)\b[^>]*>.*?</\1\s*>\n?", re.DOTALL)


def shower_lhe(
    sources: Sequence[str | Path],
    output: str | Path,
    *,
    settings: CommandFile | None = None,
    tuned: bool = True,
    events: int | None = None,
    seed: int = 1,
    workers: int = 1,
    force: bool = False,
    particles: str | Path | None = None,
    era: GenEra | None = None,
    numbering: Numbering | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> GenSummary:
    """Shower and hadronise LHE events with Pythia 8 and write them as gen-level NanoAOD.

    Every event of the files is used once, in order; those that a matching refuses are counted and left out.
    The same seed gives the same events whatever the number of workers. `genWeight` is the event's weight as
    Pythia has it: 1 or -1 for unweighted events, XWGTUP in pb for weighted ones, times that of a merging.
    Weights of scales, parton densities and reweighting are written relative to XWGTUP, as NanoAOD has them.

    The cross section is that of the files' ``<init>`` blocks times the share of the weight that is left.

    Parameters
    ----------
    sources
        LHE files of one process, compressed or not.
    output
        NanoAOD file to write; it appears when it is complete.
    settings
        Pythia settings.
    tuned
        Whether the shipped CP5-like tune goes before settings that name no tune.
    events
        How many to read at most; default all.
    seed
        Any integer.
    workers
        Processes to work in.
    force
        Whether to replace an existing output.
    particles
        A second file, for all their stable visible particles (`flashsim.gen.stable`).
    era
        Whose pileup, vertices and NanoAOD version events get; by default those of `DEFAULT_ERA`.
    numbering
        How events are numbered; by default with luminosity blocks that files of other events do not have.
    progress
        Called with the number of events read and `events`, after each block.

    Raises
    ------
    InputFileError
        If a file is not there, is not LHE, holds no event, is cut off or damaged (names the event), two files
        have other weights, or no event is left.
    RecipeError
        If Pythia does not accept the settings.
    OutputFileError
        If the output exists (without `force`), is an input, or cannot be written.
    MissingDependencyError
        If pythia8mc or fastjet is not installed.
    ValueError
        If `events` or `workers` is below 1.
    """
    if workers < 1 or (events is not None and events < 1):
        msg = f"events and workers must be at least 1, found {events} and {workers}"
        raise ValueError(msg)
    for package in ("pythia8mc", "fastjet"):
        require(package)
    paths = [Path(source) for source in sources]
    read = [*paths, *([settings.path] if settings is not None else [])]
    for target in (output, particles or output):
        refuse_input(Path(target), *read)
    with contextlib.ExitStack() as files:
        first = files.enter_context(LHEText(paths[0]))
        taken = era or load_era(DEFAULT_ERA)
        wanted = _Wanted(seed, taken, particles is not None)
        run = _Run(paths, first, settings, wanted, tuned=tuned)
        titles = run.weights.titles
        file = files.enter_context(
            GenFile(
                output,
                particles=particles,
                force=force,
                numbering=numbering,
                titles=titles,
                era=taken,
            )
        )
        made = in_order(
            _generate,
            run.blocks(events),
            workers=workers,
            preload=[__name__],
            crashed=f"{settings.path if settings is not None else paths[0]}: {CRASHED}",
        )
        counts = Counts()
        for block in made:
            if block.columns is not None:
                file.extend(block.columns)
            counts.add(block)
            if progress is not None:
                progress(counts.read, events)
        counts.check(paths)
        cross_section, notes = combined(counts.cross_sections())
        notes = [*counts.notes(events, vetoes=run.vetoes), *run.notes(), *notes]
        return file.finish(cross_section, run.provenance(counts), notes=notes)


@dataclass(frozen=True)
class _Wanted:
    """What events get besides the generator's particles, and which files are written beside the output."""

    seed: int
    era: GenEra
    particles: bool


class _Run:
    """LHE files and settings of one output, known before any event is showered."""

    def __init__(
        self,
        paths: list[Path],
        first: LHEText,
        settings: CommandFile | None,
        wanted: _Wanted,
        *,
        tuned: bool,
    ) -> None:
        cp5 = recipe_folder("reference") / _TUNE
        self._paths, self._settings, self._wanted = paths, settings, wanted
        self._commands = cp5 if settings is None else settings.path
        self._base = cp5 if settings is not None and tuned and not settings.has_tune else None
        # A pipe can be opened only once.
        self._first = first
        self.weights = LHEWeights.of(first.head, first.init.pdf_sets[0])

    @property
    def vetoes(self) -> bool:
        """Whether a matching or merging is asked for."""
        return self._settings is not None and self._settings.matches

    def blocks(self, events: int | None) -> Iterator[_Block]:
        """Tasks, each with events of one file."""
        left, number = events, 0
        for path in self._paths:
            if left == 0:
                return
            with self._first if path == self._first.path else LHEText(path) as text:
                self._check(text)
                rest, first = islice(text.events(), left), 1
                head = _WEIGHTS.sub("", text.head)
                while texts := list(islice(rest, EVENTS_PER_BLOCK)):
                    yield _Block(
                        path,
                        head,
                        text.init,
                        self.weights,
                        texts,
                        first,
                        self._commands,
                        self._base,
                        self._wanted,
                        number,
                        self.vetoes,
                    )
                    first, number = first + len(texts), number + 1
                    left = None if left is None else left - len(texts)

    def _check(self, text: LHEText) -> None:
        """Refuse a file whose events cannot stand beside those of the first."""
        first = self._first.path
        if text.init.strategy != self._first.init.strategy:
            msg = (
                f"{text.path}: its events are weighted by strategy {text.init.strategy}, those of {first} by "
                f"{self._first.init.strategy}; give files of one run"
            )
            raise InputFileError(msg)
        weights = LHEWeights.of(text.head, text.init.pdf_sets[0])
        if weights.titles != self.weights.titles:
            msg = f"{text.path}: its head describes other weights than that of {first}; give files of one run"
            raise InputFileError(msg)

    def notes(self) -> list[str]:
        """Give notes on settings and weights."""
        notes = self._settings.notes(tuned=self._base is not None) if self._settings is not None else []
        if self.weights.left_out:
            notes.append(
                f"{self.weights.left_out} of {len(self.weights.all)} LHE weights have no place in NanoAOD: "
                "other forms of the scale, further sets of parton densities"
            )
        return notes

    def provenance(self, counts: Counts) -> dict[str, Any]:
        """Where the events come from."""
        names = [path.name for path in (self._base, self._commands) if path is not None]
        return {
            "lhe_files": [{"file": part.path.name, "events": part.read} for part in counts.files.values()],
            "lhe_events": counts.read,
            "refused_events": counts.read - counts.written,
            "lhe_weights": {
                "LHEScaleWeight": self.weights.scale,
                "LHEPdfWeight": self.weights.pdf,
                "LHEReweightingWeight": self.weights.reweighting,
            },
            "command_file": self._commands.name,
            "command_files": names,
            "settings": self._commands.read_text(encoding="utf-8", errors="replace"),
            "seed": self._wanted.seed,
            "era": self._wanted.era.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class _Block:
    """A unit of work: some events of a file, and all that is needed to shower them."""

    path: Path
    head: str
    init: Init
    weights: LHEWeights
    texts: list[str]
    first: int
    commands: Path
    base: Path | None
    wanted: _Wanted
    number: int
    vetoes: bool


def _generate(block: _Block) -> ShoweredBlock:
    """Check the events of a block, shower them, and give their NanoAOD branches."""
    events = [LHEEvent.of(text, block.first + k, block.path) for k, text in enumerate(block.texts)]
    further = block.weights.branches(events, block.first, block.path)
    before = np.array([block.init.pythia_weight(event.weight) for event in events])
    after = np.zeros(len(events))
    wanted = block.wanted
    parts: list[Columns] = []
    written = 0
    with tempfile.TemporaryDirectory(prefix="flashsim_") as folder:
        lhe = Path(folder) / "events.lhe"
        _write(lhe, block)
        generator = PythiaGenerator(
            block.commands,
            block_seed(wanted.seed, block.number),
            lhe=lhe,
            base=block.base,
            origin=block.path,
        )
        for places, batch in generator.showered(len(events)):
            after[places] = batch.weight
            with_mothers = "LHEPart_firstMotherIdx" in load_schema(wanted.era.nanoaod)
            own = lhe_columns([events[place] for place in places], resonances=with_mothers)
            own |= {name: ak.from_regular(values[places]) for name, values in further.items()}
            start = block.first + int(places[0])
            parts.append(
                event_columns(
                    batch,
                    wanted.seed,
                    start,
                    particles=wanted.particles,
                    further=own,
                    era=wanted.era,
                )
            )
            written += len(places)
        cross_section = generator.cross_section()
    if not block.vetoes:
        # What Pythia fails in is no veto: the other events stand for it.
        before[after == 0.0] = 0.0
    columns = {name: ak.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else None
    return ShoweredBlock(
        block.path, block.init, columns, len(events), written, before, after, cross_section, generator.said
    )


def _write(path: Path, block: _Block) -> None:
    """Write the events for Pythia, each with its place in the block as an attribute."""
    start, mark, init = block.head.rpartition("<init")
    lines = [start, mark, plain(init)]
    for place, text in enumerate(block.texts):
        tag, _, body = _WEIGHTS.sub("", text).partition(">")
        lines.append(f'{tag} {EVENT_NUMBER}="{place}">{plain(body)}')
    lines.append("</LesHouchesEvents>\n")
    path.write_text("".join(lines), encoding="latin-1")
