"""Samples of the same gen objects, reconstructed in several ways, as tables of the project's own making."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.fidelity.surroundings import load_surroundings, with_surroundings
from flashsim.analysis.statistics.residuals import residual
from flashsim.declarations.output import load_output
from flashsim.errors import InputFileError, TableError
from flashsim.events.noise import EVENT_IDS, event_hash
from flashsim.generation.generate import Generator
from flashsim.learning.tables import EVENTS, OBJECTS, SPLITS, TRAINING_TABLES, UNMATCHED
from flashsim.models.shipped import with_what_they_need
from flashsim.preprocessing.preprocess import preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flashsim.declarations.objects import ObjectDeclaration, Target
    from flashsim.models.object_model import ObjectModel

__all__ = ["FLASH", "VARIANTS", "Columns", "Sample", "Workplace", "check_same", "independent", "joined"]

_log = logging.getLogger(__name__)

Columns = dict[str, NDArray[np.float64]]

VARIANTS = ("full", "full_1", "fast")
"""Files of a process beside ``gen.root``: the reference, a second draw of it, and a fast detector."""

DRAWS = 4
"""Times that the models make a process, each with random numbers of its own, to average over these."""

FLASH = ("flash", *(f"flash_{number}" for number in range(1, DRAWS)))


def independent(identity: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Give the number of what is independent, from 0, shape (E,): equal for events of one identity."""
    return np.unique(identity, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class Sample:
    """Gen objects of E events, and what was reconstructed of them.

    Parameters
    ----------
    identity
        `flashsim.events.noise.event_hash` of each event, shape (E,). Events of several processes can have one
        identity; before noise was keyed on gen content, they had the same noise.
    event
        Number of the event of each gen object, shape (N,).
    reconstructed
        Shape (N,); false also where a reconstructed value is not finite.
    conditioning, gen, targets
        Columns of shape (N,); targets are NaN where nothing was reconstructed.
    unmatched_event, unmatched
        Number of the event, and targets, of objects without a gen object; shape (F,).
    surroundings
        Columns of the gen objects that are not conditioning, shape (N,), see `Surroundings`.
    """

    identity: NDArray[np.uint64]
    event: NDArray[np.int64]
    reconstructed: NDArray[np.bool_]
    conditioning: Columns
    gen: Columns
    targets: Columns
    unmatched_event: NDArray[np.int64]
    unmatched: Columns
    surroundings: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.event)

    @property
    def events(self) -> int:
        """E."""
        return len(self.identity)

    @property
    def matched_event(self) -> NDArray[np.int64]:
        """Number of the event of each reconstructed gen object, shape (M,)."""
        return self.event[self.reconstructed]

    @property
    def units(self) -> int:
        """How many events are independent of each other: of different identities."""
        return len(np.unique(self.identity))

    @property
    def matched_unit(self) -> NDArray[np.int64]:
        """Number of what is independent of all else, from 0, of each reconstructed gen object, shape (M,)."""
        return independent(self.identity)[self.matched_event]

    def matched(self, kind: str) -> Columns:
        """Columns of the reconstructed gen objects, shape (M,); `kind` is an attribute with columns."""
        columns: Columns = getattr(self, kind)
        return {name: column[self.reconstructed] for name, column in columns.items()}

    @property
    def reference(self) -> Columns:
        """What targets of reconstructed gen objects can be relative to, as for `TargetCodec`, shape (M,)."""
        conditioning = {f"conditioning.{name}": c for name, c in self.matched("conditioning").items()}
        return self.matched("gen") | conditioning

    def residuals(self, targets: Sequence[Target]) -> Columns:
        """`residual` of every target of the reconstructed gen objects, shape (M,)."""
        values, gen = self.matched("targets"), self.matched("gen")
        return {t.branch: residual(t, values[t.branch], gen) for t in targets}

    def first(self, events: int) -> Sample:
        """Keep only the first events."""
        rows, unmatched = self.event < events, self.unmatched_event < events
        return Sample(
            identity=self.identity[:events],
            event=self.event[rows],
            reconstructed=self.reconstructed[rows],
            conditioning=_chosen(self.conditioning, rows),
            gen=_chosen(self.gen, rows),
            targets=_chosen(self.targets, rows),
            unmatched_event=self.unmatched_event[unmatched],
            unmatched=_chosen(self.unmatched, unmatched),
            surroundings=_chosen(self.surroundings, rows),
        )

    def events_of(self, objects: int) -> int:
        """Count the first events that hold at most so many gen objects."""
        total = np.cumsum(np.bincount(self.event, minlength=self.events))
        return int(np.searchsorted(total, objects, side="right"))

    @classmethod
    def read(cls, folder: Path, splits: Sequence[str] = SPLITS) -> Sample:
        """Read a table folder, see `flashsim.learning.tables`."""
        objects, unmatched, events = (
            pd.concat([read(folder, split) for split in splits], ignore_index=True)
            for read in (
                partial(TRAINING_TABLES.read, kind=OBJECTS),
                read_unmatched,
                partial(TRAINING_TABLES.read, kind=EVENTS),
            )
        )
        number = pd.MultiIndex.from_frame(events[list(EVENT_IDS)])
        if number.has_duplicates:
            msg = f"{folder}: holds two events of one run, luminosityBlock and event; make the sample again"
            raise TableError(msg)
        targets = _columns(objects, "target.")
        finite = np.all([np.isfinite(column) for column in targets.values()], axis=0)
        conditioning, around = _columns(objects, "conditioning."), set(load_surroundings().columns)
        return cls(
            identity=event_hash(*(events[name].to_numpy() for name in EVENT_IDS)),
            event=_numbers(number, objects),
            reconstructed=objects["reconstructed"].to_numpy(bool) & finite,
            conditioning={name: c for name, c in conditioning.items() if name not in around},
            gen=_columns(objects, "gen."),
            targets=targets,
            unmatched_event=_numbers(number, unmatched),
            unmatched=_columns(unmatched, "target."),
            surroundings={name: c for name, c in conditioning.items() if name in around},
        )


