from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.errors import OutputFileError
from flashsim.runs import log as runlog
from flashsim.runs.history import read_run
from flashsim.runs.log import RUN_FILE, RunLog, flat_parameters

EPOCHS = {"efficiency": 2, "flow": 3}


def events(folder):
    return [json.loads(line) for line in (folder / RUN_FILE).read_text(encoding="utf-8").splitlines()]


def test_a_training_is_told_from_start_to_finish(tmp_path):
    before = time.time()
    with RunLog(tmp_path / "a", "a", {"flow.width": 64}, epochs=EPOCHS) as log:
        log.epoch("efficiency", 1, 2, {"train": 1.5, "validation": 1.25, "validation_mse": 2.0})
        log.finish({"auc": 0.5})
    start, epoch, finish = events(tmp_path / "a")
    assert [e["event"] for e in (start, epoch, finish)] == ["start", "epoch", "finish"]
    assert (start["name"], start["parameters"], start["epochs"]) == ("a", {"flow.width": 64}, EPOCHS)
    assert start["pid"] == os.getpid()
    assert start["resumed"] is False
    assert epoch["losses"] == {"train": 1.5, "validation": 1.25, "validation_mse": 2.0}
    assert finish["values"] == {"auc": 0.5}
    assert before - 1e-3 <= start["time"] <= epoch["time"] <= finish["time"] <= time.time() + 1e-3


@pytest.mark.parametrize("error", [ValueError("too bad"), KeyboardInterrupt()])
def test_an_exception_is_noted_and_goes_on(tmp_path, error):
    with pytest.raises(type(error)), RunLog(tmp_path, "a"):
        raise error
    assert events(tmp_path)[-1]["event"] == "fail"
    expected = "ValueError: too bad" if str(error) else "KeyboardInterrupt"
    assert events(tmp_path)[-1]["error"] == expected


def test_signs_of_life_come_between_other_events_only(tmp_path, monkeypatch):
    monkeypatch.setattr(runlog, "HEARTBEAT", 0.05)
    with RunLog(tmp_path, "a") as log:
        time.sleep(0.3)
        for epoch in range(1, 20):
            log.epoch("flow", epoch, 20, {"train": 0.0})
            time.sleep(0.01)
    kinds = [e["event"] for e in events(tmp_path)]
    assert kinds.count("heartbeat") >= 2
    assert "heartbeat" not in kinds[kinds.index("epoch") :]
    time.sleep(0.15)
    assert [e["event"] for e in events(tmp_path)] == kinds  # nothing after the end


def test_values_that_json_has_not_are_null(tmp_path):
    with RunLog(tmp_path, "a", {"x": float("inf")}) as log:
        log.epoch("flow", 1, 2, {"train": float("nan"), "validation": float("-inf")})
    start, epoch, _ = events(tmp_path)
    assert start["parameters"] == {"x": None}
    assert epoch["losses"] == {"train": None, "validation": None}


def test_a_torn_line_does_not_swallow_the_next(tmp_path):
    path = tmp_path / RUN_FILE
    with RunLog(tmp_path, "a", epochs={"flow": 3}) as log:
        log.epoch("flow", 1, 3, {"train": 1.0})
    path.write_bytes(path.read_bytes()[:-20])
    with RunLog(tmp_path, "a", epochs={"flow": 3}, resumed=True) as log:
        log.epoch("flow", 2, 3, {"train": 0.5})
    run = read_run(tmp_path)
    assert run.damaged == 1
    assert run.curves["flow"].epochs.tolist() == [1, 2]


def test_a_full_disk_is_no_end(tmp_path, monkeypatch, caplog):
    with RunLog(tmp_path, "a") as log:
        monkeypatch.setattr(
            os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        log.epoch("flow", 1, 2, {"train": 1.0})
        monkeypatch.undo()
        log.epoch("flow", 2, 2, {"train": 1.0})
    assert [e.get("epoch") for e in events(tmp_path)] == [None, 2, None]
    assert "cannot be written (No space left on device)" in caplog.text


def test_a_short_write_spoils_one_line_only(tmp_path, monkeypatch):
    write = os.write
    with RunLog(tmp_path, "a") as log:
        monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[: len(data) // 2]))
        log.epoch("flow", 1, 2, {"train": 1.0})
        monkeypatch.undo()
        log.epoch("flow", 2, 2, {"train": 1.0})
    run = read_run(tmp_path)
    assert (run.damaged, run.curves["flow"].epochs.tolist()) == (1, [2])


def test_a_log_that_cannot_be_written_is_an_error_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputFileError, match=r"run.jsonl: the log of the training cannot be written"):
        RunLog(tmp_path / "file", "a").queued()


WRITER = """
import sys
from pathlib import Path
from flashsim.runs.log import RunLog
folder, number = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
with RunLog(folder, f"run {number}", {"number": number}, epochs={"flow": 200}) as log:
    for epoch in range(1, 201):
        log.epoch("flow", epoch, 200, {f"train_part_{k}": number + epoch / 1000 for k in range(10)})
"""


def write_at_once(folders):
    """A process a folder, all of which write at the same time."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, folder in enumerate(folders)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0


def test_eight_writers_at_once_lose_no_line(tmp_path):
    folders = [tmp_path / f"run_{number}" for number in range(8)]
    write_at_once(folders)
    for number, folder in enumerate(folders):
        run = read_run(folder)
        assert (run.name, run.damaged, run.state(time.time())) == (f"run {number}", 0, "finished")
        curves = run.curves["flow"]
        assert curves.epochs.tolist() == list(range(1, 201))
        assert len(curves.losses) == 10
        for column in curves.losses.values():
            assert column.tolist() == [number + epoch / 1000 for epoch in range(1, 201)]


def test_lines_of_several_writers_do_not_mix(tmp_path):
    """A training has one writer, but one that was taken for dead may come back."""
    write_at_once([tmp_path] * 3)
    assert len(events(tmp_path)) == 3 * 202


KEYS = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=5)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))


@settings(max_examples=40)
@given(st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, max_size=4), max_leaves=20))
def test_flat_parameters_keep_every_scalar(value):
    def leaves(entry, key):
        if not isinstance(entry, dict):
            return {key: entry}
        return {k: v for name, e in entry.items() for k, v in leaves(e, f"{key}.{name}").items()}

    assert flat_parameters({"recipe": value}) == leaves(value, "recipe")


def test_lists_become_text_and_lists_of_mappings_are_numbered():
    recipe = {"widths": [0.1, 1.0], "stages": [{"primary": "mmd", "constraints": []}, {"primary": "mse"}]}
    assert flat_parameters(recipe) == {
        "widths": "0.1, 1.0",
        "stages.0.primary": "mmd",
        "stages.0.constraints": "",
        "stages.1.primary": "mse",
    }
