"""`flashsim inspect` as users meet it."""

from __future__ import annotations

import json


def test_inspect(flashsim, made_nanoaod, made_models):
    status, out, err = flashsim("inspect", made_nanoaod)
    assert (status, err) == (0, "")
    assert "240 events of NanoAOD v9 (TTree)" in out
    status, out, _ = flashsim("inspect", made_models / "jets.safetensors", "--json")
    assert status == 0
    assert json.loads(out)["object"] == "jets"
