"""`flashsim gen` and `flashsim reference` as users meet them."""

from __future__ import annotations

import json

import pytest
import uproot
from lhe_files import MADGRAPH, lhe_text

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


def test_gen_of_several_lhe_files(flashsim, folder, refused):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    (folder / "runs").mkdir()
    for seed in (1, 2):
        (folder / "runs" / f"{seed}.dat").write_text(lhe_text(MADGRAPH, 4, seed))
    (folder / "quick.cmnd").write_text("PartonLevel:MPI = off\n")
    arguments = ("gen", "runs", "--settings", "quick.cmnd", "--output", "gen.root", "--events", 10)
    left_out = "1 of 9 LHE weights have no place in NanoAOD: other forms of the scale"
    left_out += ", further sets of parton densities"
    status, out, err = flashsim(*arguments)
    assert (status, out) == (0, "gen.root: 8 events from runs, cross section 800 +- 3 pb\n")
    assert err.splitlines() == [
        "flashsim: making gen-level events of runs -> gen.root",
        "flashsim: note: 10 events were asked for, the input holds 8",
        f"flashsim: note: {left_out}",
    ]
    status, out, err = flashsim("gen", "runs/1.dat", "runs/2.dat", *arguments[2:4], "-o", "two.root", "-n", 4)
    assert (status, out) == (0, "two.root: 4 events from 2 inputs, cross section 800 +- 4 pb\n")
    assert err.startswith("flashsim: making gen-level events of 2 inputs -> two.root\n")
    refused(
        flashsim("gen", "gen.root", "-o", "x.root"), "gen.root: is NanoAOD already; give it to 'flashsim gen"
    )
    refused(
        flashsim("gen", "runs/*.dat", "quick.cmnd", "-o", "x.root"), "quick.cmnd: is Pythia 8 settings, and"
    )
    refused(flashsim("gen", "runs/1.dat", "-o", "runs/1.dat", "-f"), "runs/1.dat: is an input")
    refused(flashsim("gen", "none.lhe.gz", "-o", "x.root"), "none.lhe.gz: there is no such file")


def test_gen_of_an_era(flashsim, folder, refused):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    (folder / "quick.cmnd").write_text("include = vbf_hmumu.cmnd\nPartonLevel:MPI = off\n")
    status, out, err = flashsim("gen", "quick.cmnd", "--era", "run3", "--events", 3, "--output", "gen.root")
    assert (status, err) == (0, "flashsim: making gen-level events of quick.cmnd -> gen.root\n")
    assert out.startswith("gen.root: 3 events from quick.cmnd, cross section ")
    with uproot.open("gen.root:Events") as events:
        assert events["nGenJet"].interpretation.to_dtype.name == "int32"
        assert "GenJet_nBHadrons" in events
    refused(
        flashsim("gen", "quick.cmnd", "--era", "full", "--output", "x.root"),
        "full.yaml: is no era, as it has no section 'generation'; shipped eras are run2, run3",
    )


def test_gen_without_a_tune(flashsim, folder):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    (folder / "z.cmnd").write_text("WeakSingleBoson:ffbar2gmZ = on\nPartonLevel:MPI = off\n")
    status, _, err = flashsim("gen", "z.cmnd", "-n", 2, "-o", "gen.root")
    assert status == 0
    assert err.splitlines()[1].startswith("flashsim: note: z.cmnd names no tune (Tune:pp): Pythia's default")
    with uproot.open("gen.root") as file:
        assert "names no tune" in json.loads(str(file["flashsim_gen"]))["notes"][0]


def test_reference(flashsim, folder, refused, few_interactions):
    arguments = ("reference", "vbf_hmumu", "-n", 3, "--output", "vbf", "--detectors", "full")
    arguments += ("--minbias", few_interactions)
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
    result = flashsim(*arguments, "--force", "--set", "fast.recording.material.field=2.0")
    refused(result, "fast.recording.material.field: names no parameter of a detector; begin with full.")
    result = flashsim(*arguments, "--force", "--set", "full.recording.material.feild=2.0")
    refused(
        result, "recording.material.feild: is no key of this recipe; the nearest: recording.material.field"
    )
    assert flashsim(*arguments, "--force", "--set", "full.recording.material.field=2.0")[0] == 0
    with uproot.open("vbf/full.root") as file:
        assert json.loads(str(file[REFERENCE]))["parameters"]["recording"]["material"]["field"] == 2.0
