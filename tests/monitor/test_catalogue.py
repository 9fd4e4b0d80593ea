from __future__ import annotations

import json
import re
import shutil
import time

import pytest

from flashsim.errors import InputFileError
from flashsim.monitor import catalogue as module
from flashsim.monitor.catalogue import Catalogue
from flashsim.runs.history import RunReader
from flashsim.runs.log import LOST_AFTER, RUN_FILE


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch):
    """New trainings are looked for at every look."""
    monkeypatch.setattr(module, "_SHARE", float("inf"))


def by_id(message):
    return {training["id"]: training for training in message["trainings"]}


def test_a_half_finished_grid_is_told_whole(half_grid):
    root, _ = half_grid
    catalogue = Catalogue(root)
    assert catalogue.update()
    message = catalogue.message()
    assert json.loads(json.dumps(message, allow_nan=False))["folder"] == "runs"
    (group,) = message["groups"]
    assert (group["id"], group["points"]) == ("grid", 6)
    told = by_id(message)
    states = {name: t["state"] for name, t in told.items()}
    assert list(states.values()) == ["finished", "finished", "running", "lost", "queued", "failed"]
    first = told["grid/point_0000"]
    assert (first["done"], first["planned"], first["final"]) == (10, 10, {"auc": 0.6})
    curves = first["networks"]["refiner"]
    assert curves["epochs"] == [1, 2, 3, 4]
    assert curves["losses"]["validation"] == [1.0, 0.5, 0.25, 0.75]
    assert curves["best"]["validation"] == [0.25, 3]
    assert curves["best"]["validation_mse"] == [1.0, 1]
    assert (curves["kept_epoch"], curves["kept"]["validation_mse"], curves["last"]["validation"]) == (
        3,
        1.75,
        0.75,
    )
    assert told["grid/point_0002"]["ends"] > message["now"]
    assert told["jets.safetensors.run"]["error"] == "RecipeError: <b>bad</b>"


def test_only_news_are_told(half_grid):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    revision = catalogue.revision
    assert not catalogue.update()
    assert catalogue.message(revision)["trainings"] == []
    writers[2].write("heartbeat")
    assert catalogue.update()
    (told,) = catalogue.message(revision)["trainings"]
    assert told["id"] == "grid/point_0002"
    assert "networks" not in told
    writers[2].epoch(1.0)
    catalogue.update()
    (told,) = catalogue.message(revision)["trainings"]
    assert told["networks"]["refiner"]["epochs"] == [1, 2, 3]


def test_a_training_is_lost_without_any_event(half_grid):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    now = catalogue.message()["now"]
    catalogue._clock = lambda: now + LOST_AFTER + 1.0
    revision = catalogue.revision
    assert catalogue.update()
    assert {t["id"]: t["state"] for t in catalogue.message(revision)["trainings"]} == {
        "grid/point_0002": "lost"
    }
    writers[2].write("start", now + 70.0, name="p", parameters={}, epochs={}, resumed=True, host="h", pid=2)
    catalogue.update()
    assert by_id(catalogue.message(revision))["grid/point_0002"]["state"] == "running"


def test_trainings_come_and_go(half_grid, tmp_path):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    shutil.copytree(writers[0].folder, root / "grid" / "point_0005")
    shutil.rmtree(writers[1].folder)
    revision = catalogue.revision
    assert catalogue.update()
    message = catalogue.message(revision)
    assert "grid/point_0001" not in message["ids"]
    assert [t["id"] for t in message["trainings"]] == ["grid/point_0005"]


def test_a_log_that_becomes_a_link_is_not_read_on(half_grid, tmp_path):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    catalogue._look_again = float("inf")
    secret = tmp_path / "secret"
    log = writers[2].folder / RUN_FILE
    secret.write_text(log.read_text() * 2, encoding="utf-8")
    log.unlink()
    log.symlink_to(secret)
    assert not catalogue.update()


def test_nothing_is_written(half_grid):
    root, _ = half_grid
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    catalogue = Catalogue(root)
    catalogue.update()
    assert len(catalogue.message()["trainings"]) == 6
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")} == before


def test_long_curves_are_thinned_with_their_minima(half_grid, monkeypatch):
    root, writers = half_grid
    monkeypatch.setattr(module, "_MOST_POINTS", 20)
    writers[2].epoch(*(abs(k - 333.0) + 1.0 for k in range(500)))
    catalogue = Catalogue(root)
    catalogue.update()
    curves = by_id(catalogue.message())["grid/point_0002"]["networks"]["refiner"]
    assert len(curves["epochs"]) <= 25
    assert (curves["epochs"][0], curves["epochs"][-1]) == (1, 502)
    assert min(curves["losses"]["validation"]) == 1.0


def test_what_is_missing_of_a_constraint_is_best_at_zero(half_grid):
    root, writers = half_grid
    for value in (-0.5, 0.01, 0.2):
        writers[2].epoch(1.0, validation_infeasibility_sum=value)
    catalogue = Catalogue(root)
    catalogue.update()
    best = by_id(catalogue.message())["grid/point_0002"]["networks"]["refiner"]["best"]
    assert best["validation_infeasibility_sum"] == [0.01, 4]


def test_an_empty_folder_has_nothing_to_tell(tmp_path):
    catalogue = Catalogue(tmp_path)
    assert not catalogue.update()
    assert catalogue.message()["trainings"] == []


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(InputFileError, match="is no folder; name one with trainings below it"):
        Catalogue(tmp_path / "none")


