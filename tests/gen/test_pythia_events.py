from __future__ import annotations

import json
import warnings

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from flashsim.declarations.eras import load_era
from flashsim.errors import OutputFileError, RecipeError
from flashsim.events.noise import EVENT_IDS
from flashsim.gen import generate_gen
from flashsim.gen import pythia_events as module
from flashsim.gen.numbering import Numbering
from flashsim.nanoaod.mantissa import observed_bits
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import counter_dtype, load_schema
from flashsim.nanoaod.versions import describe_version

# All values that final muons have in CMS FullSim ttbar and Drell-Yan, rare ones included.
MUON_FLAGS = {8449, 12673, 12352, 12308, 13884, 8256, 12289}


@pytest.fixture(scope="session")
def vbf(command_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("gen") / "vbf.root"
    return path, generate_gen(command_file("vbf_hmumu"), path, events=40, seed=5)


@pytest.fixture(scope="session")
def ttbar(command_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("gen") / "ttbar.root"
    return path, generate_gen(command_file("ttbar"), path, events=40, seed=5)


@pytest.fixture(scope="session")
def run3(command_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("gen") / "run3.root"
    return path, generate_gen(command_file("ttbar"), path, events=40, seed=5, era=load_era("run3"))


@pytest.fixture(scope="session", params=["vbf", "ttbar"])
def events(request):
    with uproot.open(request.getfixturevalue(request.param)[0]) as file:
        return file["Events"].arrays()


def read(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def test_flags_of_final_muons_are_those_of_real_files(events):
    muons = (np.abs(events.GenPart_pdgId) == 13) & (events.GenPart_status == 1)
    assert set(ak.flatten(events.GenPart_statusFlags[muons])) <= MUON_FLAGS


def test_every_vbf_event_has_two_prompt_muons(vbf):
    events = read(vbf[0])
    muons = (np.abs(events.GenPart_pdgId) == 13) & (events.GenPart_status == 1)
    prompt = events.GenPart_statusFlags[muons & (events.GenPart_statusFlags & 1 == 1)]
    assert ak.all(ak.num(prompt) == 2)
    assert ak.all(prompt & (1 << 8) != 0)
    assert ak.all(prompt & (1 << 13) != 0)


def test_mothers_lead_back_to_the_beginning(events):
    mother = events.GenPart_genPartIdxMother
    assert ak.all((mother >= -1) & (mother < ak.num(mother)))
    place = ak.local_index(mother)
    for _ in range(int(ak.max(ak.num(mother)))):
        place = ak.where(place >= 0, mother[ak.where(place >= 0, place, 0)], -1)
        if ak.all(place == -1):
            return
    pytest.fail("mothers go round in circles")


def test_mother_of_a_muon_from_the_resonance(vbf):
    events = read(vbf[0])
    hard = (np.abs(events.GenPart_pdgId) == 13) & (events.GenPart_statusFlags & (1 << 7) != 0)
    mothers = events.GenPart_pdgId[events.GenPart_genPartIdxMother[hard]]
    assert ak.all(mothers == 25)
    assert ak.all(ak.num(mothers) == 2)


def test_jets_are_sorted_and_above_threshold(events):
    assert ak.all(events.GenJet_pt > 10)
    assert ak.all(events.GenJet_pt[:, :-1] >= events.GenJet_pt[:, 1:])
    assert ak.all(np.isin(ak.flatten(events.GenJet_hadronFlavour), (0, 4, 5)))
    assert ak.all(np.isin(np.abs(ak.flatten(events.GenJet_partonFlavour)), (0, 1, 2, 3, 4, 5, 21)))
    assert ak.all(np.abs(events.GenJet_phi) <= np.float32(np.pi) + 1e-3)


def test_top_events_have_two_b_jets_mostly(ttbar):
    events = read(ttbar[0])
    b_jets = ak.sum(events.GenJet_hadronFlavour == 5, axis=1)
    assert 1.5 < ak.mean(b_jets) < 2.5


def test_missing_momentum_balances_neutrinos(events):
    neutrino = np.isin(ak.to_numpy(ak.flatten(np.abs(events.GenPart_pdgId))), (12, 14, 16))
    neutrino = ak.unflatten(neutrino, ak.num(events.GenPart_pt)) & (events.GenPart_status == 1)
    pt, phi = events.GenPart_pt[neutrino], events.GenPart_phi[neutrino]
    x, y = ak.sum(pt * np.cos(phi), axis=1), ak.sum(pt * np.sin(phi), axis=1)
    met_x = events.GenMET_pt * np.cos(events.GenMET_phi)
    met_y = events.GenMET_pt * np.sin(events.GenMET_phi)
    # Eight bits of mantissa: 0.2 % of a momentum, 4 mrad of an angle.
    slack = 0.05 + 0.008 * ak.sum(pt, axis=1)
    assert ak.all(np.hypot(x - met_x, y - met_y) < slack)


@pytest.mark.parametrize("made", ["vbf", "run3"])
def test_branches_are_those_of_the_version(request, made):
    version = "v15" if made == "run3" else "v9"
    schema = load_schema(version)
    written = set()
    with uproot.open(request.getfixturevalue(made)[0]) as file:
        assert file.classnames(cycle=False)["Events"] == "TTree"
        for branch in file["Events"].branches:
            interpretation = branch.interpretation
            dtype = getattr(interpretation, "content", interpretation).to_dtype
            if branch.name.startswith("n"):
                assert dtype == counter_dtype(version), branch.name
                continue
            expected = schema[branch.name]
            assert dtype == expected.dtype, branch.name
            assert branch.title == expected.title or not expected.title, branch.name
            written.add(branch.name)
        assert file["Events"]["nGenJet"].title.startswith("slimmedGenJets")
    collections = ("GenPart", "GenJet", "GenJetAK8", "SubGenJetAK8", "GenVisTau", "GenDressedLepton")
    collections += ("GenIsolatedPhoton", "TrackGenJetAK4", "GenMET", "GenVtx", "Generator")
    wanted = {name for name in schema if name.startswith(tuple(f"{one}_" for one in collections))}
    # Isolation of particles in v15 is not computed.
    assert wanted - written <= {"GenPart_iso"}


def test_eras_differ_in_pileup_vertex_and_energy(ttbar, run3):
    before, now = read(ttbar[0]), read(run3[0])
    assert ak.all(before.Pileup_nTrueInt == np.floor(before.Pileup_nTrueInt))
    assert ak.mean(now.Pileup_nTrueInt == np.floor(now.Pileup_nTrueInt)) < 0.2
    assert ak.mean(now.Pileup_nPU) > ak.mean(before.Pileup_nPU) + 5
    assert ak.mean(before.GenVtx_x) == pytest.approx(0.0108, abs=1e-3)
    assert ak.mean(now.GenVtx_x) == pytest.approx(0.0286, abs=1e-3)
    energies = {}
    for name, path in (("run2", ttbar[0]), ("run3", run3[0])):
        with uproot.open(path) as file:
            energies[name] = json.loads(str(file["flashsim_gen"]))["energy"]
    assert energies == {"run2": None, "run3": 13600.0}  # the command file's, and the era's


def test_objects_are_those_of_ttbar(run3):
    events = read(run3[0])
    assert ak.all(events.GenJetAK8_pt > 100)
    assert ak.sum(ak.num(events.SubGenJetAK8_pt)) > 1.8 * ak.sum(ak.num(events.GenJetAK8_pt)) > 10
    assert ak.all(events.GenDressedLepton_pt > 15)
    assert ak.sum(ak.num(events.GenDressedLepton_pt)) > 5
    assert ak.all(events.GenVisTau_pt > 10)
    taus = events.GenPart_pdgId[events.GenVisTau_genPartIdxMother]
    assert ak.all(abs(taus) == 15)
    assert ak.all(np.sign(taus) == -events.GenVisTau_charge)
    assert ak.all((events.GenJet_hadronFlavour == 5) == (events.GenJet_nBHadrons > 0))
    assert ak.all(
        (events.GenJet_hadronFlavour == 0) == (events.GenJet_nBHadrons + events.GenJet_nCHadrons == 0)
    )


def test_precision_is_that_of_nanoaod(events):
    for name, bits in (("GenPart_pt", 8), ("GenPart_eta", 8), ("GenJet_mass", 10), ("GenJet_eta", 12)):
        assert observed_bits(ak.to_numpy(ak.flatten(events[name]))) == bits
    assert observed_bits(ak.to_numpy(ak.flatten(events.GenJet_pt))) > 20


def test_sums_and_numbers(vbf):
    path, summary = vbf
    with uproot.open(path) as file:
        runs, blocks = file["Runs"].arrays(), file["LuminosityBlocks"].arrays()
        text = json.loads(str(file["flashsim_gen"]))
        events = file["Events"].arrays(["run", "luminosityBlock", "event", "genWeight"])
    assert runs.to_list() == [{"run": 1, "genEventCount": 40, "genEventSumw": 40.0, "genEventSumw2": 40.0}]
    assert blocks.to_list() == [{"run": 1, "luminosityBlock": text["numbering"]["luminosity_block"]}]
    assert events.event.to_list() == list(range(1, 41))
    assert set(events.run) == {1}
    assert set(events.luminosityBlock) == set(blocks.luminosityBlock)
    assert summary.events == 40
    assert summary.sum_of_weights == ak.sum(events.genWeight)
    # 3.9 pb of vector-boson fusion at leading order, 2.2e-4 of it to muons.
    assert summary.cross_section == pytest.approx(8.8e-4, rel=0.3)
    assert (text["seed"], text["command_file"]) == (5, "vbf_hmumu.fast.cmnd")
    assert "MPI = off" in text["settings"]


def test_jobs_have_numbers_of_their_own_unless_told(vbf, ttbar, command_file, tmp_path):
    generate_gen(command_file("vbf_hmumu"), tmp_path / "seed.root", events=3, seed=6)
    paths = [vbf[0], ttbar[0], tmp_path / "seed.root"]
    assert len({read(path).luminosityBlock[0] for path in paths}) == 3
    told = tmp_path / "told.root"
    numbering = Numbering(run=7, luminosity_block=12, first_event=501)
    generate_gen(command_file("vbf_hmumu"), told, events=3, seed=5, numbering=numbering)
    events = read(told)
    assert [events[n].to_list() for n in EVENT_IDS] == [[7] * 3, [12] * 3, [501, 502, 503]]
    with uproot.open(told) as file:
        assert file["Runs"].arrays().run.to_list() == [7]
        assert file["LuminosityBlocks"].arrays().to_list() == [{"run": 7, "luminosityBlock": 12}]
    # What they are called changes nothing in them.
    for name in set(events.fields) - set(EVENT_IDS):
        assert ak.array_equal(events[name], read(vbf[0])[name][:3]), name


def same(first, second):
    assert first.fields == second.fields
    return all(ak.array_equal(first[name], second[name]) for name in first.fields)


def test_events_depend_on_the_seed_only(vbf, command_file, tmp_path, monkeypatch):
    short, other = tmp_path / "short.root", tmp_path / "other.root"
    generate_gen(command_file("vbf_hmumu"), short, events=15, seed=5)
    generate_gen(command_file("vbf_hmumu"), other, events=15, seed=6)
    assert same(read(short), read(vbf[0])[:15])
    assert ak.any(read(other).Generator_x1 != read(short).Generator_x1)


def test_blocks_are_independent_and_in_order(command_file, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVENTS_PER_BLOCK", 4)
    paths = {n: tmp_path / f"{n}.root" for n in (6, 10)}
    for n, path in paths.items():
        generate_gen(command_file("vbf_hmumu"), path, events=n, seed=2)
    short, long = read(paths[6]), read(paths[10])
    assert same(short, long[:6])
    assert long.event.to_list() == list(range(1, 11))
    assert len(set(long.Generator_x1)) == 10


@pytest.mark.slow
def test_workers_change_nothing(command_file, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVENTS_PER_BLOCK", 8)
    done = []
    paths = {workers: tmp_path / f"{workers}.root" for workers in (1, 2)}
    summaries = {
        workers: generate_gen(
            command_file("vbf_hmumu"),
            path,
            events=20,
            seed=2,
            workers=workers,
            progress=lambda now, total: done.append((now, total)),
        )
        for workers, path in paths.items()
    }
    assert summaries[1] == summaries[2]
    assert same(read(paths[1]), read(paths[2]))
    assert read(paths[2]).event.to_list() == list(range(1, 21))
    assert done == [(8, 20), (16, 20), (20, 20)] * 2


def test_coffea_reads_it(vbf):
    with warnings.catch_warnings():
        # Cross references to collections that a gen-level file has not.
        warnings.simplefilter("ignore", RuntimeWarning)
        factory = NanoEventsFactory.from_root(
            {str(vbf[0]): "Events"}, schemaclass=NanoAODSchema, mode="eager"
        )
        events = factory.events()
    last = events.GenPart[events.GenPart.hasFlags("isLastCopy", "isPrompt")]
    muons = last[(abs(last.pdgId) == 13) & (last.status == 1)]
    # Undecayed copies aside, two muons make the Higgs boson but for what they radiate.
    mass = (muons[:, 0] + muons[:, 1]).mass
    assert 120 < np.median(ak.to_numpy(mass)) < 126
    assert ak.all(events.GenJet.hadronFlavour <= 5)
    assert ak.all(ak.firsts(muons.distinctParent.pdgId) == 25)


def test_nothing_goes_to_standard_output(command_file, tmp_path, capfd):
    generate_gen(command_file("ttbar"), tmp_path / "a.root", events=2, seed=1)
    assert capfd.readouterr().out == ""


def test_refuses_to_overwrite(vbf, command_file, tmp_path):
    path = tmp_path / "taken.root"
    path.write_bytes(b"mine")
    with pytest.raises(OutputFileError, match=r"taken\.root.*exists"):
        generate_gen(command_file("vbf_hmumu"), path, events=2, seed=1)
    assert path.read_bytes() == b"mine"
    generate_gen(command_file("vbf_hmumu"), path, events=2, seed=1, force=True)
    assert len(read(path)) == 2


def test_bad_settings_leave_no_file(command_file, tmp_path):
    bad = tmp_path / "bad.cmnd"
    bad.write_text("Nonsense:all = on\n")
    with pytest.raises(RecipeError, match="Nonsense"):
        generate_gen(bad, tmp_path / "out.root", events=2, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.cmnd"]


def test_refuses_unknown_process_and_no_events(tmp_path):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    with pytest.raises(RecipeError, match=r"vbf_hmumu\.cmnd"):
        generate_gen("no_such_process", tmp_path / "out.root", events=2, seed=1)
    with pytest.raises(ValueError, match="at least 1"):
        generate_gen("vbf_hmumu.cmnd", tmp_path / "out.root", events=0, seed=1)


@pytest.mark.slow
def test_multiplicities_are_those_of_cms_ttbar(nanoaod_dir, tmp_path):
    pytest.importorskip("pythia8mc", reason="pythia8mc is not installed (extra 'reference')")
    path = tmp_path / "ttbar.root"
    generate_gen("ttbar.cmnd", path, events=400, seed=1)
    here = read(path)
    with uproot.open(nanoaod_dir / "tt_2018_v5.root") as file:
        cms = file["Events"].arrays(filter_name=["GenPart_*", "GenJet_*"])

    def means(events):
        code, status = abs(events.GenPart_pdgId), events.GenPart_status
        quark_digits = (code // 100 % 10 == 5) | (code // 1000 % 10 == 5)
        selections = {
            "all": code > 0,
            "final muons": (code == 13) & (status == 1),
            "B hadrons": quark_digits,
            "decayed": status == 2,
            "top": code == 6,
            "neutrinos": (code == 12) | (code == 14) | (code == 16),
            "D0": code == 421,
        }
        return {name: ak.mean(ak.sum(mask, axis=1)) for name, mask in selections.items()} | {
            "jets": ak.mean(ak.num(events.GenJet_pt)),
            "b jets": ak.mean(ak.sum(events.GenJet_hadronFlavour == 5, axis=1)),
        }

    for name, (ours, theirs) in {k: (v, means(cms)[k]) for k, v in means(here).items()}.items():
        # 500 events each: up to 8 % statistical, and POWHEG's extra parton on the other side.
        assert ours == pytest.approx(theirs, rel=0.2), name

    def muon_flags(events):
        muons = (abs(events.GenPart_pdgId) == 13) & (events.GenPart_status == 1)
        return set(ak.flatten(events.GenPart_statusFlags[muons]))

    assert muon_flags(here) <= MUON_FLAGS | muon_flags(cms)


def test_variations_of_the_showers_are_weights(command_file, tmp_path):
    """Around one, apart for initial- and final-state radiation, and opposite for the two directions."""
    lines = ("include = shower_variations.cmnd",)
    generate_gen(command_file("vbf_hmumu", *lines), tmp_path / "varied.root", events=200, seed=5)
    weights = ak.to_numpy(read(tmp_path / "varied.root").PSWeight)
    assert weights.shape == (200, 4)
    assert weights.mean(axis=0) == pytest.approx(np.ones(4), abs=0.25)
    isr_up, fsr_up, isr_down, fsr_down = np.log(np.maximum(weights.T, 1e-3))
    assert np.corrcoef(isr_up, isr_down)[0, 1] < -0.5
    assert np.corrcoef(fsr_up, fsr_down)[0, 1] < -0.5
    assert abs(np.corrcoef(isr_up, fsr_up)[0, 1]) < 0.5


def test_no_variations_unless_asked_for(events):
    assert "PSWeight" not in events.fields


@pytest.mark.parametrize(("made", "version"), [("vbf", "v9"), ("run3", "v15")])
def test_version_is_recognised_without_doubt(request, made, version):
    with NanoFile(request.getfixturevalue(made)[0]) as file:
        told = describe_version(file.branches)
    assert (told.version, told.doubt) == (version, "")
