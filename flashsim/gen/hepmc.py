"""HepMC files of any generator as a source of event records.

HepMC3: Buckley et al., Comput. Phys. Commun. 260 (2021) 107310, arXiv:1912.08005. pyhepmc reads it, and the
older HepMC2 text files (``IO_GenEvent``) as well, compressed or not.
"""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from flashsim.errors import InputFileError
from flashsim.gen.gen_file import GenFile, GenSummary, event_columns
from flashsim.gen.hepmc_record import SingleEvent, joined
from flashsim.gen.hepmc_text import HepMCText
from flashsim.gen.libraries import require, stdout_captured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray

    from flashsim.gen.pythia import CrossSection, GeneratedEvents

__all__ = ["HepMCReader", "convert_hepmc", "is_hepmc"]

# As many as of Pythia's: the same memory.
_BATCH = 250
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


class HepMCReader:
    """A HepMC file, read once from its beginning to its end. Used as a context manager.

    Parameters
    ----------
    path
        HepMC3 or HepMC2 text, compressed or not.

    Attributes
    ----------
    weight_names
        Names of the event weights, the nominal one first; numbers where the file has no names.
    generators
        The generators that the file names, with their versions.
    cross_section
        In pb as the last event read has it; None if there is none.

    Raises
    ------
    InputFileError
        If the file is not there, is not HepMC, or holds no event.
    MissingDependencyError
        If pyhepmc is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        module = require("pyhepmc")
        self._text = HepMCText(path)
        self.path = self._text.path
        self.cross_section: CrossSection | None = None
        self._read = 0
        # What it would print is told by an exception, once.
        module.Setup.print_errors = module.Setup.print_warnings = False
        try:
            with stdout_captured():
                self._file: Any = module.open(self._text, format=self._text.format)
                first = self._required(self._next())
        except BaseException:
            self._text.close()
            raise
        self._first: SingleEvent | None = first
        run = first.run_info
        names = self._text.weight_names or (list(run.weight_names) if run is not None else [])
        self.weight_names = names if len(names) == len(first.weights) else _numbered(len(first.weights))
        tools = run.tools if run is not None else []
        self.generators = [f"{tool.name} {tool.version}".strip() for tool in tools]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    def batches(self, events: int | None = None) -> Iterator[tuple[GeneratedEvents, NDArray[np.float64]]]:
        """Read events and their weights, shape (events, number of weights).

        Parameters
        ----------
        events
            How many at most; default all.

        Raises
        ------
        InputFileError
            If the file is cut off or damaged, or events differ in their number of weights.
        """
        rest = islice(self._events(), events)
        while True:
            # The library prints what it stumbles over.
            with stdout_captured():
                batch = list(islice(rest, _BATCH))
            if not batch:
                return
            weights = np.array([event.weights for event in batch])
            yield joined(batch, weights[:, 0]), weights

    def _events(self) -> Iterator[SingleEvent]:
        event = self._first
        self._first = None
        while event is not None:
            if len(event.weights) != len(self.weight_names):
                msg = (
                    f"{self.path}: event {self._read} has {len(event.weights)} weights, expected "
                    f"{len(self.weight_names)} as in the first one; give files of one run at a time"
                )
                raise InputFileError(msg)
            yield event
            event = self._next()

    def _required(self, event: SingleEvent | None) -> SingleEvent:
        if event is None:
            msg = f"{self.path}: holds no event; give a file that the generator has filled"
            raise InputFileError(msg)
        return event

    def _next(self) -> SingleEvent | None:
        try:
            found = self._file.read()
        except RuntimeError as error:
            msg = f"{self.path}: HepMC refuses event {self._read + 1} ({error}); correct the file"
            raise InputFileError(msg) from error
        if found is None:
            self._text.check_end(self._read)
            return None
        self._read += 1
        event = SingleEvent.of(found)
        self.cross_section = event.cross_section or self.cross_section
        return event


def _numbered(count: int) -> list[str]:
    return [str(number) for number in range(count)]


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
