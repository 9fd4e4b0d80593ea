"""LHE events showered by Pythia, as gen-level NanoAOD."""

from __future__ import annotations

import gzip
import json
import os
import re
import threading
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.errors import InputFileError, OutputFileError, RecipeError
from flashsim.gen import make_gen
from flashsim.gen.lhe import shower as module
from flashsim.nanoaod.schema import load_schema

pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
pytest.importorskip("fastjet", reason="fastjet is not installed (extra 'reference')")

EVENTS = 30
CASE = Path(__file__).parents[4] / "shared" / "cases" / "gen" / "powheg_z.lhe.gz"


def read(path):
    with uproot.open(path) as file:
        return file["Events"].arrays(), json.loads(str(file["flashsim_gen"]))


def same(first, second):
    names = [name for name in first.fields if name not in {"run", "luminosityBlock", "event"}]
    assert second.fields == first.fields
    return all(ak.array_equal(first[name], second[name]) for name in names)


@pytest.fixture(scope="module", params=["madgraph", "powheg"])
def style(request, styles):
    return styles[request.param]


@pytest.fixture(scope="module")
def made(style, lhe, quick, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lhe")
    (folder / "z.lhe.gz").write_bytes(gzip.compress(lhe(style, EVENTS).encode()))
    summary = make_gen(folder / "z.lhe.gz", folder / "gen.root", settings=quick, seed=3)
    return summary, *read(folder / "gen.root")


def test_every_event_is_used_once(made, style):
    summary, events, provenance = made
    assert summary.events == len(events) == EVENTS
    assert summary.notes == (
        () if style.strategy < 0 else (summary.notes[0],)  # the other form of the scale has no place
    )
    # Every event has its own muons: the record and the LHE branches are of the same one.
    assert len(set(ak.flatten(events.LHEPart_pt[:, 2:3]).to_list())) == EVENTS
    assert provenance["lhe_files"] == [{"file": "z.lhe.gz", "events": EVENTS}]
    assert provenance["refused_events"] == 0
    assert provenance["command_files"] == ["cp5.cmnd", "quick.cmnd"]


def test_the_cross_section_is_that_of_the_file(made):
    summary, _, _ = made
    assert summary.cross_section == pytest.approx(800.0)
    assert summary.cross_section_error == pytest.approx(4.0)


def test_weights_are_those_of_the_file(made, style):
    summary, events, _ = made
    signs = [-1.0 if style.strategy < 0 and k % 10 == 9 else 1.0 for k in range(EVENTS)]
    size = 1.0 if abs(style.strategy) == 3 else style.weight
    np.testing.assert_allclose(events.genWeight, np.multiply(size, signs), rtol=1e-6)
    np.testing.assert_allclose(events.LHEWeight_originalXWGTUP, np.multiply(style.weight, signs), rtol=1e-6)
    assert summary.sum_of_weights == pytest.approx(size * sum(signs))
    pdf = [style.factors[name] for name in (("5", "6", "7") if size == 1.0 else ("2000", "2001", "2002"))]
    np.testing.assert_allclose(events.LHEPdfWeight, np.tile(pdf, (EVENTS, 1)), rtol=1e-4)
    assert ak.all(ak.num(events.LHEScaleWeight) == 3)
    assert ak.all(ak.num(events.LHEReweightingWeight) == (2 if size == 1.0 else 0))


def test_partons_are_those_of_the_file(made, style):
    _, events, _ = made
    assert events.LHEPart_pdgId[:, 2:4].to_list() == [[13, -13]] * EVENTS
    assert events.LHEPart_status[0].to_list() == [-1, -1, 1, 1]
    assert events.LHE_Njets.to_list() == [0, 1] * (EVENTS // 2)
    assert events.LHE_Nglu.to_list() == [0, 1] * (EVENTS // 2)
    gluon = events.LHEPart_pt[1::2, 4]
    for name in ("LHE_HT", "LHE_HTIncoming", "LHE_Vpt"):
        np.testing.assert_allclose(events[name][1::2], gluon, rtol=1e-4)
        np.testing.assert_allclose(events[name][::2], 0.0, atol=1e-3)
    assert set(events.LHE_NpLO) == ({1} if style.attributes else {255})
    assert set(events.LHE_NpNLO) == {255}
    assert ak.all(events.LHEPart_incomingpz[:, 0] > 0)
    assert ak.all(events.LHEPart_incomingpz[:, 1] < 0)


def test_the_shower_keeps_the_muons(made):
    """Final muons are those of the file but for recoil and radiation, prompt and of the hard process."""
    _, events, _ = made
    muons = (abs(events.GenPart_pdgId) == 13) & (events.GenPart_status == 1) & (events.GenPart_pt > 3)
    prompt = muons & (events.GenPart_statusFlags & 1 == 1) & (events.GenPart_statusFlags & (1 << 8) != 0)
    assert ak.all(ak.num(events.GenPart_pt[prompt]) == 2)
    first = ak.flatten(events.GenPart_eta[prompt & (events.GenPart_pdgId == 13)])
    assert np.median(np.abs(first - events.LHEPart_eta[:, 2])) < 0.3


def test_branches_are_those_of_v9(made):
    schema = load_schema("v9")
    names = [name for name in made[1].fields if name.startswith("LHE")]
    assert set(names) == {name for name in schema if name.startswith("LHE")}
    assert events_types(made[1], names) == {name: str(schema[name].dtype) for name in names}


def events_types(events, names):
    return {name: str(ak.to_numpy(ak.flatten(events[name], axis=None)).dtype) for name in names}


@pytest.fixture
def z(lhe, tmp_path):
    path = tmp_path / "z.lhe"
    path.write_text(lhe(events=12))
    return path


def test_workers_and_files_change_nothing(z, lhe, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVENTS_PER_BLOCK", 5)
    (tmp_path / "y.lhe").write_text(lhe(events=7, seed=2))
    sources = [z, tmp_path / "y.lhe"]
    done = []
    for workers in (1, 3):
        summary = make_gen(
            sources,
            tmp_path / f"{workers}.root",
            settings=quick,
            workers=workers,
            progress=lambda *counts: done.append(counts),
        )
        assert summary.events == 19
    assert same(read(tmp_path / "1.root")[0], read(tmp_path / "3.root")[0])
    # Blocks do not reach over the end of a file.
    assert done == [(5, None), (10, None), (12, None), (17, None), (19, None)] * 2
    assert read(tmp_path / "1.root")[1]["lhe_files"] == [
        {"file": "z.lhe", "events": 12},
        {"file": "y.lhe", "events": 7},
    ]


def test_the_first_events_are_taken(z, quick, tmp_path):
    make_gen(z, tmp_path / "all.root", settings=quick)
    few = make_gen(z, tmp_path / "few.root", settings=quick, events=5)
    assert few.events == 5
    events, expected = read(tmp_path / "few.root")[0], read(tmp_path / "all.root")[0][:5]
    assert ak.array_equal(events.GenPart_pdgId, expected.GenPart_pdgId)
    many = make_gen(z, tmp_path / "many.root", settings=quick, events=50)
    assert "50 events were asked for, the input holds 12" in many.notes


def test_a_cut_file_gives_its_complete_events(z, quick, tmp_path):
    z.write_text(z.read_text()[:-400])
    with pytest.raises(InputFileError, match=r"event 12 is cut off after 11 complete.*--events 11"):
        make_gen(z, tmp_path / "out.root", settings=quick)
    assert [path.name for path in tmp_path.iterdir()] == ["z.lhe"]
    assert make_gen(z, tmp_path / "out.root", settings=quick, events=11).events == 11


def test_what_pythia_fails_in_is_no_veto(z, quick, tmp_path):
    """One event violates the conservation of momentum: the others stand for its cross section."""
    bad = re.sub(r"(\n\s*13\s+1(?:\s+\d+){4}\s+\S+\s+\S+\s+)\S+", r"\g<1>934.0", z.read_text(), count=1)
    assert bad != z.read_text()
    z.write_text(bad)
    summary = make_gen(z, tmp_path / "out.root", settings=quick)
    assert summary.events == 11
    assert any("1 of 12 LHE events are not written, Pythia fails in them" in note for note in summary.notes)
    assert summary.cross_section == pytest.approx(800.0)


def test_matching_refuses_events_and_their_share_of_the_cross_section(lhe, tmp_path):
    path, settings = tmp_path / "z.lhe", tmp_path / "mlm.cmnd"
    path.write_text(lhe(events=60))
    settings.write_text(
        "PartonLevel:MPI = off\nJetMatching:merge = on\nJetMatching:scheme = 1\nJetMatching:setMad = off\n"
        "JetMatching:qCut = 20.\nJetMatching:nJetMax = 1\nJetMatching:exclusive = 2\n"
    )
    summary = make_gen(path, tmp_path / "gen.root", settings=settings)
    refused = 60 - summary.events
    assert 5 < refused < 55
    share = summary.events / 60
    assert summary.cross_section == pytest.approx(800.0 * share)
    expected = np.hypot(4.0 * share, 800.0 * np.sqrt(share * (1 - share) / 60))
    assert summary.cross_section_error == pytest.approx(expected)
    note = next(text for text in summary.notes if "not written" in text)
    assert note.startswith(f"{refused} of 60 LHE events are not written, the matching or merging refuses")
    events, provenance = read(tmp_path / "gen.root")
    assert provenance["refused_events"] == refused
    assert len(events) == summary.events
    # An event without a gluon is refused if the shower makes a jet, one with it if there is no such jet.
    kept = set(events.LHE_Njets)
    assert kept == {0, 1}


def test_merging_by_weights(lhe, tmp_path):
    path, settings = tmp_path / "z.lhe", tmp_path / "ckkwl.cmnd"
    path.write_text(lhe(events=40))
    settings.write_text(
        "PartonLevel:MPI = off\nMerging:doKTMerging = on\nMerging:Process = pp>mu+mu-\n"
        "Merging:nJetMax = 1\nMerging:TMS = 15\n"
    )
    summary = make_gen(path, tmp_path / "gen.root", settings=settings)
    assert 5 < summary.events < 40
    weights = read(tmp_path / "gen.root")[0].genWeight
    assert ak.all(weights > 0)
    assert summary.cross_section == pytest.approx(800.0 * float(ak.sum(weights)) / 40, rel=1e-5)


def test_a_command_file_that_names_events(z, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    commands = tmp_path / "runs" / "z.cmnd"
    text = "include = cp5.cmnd\nPartonLevel:MPI = off\nBeams:frameType = 4\nBeams:LHEF = {}\n"
    monkeypatch.chdir(tmp_path)
    # Beside the command file, and here.
    (tmp_path / "runs" / "beside.lhe").write_text(z.read_text())
    for number, name in enumerate(("beside.lhe", "z.lhe")):
        commands.write_text(text.format(name))
        summary = make_gen(commands, tmp_path / f"{number}.root", seed=4)
        assert summary.events == 12
        assert summary.cross_section == pytest.approx(800.0)
    assert same(read(tmp_path / "0.root")[0], read(tmp_path / "1.root")[0])
    commands.write_text(text.format("nowhere.lhe"))
    with pytest.raises(RecipeError, match=r"Beams:LHEF = nowhere\.lhe: there is no such file"):
        make_gen(commands, tmp_path / "2.root")
    commands.write_text("include = cp5.cmnd\nBeams:frameType = 4\n")
    with pytest.raises(RecipeError, match="needs Beams:LHEF = FILE"):
        make_gen(commands, tmp_path / "2.root")
    commands.write_text(text.format("z.cmnd"))
    with pytest.raises(InputFileError, match="is not LHE, as Beams:LHEF"):
        make_gen(commands, tmp_path / "2.root")
    commands.write_text(text.format("beside.lhe"))
    with pytest.raises(OutputFileError, match="is an input"):
        make_gen(commands, tmp_path / "runs" / "beside.lhe", force=True)


def test_a_crash_of_pythia_is_said(z, tmp_path, capfd):
    settings = tmp_path / "crash.cmnd"
    # This merging needs Merging:Process, without which Pythia 8.317 ends by a segmentation fault.
    settings.write_text("PartonLevel:MPI = off\nMerging:doKTMerging = on\n")
    with pytest.raises(RecipeError, match=r"crash\.cmnd: Pythia 8 crashed"):
        make_gen(z, tmp_path / "out.root", settings=settings)
    assert not list(tmp_path.glob("*.root*")) + list(tmp_path.glob(".*"))
    assert capfd.readouterr().out == ""


def test_files_that_do_not_belong_together(z, lhe, styles, quick, tmp_path):
    (tmp_path / "powheg.lhe").write_text(lhe(styles["powheg"], 4))
    with pytest.raises(InputFileError, match=r"powheg\.lhe: its events are weighted by strategy -4"):
        make_gen([z, tmp_path / "powheg.lhe"], tmp_path / "out.root", settings=quick)
    (tmp_path / "other.lhe").write_text(z.read_text().replace('MUR="0.5"', 'MUR="0.25"'))
    with pytest.raises(InputFileError, match=r"other\.lhe: its head describes other weights"):
        make_gen([z, tmp_path / "other.lhe"], tmp_path / "out.root", settings=quick)


def test_a_pipe(z, quick, tmp_path):
    os.mkfifo(tmp_path / "pipe.lhe")
    writer = threading.Thread(target=(tmp_path / "pipe.lhe").write_text, args=(z.read_text(),), daemon=True)
    writer.start()
    assert make_gen(tmp_path / "pipe.lhe", tmp_path / "gen.root", settings=quick).events == 12
    writer.join()


def test_outputs_are_never_inputs(z, quick):
    content = z.read_bytes()
    with pytest.raises(OutputFileError, match=r"quick\.cmnd: is an input"):
        make_gen(z, quick, settings=quick, force=True)
    with pytest.raises(OutputFileError, match="is an input"):
        make_gen(z, z, settings=quick, force=True)
    assert z.read_bytes() == content


def test_powheg_of_others(tmp_path, quick):
    """A public test file, whose weights and cross section its generator says."""
    if not CASE.is_file():
        pytest.skip(f"no {CASE.name} in {CASE.parent}")
    summary = make_gen(CASE, tmp_path / "gen.root", settings=quick)
    assert summary.events == 100
    assert summary.cross_section == pytest.approx(1205.36)
    assert summary.cross_section_error == pytest.approx(1.73235)
    assert summary.sum_of_weights == pytest.approx(100 * 1223.55)
    events, _ = read(tmp_path / "gen.root")
    leptons = (abs(events.GenPart_pdgId) == 11) & (events.GenPart_status == 1)
    prompt = leptons & (events.GenPart_statusFlags & (1 << 8) != 0)
    assert ak.mean(ak.num(events.GenPart_pt[prompt]) == 2) > 0.95


def test_events_of_run3_have_its_version_and_pileup(z, quick, tmp_path):
    options = {"settings": quick, "seed": 3}
    make_gen(z, tmp_path / "run2.root", **options)
    make_gen(z, tmp_path / "run3.root", era="run3", **options)
    before, now = (read(tmp_path / f"{era}.root")[0] for era in ("run2", "run3"))
    outgoing = now.LHEPart_status != 2
    assert ak.array_equal(now.LHEPart_pt[outgoing], before.LHEPart_pt)
    assert "LHEPart_firstMotherIdx" in now.fields
    assert "LHEPart_firstMotherIdx" not in before.fields
    assert ak.array_equal(now.GenJet_pt, before.GenJet_pt)
    assert "GenJet_nBHadrons" in now.fields
    assert "GenJet_nBHadrons" not in before.fields
    assert ak.mean(now.Pileup_nTrueInt) > ak.mean(before.Pileup_nTrueInt)
