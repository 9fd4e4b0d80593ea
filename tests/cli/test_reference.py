"""`flashsim gen` and `flashsim reference` as users meet them."""

from __future__ import annotations

import json

import pytest
import uproot

from flashsim.nanoaod.provenance import REFERENCE


def test_gen(flashsim, folder, refused):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    status, out, err = flashsim("gen", "vbf_hmumu.cmnd", "--events", 3, "--output", "gen.root")
    assert (status, err) == (0, "flashsim: making gen-level events of vbf_hmumu.cmnd -> gen.root\n")
    assert out.startswith("gen.root: 3 events from vbf_hmumu.cmnd, cross section ")
    assert out.endswith(" pb\n")
    refused(flashsim("gen", "none.cmnd", "--output", "x.root"), "no reference recipe 'none.cmnd'")
    numbers = ("--run", 7, "--lumi", 12, "--first-event", 501)
    assert flashsim("gen", "vbf_hmumu.cmnd", "--events", 3, "--output", "told.root", *numbers)[0] == 0
    with uproot.open("told.root:Events") as told, uproot.open("gen.root:Events") as by_default:
        found = told.arrays(["run", "luminosityBlock", "event"]).to_list()
        assert found == [{"run": 7, "luminosityBlock": 12, "event": 501 + k} for k in range(3)]
        assert set(by_default.arrays(["luminosityBlock"]).luminosityBlock) != {12}
        assert told.arrays(["GenPart_pt"]).to_list() == by_default.arrays(["GenPart_pt"]).to_list()
    status, _, err = flashsim("gen", "vbf_hmumu.cmnd", "--output", "x.root", "--lumi", 2**31 - 1)
    assert status == 2
    assert "--lumi" in err


def test_reference(flashsim, folder, refused):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    arguments = ("reference", "vbf_hmumu", "-n", 3, "--output", "vbf", "--detectors", "full")
    status, out, err = flashsim(*arguments)
    assert (status, err) == (0, "flashsim: making 3 events of vbf_hmumu in full -> vbf\n")
    assert out.startswith("vbf/gen.root: 3 events\nvbf/full.root: ")
    refused(flashsim(*arguments), "vbf/full.root: exists already")
    status, out, _ = flashsim(*arguments, "--force")
    assert status == 0
    assert out.startswith("vbf/gen.root: 3 events, made before\n")
    refused(flashsim(*arguments, "--force", "--full", "none.yaml"), "no reference recipe 'none.yaml'")
    status, _, err = flashsim("reference", "vbf_hmumu", "-o", "x", "--detectors", "delphes")
    assert status == 2
    assert "'delphes' is no detector" in err
    result = flashsim(*arguments, "--force", "--set", "fast.muons.track.quality=0.5")
    refused(result, "fast.muons.track.quality: names no parameter of a detector; begin with full.")
    result = flashsim(*arguments, "--force", "--set", "full.muons.track.qualty=0.5")
    refused(result, "muons.track.qualty: is no key of this recipe; the nearest: muons.track.quality")
    assert flashsim(*arguments, "--force", "--set", "full.muons.track.quality=0.5")[0] == 0
    with uproot.open("vbf/full.root") as file:
        assert json.loads(str(file[REFERENCE]))["parameters"]["muons"]["track"]["quality"] == 0.5
