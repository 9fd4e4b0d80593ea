"""Tables that networks are trained on: Parquet files by split, with a JSON description.

A folder of training tables holds ``tables.json`` and, for each of the splits ``train``, ``validation`` and
``test``:

- ``events.parquet``: a row an event;
- ``objects.parquet``: a row a gen object, with whether it was reconstructed, and as what;
- ``unmatched/NAME.parquet``: a row a reconstructed object without a gen object that comes from the source
  NAME;
- ``sources/NAME.parquet``: a row an object of this source, with the number of these;
- ``placed.parquet``, where it is declared: a row each of those of all sources, given the place that it has.

Columns are ``run``, ``luminosityBlock``, ``event``; ``conditioning.*`` (before scaling), ``gen.*`` (values
that relations need) and ``target.*`` (values as NanoAOD has them, NaN where nothing was reconstructed).
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeAlias, TypeVar

import numpy as np
from pydantic import Field

from flashsim.declarations.objects import ObjectDeclaration
from flashsim.declarations.recipes import Recipe
from flashsim.errors import OutputFileError, TableError
from flashsim.events.noise import Stream, event_hash
from flashsim.execution.locks import sole_user
from flashsim.text import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from flashsim.declarations.objects import Split

__all__ = [
    "EVENTS",
    "OBJECTS",
    "PLACED",
    "SOURCES",
    "SPLITS",
    "TRAINING_TABLES",
    "UNMATCHED",
    "ColumnType",
    "Description",
    "TableDescription",
    "TableFormat",
    "TableWriter",
    "TestedRelation",
    "split_of",
    "table_files",
]

SPLITS = ("train", "validation", "test")
EVENTS, OBJECTS, PLACED, UNMATCHED, SOURCES = "events", "objects", "placed", "unmatched", "sources"
"""Kinds of training tables; of the last two there is one for each source of unmatched objects."""


def split_of(ids: Sequence[NDArray[np.int64]], share: Split) -> NDArray[np.int64]:
    """Give the number in `SPLITS` of each event's split, shape (E,), from the numbers that `EVENT_IDS` names.

    By the event's identity, so that neither the order of files nor their chunks can mix the splits.
    """
    keys = event_hash(*ids)
    u = Stream(0, "event", "split").uniform(keys, np.zeros(len(keys), dtype=np.int64), 1)[:, 0]
    number = np.where(u < share.test, 2, np.where(u < share.test + share.validation, 1, 0))
    return number.astype(np.int64)


class Description(Recipe):
    """What a folder of tables holds, and from which ``files`` it was made."""

    _ORIGIN: ClassVar[set[str]] = {"files", "reference"}

    def content(self) -> dict[str, Any]:
        """JSON form without the files' names: equal tables are equal wherever their files lie."""
        return self.model_dump(mode="json", exclude=self._ORIGIN)

    def digest(self) -> str:
        """Give a text that is equal where the content is."""
        return hashlib.sha256(self.model_dump_json(exclude=self._ORIGIN).encode()).hexdigest()


D = TypeVar("D", bound=Description)

ColumnType: TypeAlias = Literal["number", "whole", "bool"]
_TYPES: dict[ColumnType, str] = {"number": "numbers", "whole": "whole numbers", "bool": "true or false"}


