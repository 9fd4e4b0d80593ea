"""Rows of the training tables of one object, as arrays."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from flashsim.declarations.unmatched import PLACE
from flashsim.errors import TableError
from flashsim.learning.tables import (
    OBJECTS,
    PLACED,
    SOURCES,
    TRAINING_TABLES,
    UNMATCHED,
    TableDescription,
)
from flashsim.transforms.blocks import linked_name

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from flashsim.learning.tables import ColumnType

__all__ = ["Rows", "Tables"]

_log = logging.getLogger(__name__)

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Rows:
    """Rows of one table, columns grouped by what they are.

    Parameters
    ----------
    conditioning, gen, targets, linked
        Columns by name without their prefix, shape (N,), in the precision of the table; `linked` by target,
        where it follows from a linked object.
    reconstructed
        Shape (N,); all true where the table has no such column.
    number
        Number of unmatched objects, shape (N,); zeros where the table has no such column.
    """

    conditioning: Columns
    gen: Columns
    targets: Columns
    linked: Columns
    reconstructed: NDArray[np.bool_]
    number: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.reconstructed)

    @property
    def reference(self) -> Columns:
        """What relations of targets need, as codecs of targets take it."""
        given = {f"conditioning.{name}": column for name, column in self.conditioning.items()}
        return self.gen | given | {linked_name(name): column for name, column in self.linked.items()}

    @classmethod
    def of(cls, table: pd.DataFrame) -> Rows:
        """Rows of a table as Parquet holds it."""

        def columns(prefix: str) -> Columns:
            names = [name for name in table.columns if name.startswith(prefix)]
            return {name.removeprefix(prefix): table[name].to_numpy() for name in names}

        rows = len(table)
        return cls(
            conditioning=columns("conditioning."),
            gen=columns("gen."),
            targets=columns("target."),
            linked=columns("linked."),
            reconstructed=table["reconstructed"].to_numpy(bool, copy=True)
            if "reconstructed" in table
            else np.ones(rows, bool),
            number=table["number"].to_numpy(np.int64) if "number" in table else np.zeros(rows, np.int64),
        )

    def select(self, keep: NDArray[np.bool_]) -> Rows:
        """Rows for which `keep`, of shape (N,), is true."""
        return Rows(
            conditioning={name: column[keep] for name, column in self.conditioning.items()},
            gen={name: column[keep] for name, column in self.gen.items()},
            targets={name: column[keep] for name, column in self.targets.items()},
            linked={name: column[keep] for name, column in self.linked.items()},
            reconstructed=self.reconstructed[keep],
            number=self.number[keep],
        )

    def finite(self, kind: Literal["conditioning", "gen", "targets"], origin: str) -> Rows:
        """Rows without NaN or infinity in columns of a kind; others are counted in the log, by column."""
        keep = np.ones(len(self), dtype=bool)
        columns: Columns = getattr(self, kind)
        for name, column in columns.items():
            good = np.isfinite(column)
            if not good.all():
                count = np.count_nonzero(~good)
                _log.warning("%s: %d rows set aside, not finite in %s '%s'", origin, count, kind, name)
            keep &= good
        return self if keep.all() else self.select(keep)


@dataclass(frozen=True)
class Tables:
    """Table folder of one object, see `flashsim.learning.tables`; what was read is kept.

    Raises
    ------
    TableError
        If the folder holds no tables.
    """

    folder: Path
    _kept: dict[tuple[str, str], Rows] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def description(self) -> TableDescription:
        """What the folder holds."""
        return TRAINING_TABLES.read_description(self.folder)

    def check(self) -> None:
        """Read all tables that a training needs: hours of it are not lost to a table that is damaged.

        Raises
        ------
        TableError
            If one is missing or damaged.
        """
        names = [source.name for source in self.description.declaration.unmatched]
        kinds = [OBJECTS, *(f"{kind}/{name}" for name in names for kind in (UNMATCHED, SOURCES))]
        kinds += [PLACED] if self.description.declaration.placed is not None else []
        for split in ("train", "validation"):
            for kind in kinds:
                self._rows(split, kind)

    def objects(self, split: str) -> Rows:
        """Gen objects, reconstructed or not; targets are NaN where they are not."""
        return self._rows(split, "objects")

    def matched(self, split: str) -> Rows:
        """Gen objects that were reconstructed, with finite targets."""
        if (split, "matched") not in self._kept:
            rows = self.objects(split)
            rows = self._with_targets(rows.select(rows.reconstructed), split, "objects")
            self._kept[split, "matched"] = rows
        return self._kept[split, "matched"]

    def unmatched(self, split: str, source: str) -> Rows:
        """Unmatched objects of a source, with finite targets."""
        kind = f"{UNMATCHED}/{source}"
        return self._with_targets(self._rows(split, kind), split, kind)

    def placed(self, split: str) -> Rows:
        """Unmatched objects of all sources, given their places, with finite targets."""
        return self._with_targets(self._rows(split, PLACED), split, PLACED)

    def sources(self, split: str, source: str) -> Rows:
        """Objects of a source, with the number of unmatched objects of each."""
        return self._rows(split, f"{SOURCES}/{source}")

    def _rows(self, split: str, kind: str) -> Rows:
        if (split, kind) not in self._kept:
            columns, wanted = self._columns(kind), self._known_rows(split, kind)
            table = TRAINING_TABLES.read(self.folder, split, kind, columns=columns, rows=wanted)
            rows = Rows.of(table)
            if (below := int(np.count_nonzero(rows.number < 0))) > 0:
                msg = (
                    f"{self.folder}/{split}/{kind}.parquet: the column 'number' is below 0 in {below} of "
                    f"{len(table)} rows; make the training tables again with 'flashsim preprocess'"
                )
                raise TableError(msg)
            self._kept[split, kind] = rows.finite("conditioning", f"{self.folder}/{split}/{kind}")
        return self._kept[split, kind]

    def _columns(self, kind: str) -> dict[str, ColumnType]:
        """Columns that a table of a kind must have."""
        declared = self.description.declaration
        kind, _, name = kind.partition("/")
        source = next((source for source in declared.unmatched if source.name == name), None)
        own: dict[str, ColumnType] = {}
        if kind == OBJECTS:
            conditioning, targets, gen = declared.conditioning, declared.targets, declared.references()
            own = {"reconstructed": "bool"}
        elif source is not None:
            conditioning, targets = source.conditioning, declared.source_targets()
            gen = source.references(targets)
            if kind == SOURCES:
                targets, gen, own = [], [], {"number": "whole"}
        else:
            conditioning = declared.placed.conditioning if declared.placed is not None else []
            targets, gen = declared.targets, list(PLACE)
        names = [f"conditioning.{name}" for entry in conditioning for name in entry.columns()]
        names += [f"target.{target.branch}" for target in targets]
        names += [f"gen.{field}" for field in gen]
        drawn = {target.branch for target in targets}
        links = [linked_name(branch) for branch in declared.linked_branches() if branch in drawn]
        columns: dict[str, ColumnType] = dict.fromkeys(names, "number")
        return columns | dict.fromkeys(links, "bool") | own

    def _known_rows(self, split: str, kind: str) -> int | None:
        """Rows that a table has by the description."""
        told = self.description
        kind, _, source = kind.partition("/")
        if kind == PLACED:
            return sum(by_split[split] for by_split in told.unmatched.values())
        of_sources = {UNMATCHED: told.unmatched, SOURCES: told.sources}
        return (told.gen_objects if kind == OBJECTS else of_sources[kind].get(source, {})).get(split)

    def _with_targets(self, rows: Rows, split: str, kind: str) -> Rows:
        origin = f"{self.folder}/{split}/{kind}"
        return rows.finite("gen", origin).finite("targets", origin)
