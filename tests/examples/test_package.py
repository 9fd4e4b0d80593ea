"""The how-to pages that change the package, followed in a copy of it on a real file."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot


def test_add_a_relation(developer, reader):
    ratios = developer.follow("docs/howto/relation.md")["ratios"]
    full, flash = ratios["full.root"], ratios["flash.root"]
    assert np.isfinite(flash).all()
    assert flash.min() > 0.0
    assert np.median(flash) == pytest.approx(np.median(full), rel=0.15)
    quartiles = [np.subtract(*np.quantile(values, (0.75, 0.25))) for values in (flash, full)]
    assert quartiles[0] == pytest.approx(quartiles[1], rel=0.5)
    # A package without the relation says so.
    status, _, errors = reader.flashsim("inspect", "models/jets.safetensors")
    assert (status, "log_ratio" in errors) == (2, True)


def test_add_a_loss(developer):
    losses = developer.follow("docs/howto/loss.md")["losses"]
    assert len(losses) == 2
    wasserstein = losses["validation_wasserstein"]
    assert (wasserstein > 0.0).all()
    # The constraint holds it at 0: what is missing is the loss itself.
    assert losses["validation_infeasibility_wasserstein"].to_numpy() == pytest.approx(wasserstein.to_numpy())
    with uproot.open("refined.root") as file:
        jets = file["Events"].arrays(["Jet_pt", "Jet_pt_unrefined"])
    moved = ak.to_numpy(ak.flatten(jets.Jet_pt / jets.Jet_pt_unrefined))
    assert np.isfinite(moved).all()
    assert np.median(moved) == pytest.approx(1.0, abs=0.2)
    assert (moved != 1.0).mean() > 0.5
