from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flashsim.declarations.objects import load_object
from flashsim.errors import OutputFileError, TableError
from flashsim.learning.tables import SPLITS, TRAINING_TABLES, TableDescription, TableWriter

KINDS = ("objects", "unmatched/event", "sources/event", "events")


def description(events=1):
    counts = dict.fromkeys(SPLITS, 0)
    return TableDescription(
        schema_version=1,
        declaration=load_object("jets"),
        nanoaod_version="v9",
        files=["a.root"],
        events={**counts, "train": events},
        gen_objects=counts,
        reconstructed=counts,
        unmatched={"event": counts},
        sources={"event": counts},
        sourceless=counts,
        non_finite={},
    )


def rows(first=0, count=6):
    return np.arange(count) % 3, {"event": first + np.arange(count), "x": np.arange(count, dtype=np.float32)}


def write(folder, *, events=1, force=False, chunks=2, fail=False):
    with TableWriter(TRAINING_TABLES, folder, force=force) as writer:
        for chunk in range(chunks):
            for kind in KINDS:
                writer.extend(kind, *rows(first=100 * events + 10 * chunk))
        if fail:
            raise KeyboardInterrupt
        writer.describe(description(events))
    return writer


def content(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_rows_go_to_their_splits(tmp_path):
    writer = write(tmp_path / "t")
    for number, split in enumerate(SPLITS):
        for kind in KINDS:
            table = TRAINING_TABLES.read(tmp_path / "t", split, kind)
            assert table["event"].tolist() == [100 + number, 103 + number, 110 + number, 113 + number]
            assert table["x"].dtype == np.float32
            assert writer.rows[kind, split] == 4
    assert TRAINING_TABLES.read_description(tmp_path / "t") == description()
    assert content(tmp_path / "t") == sorted(
        ["tables.json", *(f"{s}/{k}.parquet" for s in SPLITS for k in KINDS)]
    )


def test_a_split_without_rows_has_a_table(tmp_path):
    with TableWriter(TRAINING_TABLES, tmp_path / "t") as writer:
        writer.extend("events", np.zeros(3, int), {"x": np.ones(3)})
        writer.describe(description())
    assert len(TRAINING_TABLES.read(tmp_path / "t", "test", "events")) == 0
    assert list(TRAINING_TABLES.read(tmp_path / "t", "test", "events").columns) == ["x"]


def test_values_that_are_not_finite_are_counted(tmp_path):
    bad = np.array([np.nan, 1.0, np.inf, np.nan])
    with TableWriter(TRAINING_TABLES, tmp_path / "t") as writer:
        reconstructed = np.array([True, True, True, False])
        columns = {"conditioning.x": bad, "target.pt": bad, "reconstructed": reconstructed}
        writer.extend("objects", np.zeros(4, int), columns)
        writer.extend("unmatched/event", np.zeros(4, int), {"target.pt": bad})
        writer.describe(description())
    assert writer.non_finite == {"conditioning.x": 3, "target.pt": 2 + 3}


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "t", fail=True)
    assert list(tmp_path.iterdir()) == []


def test_old_tables_stay_when_a_rerun_fails(tmp_path):
    write(tmp_path / "t", events=1)
    before = {name: (tmp_path / "t" / name).read_bytes() for name in content(tmp_path / "t")}
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "t", events=2, force=True, fail=True)
    assert {name: (tmp_path / "t" / name).read_bytes() for name in content(tmp_path / "t")} == before
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == sorted([*SPLITS, "tables.json"])


def test_old_tables_are_replaced_when_asked(tmp_path):
    write(tmp_path / "t", events=1)
    (tmp_path / "t" / "notes.txt").write_text("mine")
    with pytest.raises(OutputFileError, match="holds training tables already"):
        write(tmp_path / "t", events=2)
    write(tmp_path / "t", events=2, force=True)
    assert TRAINING_TABLES.read_description(tmp_path / "t").events["train"] == 2
    assert TRAINING_TABLES.read(tmp_path / "t", "train", "events")["event"].min() == 200
    assert (tmp_path / "t" / "notes.txt").read_text() == "mine"


def test_tables_without_description_are_a_bug(tmp_path):
    with (
        pytest.raises(RuntimeError, match="not described"),
        TableWriter(TRAINING_TABLES, tmp_path / "t") as writer,
    ):
        writer.extend("events", np.zeros(3, int), {"x": np.ones(3)})
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFileError, match=r"file: training tables cannot be written there"):
        write(tmp_path / "file")


def test_missing_tables_are_named(tmp_path):
    with pytest.raises(TableError, match=r"holds no training tables \(no tables\.json\)"):
        TRAINING_TABLES.read_description(tmp_path)
    write(tmp_path / "t")
    (tmp_path / "t" / "test" / "unmatched" / "event.parquet").unlink()
    with pytest.raises(TableError, match=r"unmatched/event\.parquet: is missing"):
        TRAINING_TABLES.read(tmp_path / "t", "test", "unmatched/event")