START = {"name": "a", "parameters": {"x": 1}, "epochs": {"flow": 9}, "resumed": False, "host": "h", "pid": 7}
LOSSES = {"network": "flow", "epoch": 1, "of": 9, "losses": {"train": 1.0, "validation": 2.0}}


def line(event, when, **content):
    return json.dumps({"event": event, "time": when, **content}).encode() + b"\n"


def sound(folder):
    folder.mkdir()
    now = time.time()
    (folder / RUN_FILE).write_bytes(line("start", now, **START) + line("epoch", now, **LOSSES))


def odd_line(event="epoch", when=b"20.0", **changed):
    """Give a line of LOSSES with some JSON text in place of its values."""
    content = {
        name: json.dumps(value).encode() for name, value in (LOSSES if event == "epoch" else START).items()
    }
    content |= {name: text.encode() for name, text in changed.items()}
    fields = b"".join(b', "%s": %s' % (name.encode(), text) for name, text in content.items())
    return b'{"event": "%s", "time": %s%s}\n' % (event.encode(), when, fields)


ODD = {
    "time beyond all numbers": (odd_line(when=b"1e999"), "line 2: expected finite numbers.*found 1e999"),
    "time NaN": (odd_line(when=b"NaN"), "line 2: .*found NaN"),
    "time of 5000 digits": (odd_line(when=b"9" * 5000), "line 2: .*9{40}"),
    "time before all": (odd_line(when=b"-1"), "line 2: -1.0 is no time"),
    "time far ahead": (odd_line(when=b"1e300"), r"line 2: 1e\+300 is no time"),
    "parameter NaN": (odd_line("start", parameters='{"x": NaN}'), "line 2: .*found NaN"),
    "parameter a list": (odd_line("start", parameters='{"x": [1]}'), "line 2: .* as parameter 'x'"),
    "epoch of 64 bits": (odd_line(epoch=str(2**63)), r"line 2: expected a number from 1 to 2\^53"),
    "epoch of more": (odd_line(epoch=str(2**70)), "line 2: expected finite numbers of at most 64 bits"),
    "epoch 0": (odd_line(epoch="0"), r"line 2: expected a number from 1"),
    "loss Infinity": (odd_line(losses='{"train": -Infinity}'), "line 2: .*found -Infinity"),
    "losses a list": (odd_line(losses="[1]"), "line 2: "),
    "epochs without end": (odd_line("start", epochs='{"flow": 1e308}'), "line 2: .*from 0 to"),
    "deep": (b'{"event": "epoch", "time": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "nested too deeply"),
    "a key twice": (b'{"event": "heartbeat", "time": 20.0, "time": 21.0}\n', "'time' is given twice"),
    "binary": (bytes(range(11, 256)) + b"\n", "line 2: "),
    "no object": (b"[1]\n", "line 2: "),
    "no time": (b'{"event": "heartbeat"}\n', "line 2: no 'time'"),
    "long": (b"x" * (3 << 20) + b"\n", "line 2: it has more than 1048576 bytes"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_line_is_told_and_hides_nothing(tmp_path, name):
    odd, fault = ODD[name]
    for folder in ("before", "odd", "sound"):
        (tmp_path / folder).mkdir()
        first, last = line("start", 10.0, **START), line("epoch", 30.0, **LOSSES | {"epoch": 2})
        text = first + (odd if folder == "odd" else b"") + last
        (tmp_path / folder / RUN_FILE).write_bytes(text)
    catalogue = Catalogue(tmp_path)
    catalogue.update()
    told = by_id(json.loads(json.dumps(catalogue.message(), allow_nan=False)))
    assert list(told) == ["before", "odd", "sound"]
    assert re.fullmatch(rf"1 line of run\.jsonl cannot be read \(.*{fault}.*\)", told["odd"].pop("problem"))
    assert told["sound"].pop("problem") == ""
    assert told["odd"] == told["sound"] | {"id": "odd"}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.write_bytes(b""), "run.jsonl holds no event"),
        (lambda path: path.mkdir(), "run.jsonl is a folder, expected a file"),
        (
            lambda path: path.write_bytes(b"\xff\xfe\n" * 100),
            "100 lines of run.jsonl cannot be read (line 1: ",
        ),
        (
            lambda path: path.write_bytes(line("heartbeat", 1e999)),
            "1 line of run.jsonl cannot be read (line 1: ",
        ),
    ],
    ids=["empty", "folder", "binary", "one odd line"],
)
def test_a_log_without_events_is_told_beside_the_others(tmp_path, spoil, problem):
    sound(tmp_path / "sound")
    (tmp_path / "odd").mkdir()
    spoil(tmp_path / "odd" / RUN_FILE)
    catalogue = Catalogue(tmp_path)
    catalogue.update()
    told = by_id(json.loads(json.dumps(catalogue.message(), allow_nan=False)))
    assert told["odd"]["problem"].startswith(problem)
    assert told["odd"]["state"] in {"queued", "lost"}
    assert (told["sound"]["state"], told["sound"]["problem"]) == ("running", "")


def test_a_log_that_cannot_be_read_is_told_beside_the_others(tmp_path, monkeypatch):
    for name in ("odd", "sound"):
        sound(tmp_path / name)
    catalogue = Catalogue(tmp_path)
    update = RunReader.update

    def unreadable(reader):
        if reader.run.folder.name == "odd":
            raise PermissionError(13, "Permission denied")
        return update(reader)

    monkeypatch.setattr(RunReader, "update", unreadable)
    catalogue.update()
    told = by_id(catalogue.message())
    assert told["odd"]["problem"] == "run.jsonl cannot be read (Permission denied)"
    assert told["sound"]["state"] == "running"
