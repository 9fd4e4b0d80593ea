"""Training tables: Parquet files by split, with a JSON description.

A table folder holds ``tables.json`` and, for each of the splits ``train``, ``validation`` and ``test``:

- ``objects.parquet``: a row a gen object, with whether it was reconstructed, and as what;
- ``fakes.parquet``: a row a reconstructed object without a gen object;
- ``events.parquet``: a row an event, with the number of its fakes.

Columns are ``run``, ``luminosityBlock``, ``event``; ``conditioning.*`` (before scaling), ``gen.*`` (values that
relations need) and ``target.*`` (values as NanoAOD has them, NaN where nothing was reconstructed).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field

from flashsim.errors import TableError
from flashsim.objects import ObjectDeclaration
from flashsim.recipes import Recipe

__all__ = ["KINDS", "SPLITS", "TableDescription", "TableWriter", "read_description", "read_table"]

SPLITS = ("train", "validation", "test")
KINDS = ("objects", "fakes", "events")
_DESCRIPTION = "tables.json"


class TableDescription(Recipe):
    """What a table folder holds, and what it was made from."""

    schema_version: Literal[1] = Field(description="version of this format")
    declaration: ObjectDeclaration = Field(description="the object, with the targets that the inputs have")
    nanoaod_version: str = Field(description="NanoAOD version of the inputs")
    files: list[str] = Field(description="input files")
    events: dict[str, int] = Field(description="events by split")
    gen_objects: dict[str, int] = Field(description="gen objects by split")
    reconstructed: dict[str, int] = Field(description="gen objects that were reconstructed, by split")
    fakes: dict[str, int] = Field(description="reconstructed objects without a gen object, by split")
    non_finite: dict[str, int] = Field(description="values that are NaN or infinite, by column")


class TableWriter:
    """Writes the tables of one object chunk by chunk; the folder appears complete or not at all."""

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        self.folder = folder
        self._files: dict[Path, pq.ParquetWriter] = {}
        self.rows: Counter[tuple[str, str]] = Counter()
        self.non_finite: Counter[str] = Counter()
        if (folder / _DESCRIPTION).exists() and not force:
            msg = f"{folder}: holds tables already; name another folder or add --force"
            raise TableError(msg)

    def __enter__(self) -> TableWriter:
        for split in SPLITS:
            (self.folder / split).mkdir(parents=True, exist_ok=True)
        (self.folder / _DESCRIPTION).unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path, writer in self._files.items():
            writer.close()
            if kind is None:
                _part(path).replace(path)
            else:
                _part(path).unlink(missing_ok=True)

    def extend(self, kind: str, split: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> None:
        """Append rows of one kind; `split`, shape (N,), numbers the split of each row."""
        self._count_non_finite(columns)
        for number, name in enumerate(SPLITS):
            chosen = split == number
            table = pa.table({column: values[chosen] for column, values in columns.items()})
            path = self.folder / name / f"{kind}.parquet"
            if path not in self._files:
                self._files[path] = pq.ParquetWriter(_part(path), table.schema, compression="zstd")
            self._files[path].write_table(table)
            self.rows[kind, name] += len(table)

    def _count_non_finite(self, columns: Mapping[str, NDArray[Any]]) -> None:
        reconstructed = columns.get("reconstructed")
        for column, values in columns.items():
            if values.dtype.kind != "f":
                continue
            bad = ~np.isfinite(values)  # type: ignore[call-overload]  # a floating-point column
            if column.startswith("target.") and reconstructed is not None:
                bad &= reconstructed.astype(bool)
            if count := int(np.count_nonzero(bad)):
                self.non_finite[column] += count

    def describe(self, description: TableDescription) -> None:
        """Write the description, which makes the folder valid; call after the context has ended."""
        path = self.folder / _DESCRIPTION
        _part(path).write_text(description.model_dump_json(indent=1), encoding="utf-8")
        _part(path).replace(path)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def read_description(folder: Path) -> TableDescription:
    """Description of a table folder.

    Raises
    ------
    TableError
        If the folder holds no tables.
    """
    path = folder / _DESCRIPTION
    if not path.is_file():
        msg = f"{folder}: holds no training tables (no {_DESCRIPTION}); make them with 'flashsim preprocess'"
        raise TableError(msg)
    try:
        return TableDescription.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        msg = f"{path}: is damaged or of another version ({' '.join(str(error).split())[:200]})"
        raise TableError(msg) from error


def read_table(folder: Path, split: str, kind: str) -> pd.DataFrame:
    """One table, see the module's description.

    Raises
    ------
    TableError
        If it is missing.
    """
    path = folder / split / f"{kind}.parquet"
    if not path.is_file():
        msg = f"{path}: is missing; make the tables again with 'flashsim preprocess'"
        raise TableError(msg)
    return pd.read_parquet(path)
