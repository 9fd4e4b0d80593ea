"""Folders of trainings."""

from __future__ import annotations

import contextlib
import json

import pytest

from flashsim.errors import OutputFileError, RecipeError
from flashsim.runs.folder import NOTE_FILE, begin_run
from flashsim.runs.log import RUN_FILE, RunLog

CONTENT = {"recipe": {"seed": 1}, "tables": {"rows": 10}}


def begun(folder, content=CONTENT):
    assert begin_run(folder, content, resume=False) == 0.0
    (folder / "flow").mkdir()
    checkpoints = [folder / "best.ckpt", folder / "flow" / "best.ckpt"]
    for checkpoint in checkpoints:
        checkpoint.touch()
    return checkpoints


def test_a_resumed_training_keeps_its_checkpoints(tmp_path):
    checkpoints = begun(tmp_path / "run")
    begin_run(tmp_path / "run", CONTENT, resume=True)
    assert all(path.is_file() for path in checkpoints)


def test_a_training_done_again_loses_its_checkpoints_and_no_others(tmp_path):
    checkpoints = begun(tmp_path / "run")
    others = begun(tmp_path / "run" / "grid" / "other")
    begin_run(tmp_path / "run", CONTENT, resume=False, force=True)
    assert not any(path.is_file() for path in checkpoints)
    assert all(path.is_file() for path in others)


@pytest.mark.parametrize("changed", CONTENT)
def test_a_training_of_something_else_is_not_resumed(tmp_path, changed):
    checkpoints = begun(tmp_path)
    with pytest.raises(RecipeError, match=f"was begun with another {changed}; train without --resume"):
        begin_run(tmp_path, CONTENT | {changed: {}}, resume=True)
    assert all(path.is_file() for path in checkpoints)
    assert json.loads((tmp_path / NOTE_FILE).read_text()) == CONTENT


def test_a_note_of_an_earlier_format_is_upgraded(tmp_path):
    checkpoints = begun(tmp_path, {"recipe": {"seed": 1}})
    begin_run(tmp_path, CONTENT, resume=True, upgrade=lambda earlier: CONTENT | earlier)
    assert all(path.is_file() for path in checkpoints)


def test_time_of_earlier_starts_counts_when_resumed(tmp_path):
    begun(tmp_path)
    start = {
        "event": "start",
        "name": "a",
        "parameters": {},
        "epochs": {},
        "resumed": False,
        "host": "",
        "pid": 1,
    }
    lines = [start | {"time": 100.0}, {"event": "heartbeat", "time": 130.0}]
    (tmp_path / RUN_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert begin_run(tmp_path, CONTENT, resume=True) == pytest.approx(30.0)
    assert begin_run(tmp_path, CONTENT, resume=False, force=True) == 0.0


@pytest.mark.parametrize(
    "text", ["{", "", "[1]", "3", '{"recipe": NaN}', "[" * 100_000, '{"recipe": 1, "recipe": 1}', "\x00"]
)
def test_a_note_that_cannot_be_read_is_said(tmp_path, text):
    (tmp_path / NOTE_FILE).write_text(text)
    with pytest.raises(OutputFileError, match=r"training\.json: does not say .*--force to begin again$"):
        begin_run(tmp_path, CONTENT, resume=True)


@pytest.mark.parametrize("ending", [None, "fail", "finish", "damaged"])
def test_a_training_that_was_not_finished_is_not_begun_again_unasked(tmp_path, ending):
    checkpoints = begun(tmp_path)
    if ending is not None:
        log = RunLog(tmp_path, "a")
        with contextlib.suppress(ZeroDivisionError), log:
            if ending != "finish":
                raise ZeroDivisionError
        if ending == "damaged":
            log.path.write_bytes(b"\xff" * 100)
    if ending != "finish":
        with pytest.raises(OutputFileError, match=r"not finished; go on with --resume, or begin .* --force"):
            begin_run(tmp_path, CONTENT, resume=False)
        assert all(path.is_file() for path in checkpoints)
    begin_run(tmp_path, CONTENT, resume=False, force=ending != "finish")
    assert not any(path.is_file() for path in checkpoints)
