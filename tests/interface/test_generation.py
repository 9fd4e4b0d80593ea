from __future__ import annotations

import pytest

import flashsim
from flashsim.errors import FlashSimError, InputFileError, OutputFileError


def test_one_file(made_nanoaod, made_models, tmp_path):
    output = tmp_path / "out.root"
    told, reported = [], []
    made = flashsim.generate(
        made_nanoaod,
        output,
        models=made_models,
        chunk=100,
        report=reported.append,
        progress=lambda *counts: told.append(counts),
    )
    (summary,) = made.summaries
    assert summary.events == 240
    assert set(summary.objects) == {"Electron", "Jet", "Muon"}
    assert told == [(str(made_nanoaod), done, 240, "") for done in (0, 100, 200, 240)]
    assert reported == made.outcomes
    assert flashsim.inspect(output)["flashsim"]["seed"] == 1
    with pytest.raises(OutputFileError, match="exists already"):
        flashsim.generate(str(made_nanoaod), str(output), models=[made_models])


def test_files_that_fail(made_nanoaod, made_models, tmp_path, nanoaod_dir):
    data = nanoaod_dir / "data_dimuon_2018.root"
    with pytest.raises(InputFileError, match="no generator level"):
        flashsim.generate(data, tmp_path / "data.root", models=made_models, retries=0)
    options = {"models": made_models, "retries": 0}
    with pytest.raises(FlashSimError, match="1 of 2 files failed, the others are done"):
        flashsim.generate([made_nanoaod, data], tmp_path / "some", **options)
    made = flashsim.generate([data, made_nanoaod], tmp_path / "others", check=False, **options)
    assert [outcome.summary is None for outcome in made.outcomes] == [True, False]
    assert [path.name for path in (tmp_path / "others").iterdir()] == ["made_flash.root"]
    with pytest.raises(FlashSimError, match="1 of 2 files failed"):
        made.check()
