"""The emulated trigger beside that of files."""

from __future__ import annotations

import json

import pytest

from benchmarks.trigger import main


def test_the_emulation_is_near_public_simulation(nanoaod_dir, tmp_path, capsys):
    files = [nanoaod_dir / f"{name}.root" for name in ("tt_2018_v5", "pfnano_tt_2018", "dy_2018_v6")]
    assert main([*map(str, files), "--repeats", "5", "--output", str(tmp_path / "out.json")]) == 0
    paths = json.loads((tmp_path / "out.json").read_text())["paths"]
    for name in ("HLT_IsoMu24", "HLT_Ele32_WPTight_Gsf", "HLT_PFJet200", "HLT_PFHT590"):
        assert paths[name]["pull"] == pytest.approx(0.0, abs=3.0), name
    assert "root mean square of the pulls" in capsys.readouterr().out