def read_unmatched(folder: Path, split: str) -> pd.DataFrame:
    """Reconstructed objects without a gen object of all sources, with the columns that all of them have."""
    sources = TRAINING_TABLES.read_description(folder).declaration.unmatched
    tables = [TRAINING_TABLES.read(folder, split, f"{UNMATCHED}/{source.name}") for source in sources]
    return pd.concat(tables, ignore_index=True, join="inner")


def joined(samples: Sequence[Sample]) -> Sample:
    """Put samples of several processes one after the other."""
    offsets = np.cumsum([0, *(sample.events for sample in samples)])
    starts = list(zip(samples, offsets[:-1], strict=True))

    def columns(kind: str) -> Columns:
        parts: list[Columns] = [getattr(sample, kind) for sample in samples]
        names = [name for name in parts[0] if all(name in part for part in parts)]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    return Sample(
        identity=np.concatenate([sample.identity for sample in samples]),
        event=np.concatenate([sample.event + start for sample, start in starts]),
        reconstructed=np.concatenate([sample.reconstructed for sample in samples]),
        conditioning=columns("conditioning"),
        gen=columns("gen"),
        targets=columns("targets"),
        unmatched_event=np.concatenate([sample.unmatched_event + start for sample, start in starts]),
        unmatched=columns("unmatched"),
        surroundings=columns("surroundings"),
    )


