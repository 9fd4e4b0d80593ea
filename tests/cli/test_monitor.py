from __future__ import annotations

import pytest
from typer.testing import CliRunner

from flashsim.cli.main import app
from flashsim.errors import InputFileError, OutputFileError
from flashsim.runs.log import RunLog


@pytest.fixture
def runs(tmp_path):
    with RunLog(tmp_path / "runs" / "jets", "jets", epochs={"flow": 1}) as log:
        log.epoch("flow", 1, 1, {"train": 1.0, "validation": 2.0})
    return tmp_path / "runs"


def test_the_page_is_saved(runs, tmp_path):
    page = tmp_path / "page.html"
    found = CliRunner().invoke(app, ["monitor", str(runs), "--export", str(page)])
    assert (found.exit_code, found.stdout) == (0, f"{page}: 1 trainings in 0 groups\n")
    assert "jets" in page.read_text(encoding="utf-8")
    again = CliRunner().invoke(app, ["monitor", str(runs), "--export", str(page)])
    assert isinstance(again.exception, OutputFileError)
    assert CliRunner().invoke(app, ["monitor", str(runs), "--export", str(page), "--force"]).exit_code == 0


def test_no_folder_is_an_error(tmp_path):
    found = CliRunner().invoke(app, ["monitor", str(tmp_path / "none")])
    assert isinstance(found.exception, InputFileError)


def test_losses_are_saved_for_tensorboard(runs, tmp_path):
    events = tmp_path / "events"
    found = CliRunner().invoke(app, ["monitor", str(runs), "--tensorboard", str(events)])
    assert (found.exit_code, found.stdout) == (0, f"{events}: 1 trainings\n")
    assert len(list((events / "jets").glob("events.out.tfevents.*"))) == 1