@dataclass(frozen=True)
class TableFormat(Generic[D]):
    """What folders of one kind of tables look like.

    Parameters
    ----------
    what
        What the tables are called.
    command
        Makes them.
    file
        Name of the description.
    description
        Its class.
    """

    what: str
    command: str
    file: str
    description: type[D]

    def read_description(self, folder: Path) -> D:
        """Read the description of a folder.

        Raises
        ------
        TableError
            If the folder holds no such tables.
        """
        path = folder / self.file
        if not path.is_file():
            msg = f"{folder}: holds no {self.what} (no {self.file}); make them with '{self.command}'"
            raise TableError(msg)
        try:
            return self.description.model_validate(read_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            msg = f"{path}: is damaged or of another version ({' '.join(str(error).split())[:200]})"
            raise TableError(msg) from error

    def read(
        self,
        folder: Path,
        split: str,
        kind: str = "",
        *,
        columns: Mapping[str, ColumnType] | None = None,
        rows: int | None = None,
    ) -> pd.DataFrame:
        """Read one table.

        Parameters
        ----------
        folder
            The folder.
        split
            One of `SPLITS`.
        kind
            Of training tables `EVENTS`, `OBJECTS`, `PLACED`, or `UNMATCHED` or `SOURCES` with a slash and the
            name of a source.
        columns
            What is needed, and what each column must be; others are not read. By default all of them.
        rows
            How many there must be, where that is known.

        Raises
        ------
        TableError
            If it is missing or damaged, has another number of rows, or lacks a column or has one of another
            type or with empty entries.
        """
        import pyarrow as pa  # noqa: PLC0415  # the description of tables is read without
        import pyarrow.parquet as pq  # noqa: PLC0415

        path = folder / table_file(split, kind)
        again = f"make the {self.what} again with '{self.command}'"
        if not path.is_file():
            msg = f"{path}: is missing; {again}"
            raise TableError(msg)
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                fault = _fault_of(file.schema_arrow, columns or {})
                if fault is None:
                    names = [n for n in file.schema_arrow.names if columns is None or n in columns]
                    table = file.read(names)
                    fault = _fault_in(table, columns or {}, rows)
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            msg = f"{path}: is damaged ({reason}); {again}"
            raise TableError(msg) from error
        if fault is not None:
            msg = f"{path}: {fault}; {again}"
            raise TableError(msg)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        return frame


def _fault_of(schema: pa.Schema, columns: Mapping[str, ColumnType]) -> str | None:
    """Say which column is missing or of another type."""
    import pyarrow as pa  # noqa: PLC0415

    is_type = {
        "number": lambda t: pa.types.is_integer(t) or pa.types.is_floating(t),
        "whole": pa.types.is_integer,
        "bool": pa.types.is_boolean,
    }
    if missing := [name for name in columns if name not in schema.names]:
        return f"lacks {', '.join(missing[:4])}, which the training needs"
    for name, wanted in columns.items():
        if schema.names.count(name) > 1:
            return f"has {schema.names.count(name)} columns '{name}', expected one"
        if not is_type[wanted](found := schema.field(name).type):
            return f"the column '{name}' is of type {found}, expected {_TYPES[wanted]}"
    return None


def _fault_in(table: pa.Table, columns: Mapping[str, ColumnType], rows: int | None) -> str | None:
    """Say which column has empty entries, or that rows are missing."""
    if rows is not None and len(table) != rows:
        return f"has {len(table)} rows, expected the {rows} of its description"
    for name in columns:
        if count := table.column(name).null_count:
            return f"the column '{name}' is empty in {count} of {len(table)} rows, expected a value in each"
    return None


def table_file(split: str, kind: str = "") -> Path:
    """Path of a table in its folder."""
    return Path(split, f"{kind}.parquet") if kind else Path(f"{split}.parquet")


def table_files(folder: Path) -> list[Path]:
    """Files of the tables in a folder, with their description; none where it is not there."""
    inside = (path for split in SPLITS for path in (folder / split).rglob("*.parquet"))
    return [*folder.glob("*.json"), *folder.glob("*.parquet"), *inside]


class TestedRelation(Recipe):
    """What preprocessing found of a declared relation."""

    title: str = Field(description="kind and branches")
    rows: int = Field(description="objects that were tested")
    held: int = Field(description="objects in which it holds, within the rounding of stored values")
    largest: float = Field(description="largest deviation where it does not")
    kept: bool = Field(description="whether models make it exact")


class TableDescription(Description):
    """What a folder of training tables holds, and what it was made from."""

    schema_version: Literal[1] = Field(description="version of this format")
    declaration: ObjectDeclaration = Field(description="the object, with the targets that the inputs have")
    nanoaod_version: str = Field(description="NanoAOD version of the inputs")
    files: list[str] = Field(description="input files")
    events: dict[str, int] = Field(description="events by split")
    gen_objects: dict[str, int] = Field(description="gen objects by split")
    reconstructed: dict[str, int] = Field(description="gen objects that were reconstructed, by split")
    unmatched: dict[str, dict[str, int]] = Field(
        description="reconstructed objects without a gen object, by source and split"
    )
    sources: dict[str, dict[str, int]] = Field(description="objects of the sources of these, by split")
    sourceless: dict[str, int] = Field(description="those that no source has in its cone, by split")
    non_finite: dict[str, int] = Field(description="values that are NaN or infinite, by column")
    relations: list[TestedRelation] = Field(default=[], description="tests of the declared exact relations")
    reference: bool | None = Field(
        default=None, description="whether all inputs are of the reference simulation; none if not known"
    )


TRAINING_TABLES = TableFormat("training tables", "flashsim preprocess", "tables.json", TableDescription)


class TableWriter(Generic[D]):
    """Writes tables chunk by chunk; the folder holds complete new tables, or is as it was.

    A context manager: the tables are written into a hidden folder inside `folder`, and take their places when
    the block ends; when it raises, the hidden folder is removed, and tables that were there stay.

    Parameters
    ----------
    tables
        Their format.
    folder
        Where they shall be; made if it is not there.
    force
        Whether to replace tables that are there.

    Raises
    ------
    OutputFileError
        If the folder holds tables already and `force` is not set, another process makes some in it, or it
        cannot be written.
    """

    def __init__(self, tables: TableFormat[D], folder: Path, *, force: bool = False) -> None:
        import pyarrow.parquet  # noqa: F401, PLC0415  # what is missing shows before any work

        self.tables, self.folder = tables, folder
        self.rows: Counter[tuple[str, str]] = Counter()
        self.non_finite: Counter[str] = Counter()
        self._files: dict[Path, pq.ParquetWriter] = {}
        self._description: D | None = None
        self._part = folder
        self._is_new = not folder.exists()
        self._force, self._lock = force, contextlib.ExitStack()
        self._refuse_existing()

    def _refuse_existing(self) -> None:
        if (self.folder / self.tables.file).exists() and not self._force:
            msg = f"{self.folder}: holds {self.tables.what} already; name another folder or add --force"
            raise OutputFileError(msg)

    def __enter__(self) -> Self:
        with self._disk_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.enter_context(sole_user(self.folder))
        with self._lock, self._disk_errors():
            self._refuse_existing()  # another process may have made them since
            for left in self.folder.glob(".*.part"):  # of one that was killed
                shutil.rmtree(left, ignore_errors=True)
            self._part = Path(tempfile.mkdtemp(prefix=".", suffix=".part", dir=self.folder))
            self._lock = self._lock.pop_all()  # kept until the end
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complete = False
        try:
            with self._disk_errors():
                for writer in self._files.values():
                    writer.close()
                if kind is None:
                    self._commit()
                    complete = True
        finally:
            shutil.rmtree(self._part, ignore_errors=True)
            self._lock.close()
            if self._is_new and not complete:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()

    def extend(self, kind: str, split: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> None:
        """Append rows of one kind, as `TableFormat.read` takes it; `split`, shape (N,), numbers their splits.

        Raises
        ------
        OutputFileError
            If they cannot be written.
        """
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        self._count_non_finite(columns)
        for number, name in enumerate(SPLITS):
            chosen = split == number
            table = pa.table({column: values[chosen] for column, values in columns.items()})
            path = self._part / table_file(name, kind)
            with self._disk_errors():
                if path not in self._files:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._files[path] = pq.ParquetWriter(
                        path, table.schema, compression="zstd", write_page_checksum=True
                    )
                if len(table):
                    self._files[path].write_table(table)
            self.rows[kind, name] += len(table)

    def describe(self, description: D) -> None:
        """Give the description, without which there are no tables; call once, after the last rows."""
        self._description = description

    def _commit(self) -> None:
        """Put the new tables in place; there is no description while they are mixed with old ones."""
        if self._description is None:
            msg = "the tables were not described"
            raise RuntimeError(msg)
        described = self._part / self.tables.file
        described.write_text(self._description.model_dump_json(indent=1), encoding="utf-8")
        (self.folder / self.tables.file).unlink(missing_ok=True)
        for path in (*self._files, described):
            final = self.folder / path.relative_to(self._part)
            final.parent.mkdir(parents=True, exist_ok=True)
            path.replace(final)
        new = {self.folder / path.relative_to(self._part) for path in self._files}
        for path in {*table_files(self.folder)} - new:
            if path.suffix == ".parquet":  # such as of a source that is not declared any more
                path.unlink()

    def _count_non_finite(self, columns: Mapping[str, NDArray[Any]]) -> None:
        reconstructed = columns.get("reconstructed")
        for column, values in columns.items():
            if values.dtype.kind != "f":
                continue
            bad = ~np.isfinite(values)
            if column.startswith("target.") and reconstructed is not None:
                bad &= reconstructed.astype(bool)
            if count := int(np.count_nonzero(bad)):
                self.non_finite[column] += count

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            msg = f"{self.folder}: {self.tables.what} cannot be written there ({reason})"
            raise OutputFileError(msg) from error
