"""The training tables of one object as arrays."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flashsim.tables import TableDescription, read_description, read_table

__all__ = ["Rows", "Tables"]

_log = logging.getLogger(__name__)

Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Rows:
    """Rows of one table, columns grouped by what they are.

    Parameters
    ----------
    conditioning, gen, targets
        Columns by name without their prefix, shape (N,).
    reconstructed
        Shape (N,); all true where the table has no such column.
    fakes
        Number of fakes, shape (N,); zeros where the table has no such column.
    """

    conditioning: Columns
    gen: Columns
    targets: Columns
    reconstructed: NDArray[np.bool_]
    fakes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.reconstructed)

    @classmethod
    def of(cls, table: pd.DataFrame) -> Rows:
        """Rows of a table as Parquet holds it."""

        def columns(prefix: str) -> Columns:
            names = [name for name in table.columns if name.startswith(prefix)]
            return {name.removeprefix(prefix): table[name].to_numpy(np.float64) for name in names}

        rows = len(table)
        return cls(
            conditioning=columns("conditioning."),
            gen=columns("gen."),
            targets=columns("target."),
            reconstructed=table["reconstructed"].to_numpy(bool)
            if "reconstructed" in table
            else np.ones(rows, bool),
            fakes=table["fakes"].to_numpy(np.int64) if "fakes" in table else np.zeros(rows, np.int64),
        )

    def select(self, keep: NDArray[np.bool_]) -> Rows:
        """Rows for which `keep`, of shape (N,), is true."""
        return Rows(
            conditioning={name: column[keep] for name, column in self.conditioning.items()},
            gen={name: column[keep] for name, column in self.gen.items()},
            targets={name: column[keep] for name, column in self.targets.items()},
            reconstructed=self.reconstructed[keep],
            fakes=self.fakes[keep],
        )

    def matched(self) -> Rows:
        """Reconstructed objects."""
        return self.select(self.reconstructed)

    def finite(self, origin: str) -> Rows:
        """Rows without NaN or infinity in what networks need; others are counted in the log, by column."""
        keep = np.ones(len(self), dtype=bool)
        for kind, columns in (("conditioning", self.conditioning), ("target", self.targets)):
            for name, column in columns.items():
                bad = ~np.isfinite(column)
                if kind == "target":
                    bad &= self.reconstructed
                if bad.any():
                    _log.warning(
                        "%s: %d rows with a non-finite %s '%s' set aside", origin, bad.sum(), kind, name
                    )
                keep &= ~bad
        return self.select(keep)


@dataclass(frozen=True)
class Tables:
    """Table folder of one object, see `flashsim.tables`.

    Raises
    ------
    TableError
        If the folder holds no tables.
    """

    folder: Path

    @cached_property
    def description(self) -> TableDescription:
        """What the folder holds."""
        return read_description(self.folder)

    def objects(self, split: str) -> Rows:
        """Gen objects, with what was reconstructed of them."""
        return self._rows(split, "objects")

    def fakes(self, split: str) -> Rows:
        """Reconstructed objects without a gen object."""
        return self._rows(split, "fakes")

    def events(self, split: str) -> Rows:
        """Events, with the number of fakes."""
        return self._rows(split, "events")

    def _rows(self, split: str, kind: str) -> Rows:
        return Rows.of(read_table(self.folder, split, kind)).finite(f"{self.folder}/{split}/{kind}")
