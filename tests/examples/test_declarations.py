"""The how-to pages that change a declaration, followed on a real file."""

from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pandas as pd
import pytest
import uproot


def test_add_a_target(reader):
    page = "docs/howto/target.md"
    reader.follow(page, "Add a target")
    factors = reader.follow(page, "Train and look")["factors"]
    full, flash = (np.asarray(factors[f"{name}.root"]) for name in ("full", "flash"))
    assert np.isfinite(flash).all()
    assert flash.min() == 0.0
    assert flash.max() <= 1.0
    # A point mass at 0, exactly, as often as in the training.
    assert np.mean(flash == 0.0) == pytest.approx(np.mean(full <= 0.0), abs=0.05)
    assert len(flash) == pytest.approx(len(full), rel=0.3)


def test_a_target_with_the_name_of_a_link_is_refused(reader):
    page = "docs/howto/target.md"
    reader.follow(page, "Add a target")
    declared, message = reader.blocks_of(page, "Names that generation takes")
    reader.take(declared)
    status, out, errors = reader.flashsim("preprocess", "my_jets.yaml", "full.root", "--output", "tables")
    assert (status, out) == (2, "")
    assert errors.splitlines()[-1] == message.text.strip()
    assert not (reader.folder / "tables").exists()


def test_add_an_object(reader):
    found = reader.follow("docs/howto/object.md")["found"]
    # Two epochs know that most electrons leave a photon, that few photons in jets do, and how well.
    for species, (efficiency, response) in {11: (0.78, 0.99), 22: (0.20, 1.20)}.items():
        assert found["full.root", species] == pytest.approx((efficiency, response), abs=0.01)
        assert found["flash.root", species] == pytest.approx((efficiency, response), abs=0.15)
    with uproot.open("full.root") as full, uproot.open("flash.root") as flash:
        generated = flash["Events"].arrays(filter_name=["Photon_*", "GenPart_pdgId"])
        number = len(ak.flatten(full["Events/Photon_pt"].array()))
    photons = {name: ak.to_numpy(ak.flatten(generated[name])) for name in ak.fields(generated)}
    assert all(np.isfinite(values).all() for values in photons.values())
    assert len(photons["Photon_pt"]) == pytest.approx(number, rel=0.2)
    assert photons["Photon_pt"].min() >= 9.5
    assert set(photons["Photon_electronVeto"]) == {0, 1}
    # What a photon is matched to is written as CMS does.
    matched = generated.Photon_genPartIdx >= 0
    species = abs(generated.GenPart_pdgId[generated.Photon_genPartIdx[matched]])
    origin = generated.Photon_genPartFlav
    assert set(ak.flatten(origin[matched][species == 11])) == {0, 11}
    assert set(ak.flatten(origin[matched][species == 22])) == {0, 1}
    assert set(ak.flatten(origin[~matched])) == {0}


def test_add_a_conditioning_variable(reader):
    reader.follow("docs/howto/conditioning.md")
    assert "gen jets around it, in GeV" in reader.output
    status, described, _ = reader.flashsim("inspect", "models/jets.safetensors", "--json")
    assert status == 0
    columns = [column for entry in json.loads(described)["conditioning"] for column in entry["columns"]]
    assert "around" in columns
    # The column is what it says, computed here without FlashSim.
    jets = pd.concat(pd.read_parquet(f"tables/jets/{s}/objects.parquet") for s in ("train", "test"))
    with uproot.open("full.root") as file:
        gen = file["Events"].arrays(["event", "GenJet_pt", "GenJet_eta", "GenJet_phi"])
    first = jets[jets.event == jets.event.iloc[0]]
    event = gen[gen.event == jets.event.iloc[0]][0]
    pt, eta, phi = (ak.to_numpy(event[f"GenJet_{name}"]).astype(float) for name in ("pt", "eta", "phi"))
    distance = np.hypot(eta[:, None] - eta, np.abs(np.angle(np.exp(1j * (phi[:, None] - phi)))))
    around = (np.where((distance >= 0.4) & (distance < 1.0), 1.0, 0.0) * pt).sum(1)
    assert first["conditioning.around"].to_numpy() == pytest.approx(around, rel=1e-5)
    assert (jets["conditioning.around"] > 0).mean() > 0.1
    with uproot.open("flash.root") as file:
        mass = ak.to_numpy(ak.flatten(file["Events/Jet_mass"].array()))
    assert np.isfinite(mass).all()
    assert np.median(mass) == pytest.approx(8.0, rel=0.3)