def test_damaged_tables_are_named(tmp_path):
    write(tmp_path / "t")
    path = tmp_path / "t" / "train" / "objects.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TableError, match=r"objects\.parquet: is damaged"):
        TRAINING_TABLES.read(tmp_path / "t", "train", "objects")
    for text in ("{", json.dumps({"schema_version": 2})):
        (tmp_path / "t" / "tables.json").write_text(text)
        with pytest.raises(TableError, match=r"tables\.json: is damaged or of another version"):
            TRAINING_TABLES.read_description(tmp_path / "t")


COLUMNS = {"event": "whole", "x": "number", "found": "bool"}


def damaged_table(tmp_path, **columns):
    """Write a table in place of a sound one, and give the function that reads it."""
    folder = tmp_path / "t"
    write(folder)
    content = {"event": [1, 2], "x": [0.5, 1.5], "found": [True, False]} | columns
    arrays = [value for value in content.values() if value is not None]
    names = [name for name, value in content.items() if value is not None]
    pq.write_table(
        pa.table(arrays, names=[name.rstrip("+") for name in names]), folder / "train/objects.parquet"
    )
    return lambda **wanted: TRAINING_TABLES.read(folder, "train", "objects", **{"columns": COLUMNS, **wanted})


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"x": None}, "lacks x, which the training needs"),
        ({"x": ["a", "b"]}, "the column 'x' is of type string, expected numbers"),
        ({"x": [[1.0], [2.0]]}, r"the column 'x' is of type list<.*>, expected numbers"),
        ({"x": [True, False]}, "the column 'x' is of type bool, expected numbers"),
        ({"x": [None, None]}, "the column 'x' is of type null, expected numbers"),
        ({"x": [None, 1.0]}, "the column 'x' is empty in 1 of 2 rows, expected a value in each"),
        ({"event": [1.0, 2.0]}, "the column 'event' is of type double, expected whole numbers"),
        ({"found": [1, 0]}, "the column 'found' is of type int64, expected true or false"),
        ({"x+": [1.0, 2.0]}, "has 2 columns 'x', expected one"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(f"{k} {v}" for k, v in value.items()),
)
def test_columns_that_a_training_cannot_use_are_named(tmp_path, columns, fault):
    read = damaged_table(tmp_path, **{k: pa.array(v) if v is not None else None for k, v in columns.items()})
    sentence = rf"train/objects\.parquet: {fault}; make the training tables again with 'flashsim preprocess'$"
    with pytest.raises(TableError, match=sentence):
        read()


def test_other_columns_and_types_of_numbers_are_of_no_concern(tmp_path):
    read = damaged_table(tmp_path, x=np.array([1, 2], np.int8), other=["a", "b"])
    assert list(read(rows=2)) == ["event", "x", "found"]
    with pytest.raises(TableError, match="has 2 rows, expected the 3 of its description"):
        read(rows=3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_table_that_is_cut_is_refused(tmp_path, share):
    write(tmp_path / "t")
    path = tmp_path / "t" / "train" / "objects.parquet"
    raw = path.read_bytes()
    path.write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(TableError, match=r"objects\.parquet: is damaged \(") as refused:
        TRAINING_TABLES.read(tmp_path / "t", "train", "objects")
    assert "\n" not in str(refused.value)


def test_no_byte_of_the_values_changes_unseen(tmp_path):
    write(tmp_path / "t")
    path = tmp_path / "t" / "train" / "objects.parquet"
    raw, sound = path.read_bytes(), TRAINING_TABLES.read(tmp_path / "t", "train", "objects")
    footer = int.from_bytes(raw[-8:-4], "little") + 8
    for place in range(4, len(raw) - footer):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 16]) + raw[place + 1 :])
        try:
            table = TRAINING_TABLES.read(tmp_path / "t", "train", "objects")
        except TableError:
            continue
        assert table.equals(sound)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"schema_version": NaN}', "[1]", "\x00"])
def test_a_damaged_description_is_refused(tmp_path, text):
    write(tmp_path / "t")
    (tmp_path / "t" / "tables.json").write_text(text)
    with pytest.raises(TableError, match=r"tables\.json: is damaged or of another version \(") as refused:
        TRAINING_TABLES.read_description(tmp_path / "t")
    assert "\n" not in str(refused.value)


def test_two_writers_do_not_share_a_folder(tmp_path):
    with TableWriter(TRAINING_TABLES, tmp_path / "t") as writer:
        with pytest.raises(OutputFileError, match=r"t: is being written by another process; wait for it"):
            write(tmp_path / "t", events=2)
        for kind in KINDS:
            writer.extend(kind, *rows())
        writer.describe(description())
    assert TRAINING_TABLES.read_description(tmp_path / "t") == description()
    assert [path.name for path in (tmp_path / "t").iterdir() if path.name.startswith(".")] == []


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / "t" / ".abc.part").mkdir(parents=True)
    (tmp_path / "t" / ".lock").touch()
    write(tmp_path / "t")
    assert not any(path.name.startswith(".") for path in (tmp_path / "t").iterdir())