@dataclass(frozen=True)
class Workplace:
    """Folder of tables and generated files, which a second run finds again.

    Parameters
    ----------
    folder
        Where they are kept.
    models
        The models that are judged; shipped models of what they are drawn given are added.
    """

    folder: Path
    models: Sequence[ObjectModel]

    def tables(self, process: Path, variant: str, declaration: ObjectDeclaration) -> Path:
        """Folder with the tables of an object and its surroundings, made if it is not there.

        Raises
        ------
        InputFileError
            If the process has no file of that variant.
        """
        made = variant in FLASH
        source = self.flash(process, FLASH.index(variant)) if made else process / f"{variant}.root"
        if not source.is_file():
            msg = f"{source}: there is no such file; make the process with 'flashsim reference'"
            raise InputFileError(msg)
        name, declaration = source.stem if made else variant, with_surroundings(declaration)
        folder = self.folder / "tables" / _name(process) / name / declaration.name
        if not _is_fresh(folder, source, declaration):
            _log.info("tables of %s from %s", declaration.name, source)
            preprocess(declaration, [str(source)], folder, force=True)
        return folder

    def flash(self, process: Path, draw: int = 0) -> Path:
        """File that the models make of a process, generated if it is not there; a draw has its own seed."""
        digests = "".join(sorted(model.digest[:6] for model in self.models))
        number = f"_{draw}" if draw else ""
        output = self.folder / "generated" / _name(process) / f"flash_{digests}{number}.root"
        source = process / "gen.root"
        if not output.is_file() or output.stat().st_mtime < source.stat().st_mtime:
            _log.info("generating from %s", source)
            output.parent.mkdir(parents=True, exist_ok=True)
            models = with_what_they_need(self.models)
            Generator(models, load_output(), seed=1 + draw).run(source, output, force=True)
        return output

    def samples(
        self,
        processes: Sequence[Path],
        declaration: ObjectDeclaration,
        trained_on: Sequence[Path],
        objects: int,
    ) -> dict[str, Sample]:
        """Give samples by variant: the same gen objects, about so many, in the same rows.

        Of a process that was trained on only the test split is used.

        Raises
        ------
        TableError
            If the variants of a process are not of the same gen events.
        """
        variants = [v for v in (*VARIANTS, *FLASH) if v != "fast" or _have(processes, v)]
        parts: dict[str, list[Sample]] = {variant: [] for variant in variants}
        trained = {path.resolve() for path in trained_on}
        for process in processes:
            splits = ("test",) if process.resolve() in trained else SPLITS
            read = {v: Sample.read(self.tables(process, v, declaration), splits) for v in variants}
            kept = read["full"].events_of(objects // len(processes))
            for variant, sample in read.items():
                check_same(process, variant, read["full"], sample)
                parts[variant].append(sample.first(kept))
        return {variant: joined(samples) for variant, samples in parts.items()}

    def training(self, processes: Sequence[Path], declaration: ObjectDeclaration) -> dict[str, Sample]:
        """Give samples by split of what the models were trained on."""
        folders = [self.tables(process, "full", declaration) for process in processes]
        return {
            split: joined([Sample.read(folder, [split]) for folder in folders])
            for split in ("train", "validation")
        }


def _have(processes: Sequence[Path], variant: str) -> bool:
    return all((process / f"{variant}.root").is_file() for process in processes)


def _name(process: Path) -> str:
    """Name of a process in the workplace; two folders of one name may be at different places."""
    return "_".join(process.resolve().parts[-2:])


def _is_fresh(folder: Path, source: Path, declaration: ObjectDeclaration) -> bool:
    description = folder / "tables.json"
    if not description.is_file() or description.stat().st_mtime < source.stat().st_mtime:
        return False
    made = TRAINING_TABLES.read_description(folder)
    kept = [target.branch for target in made.declaration.targets]
    return made.files == [str(source)] and made.declaration == declaration.with_targets(kept)


def check_same(process: Path, variant: str, full: Sample, other: Sample) -> None:
    """See that a variant of a process has the gen objects of the reference.

    Raises
    ------
    TableError
        If not.
    """
    same = full.events == other.events and np.array_equal(full.event, other.event)
    if not same or not all(np.array_equal(full.gen[name], other.gen[name]) for name in full.gen):
        msg = (
            f"{process}: {variant}.root has not the gen objects of full.root, expected the same events in "
            "the same order; make both in one run"
        )
        raise TableError(msg)


def _numbers(events: pd.MultiIndex, rows: pd.DataFrame) -> NDArray[np.int64]:
    if rows.empty:
        return np.zeros(0, dtype=np.int64)
    return events.get_indexer(pd.MultiIndex.from_frame(rows[list(EVENT_IDS)])).astype(np.int64)


def _columns(table: pd.DataFrame, prefix: str) -> Columns:
    names = [name for name in table.columns if name.startswith(prefix)]
    return {name.removeprefix(prefix): table[name].to_numpy(np.float64) for name in names}


def _chosen(columns: Columns, rows: NDArray[np.bool_]) -> Columns:
    return {name: column[rows] for name, column in columns.items()}
