from __future__ import annotations

import json

import awkward as ak
import numpy as np
import pytest
import torch
import uproot

from flashsim.errors import InputFileError, OutputFileError
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter
from flashsim.refinement.apply import apply_refiner
from flashsim.refinement.chunk import c_probability
from flashsim.refinement.model import RefinerModel
from flashsim.refinement.network import Refiner


def refiner(recipe, rows, size=0.3):
    """Refiner that moves values about, untrained."""
    torch.manual_seed(0)
    network = Refiner(recipe)
    network.fit(*(torch.from_numpy(part) for part in (rows.full, rows.gen)))
    torch.nn.init.normal_(network.leave.weight, std=size)
    return RefinerModel(recipe, network.eval(), {}, {}, "0" * 64)


def read(path):
    with NanoFile(path) as file:
        return file.read(list(file.branches))


@pytest.fixture(scope="module")
def source(made_process, tmp_path_factory):
    """Fast simulation with indices of jets and a missing momentum with a direction."""
    path = tmp_path_factory.mktemp("source") / "fast.root"
    rng = np.random.default_rng(1)
    with NanoFile(made_process / "fast.root") as file, NanoWriter(path) as writer:
        arrays = file.read(list(file.branches))
        jets = np.asarray(ak.num(arrays["Jet_pt"]))
        muons = np.asarray(ak.num(arrays["Muon_pt"]))
        index = [rng.integers(-1, n) if n else -1 for n, m in zip(jets, muons, strict=True) for _ in range(m)]
        arrays["Muon_jetIdx"] = ak.unflatten(np.array(index, dtype=np.int32), muons)
        arrays["MET_phi"] = rng.uniform(-3.0, 3.0, len(jets)).astype(np.float32)
        extra = [Branch("MET_phi", np.dtype("f4")), Branch("Muon_jetIdx", np.dtype("i4"), "Muon")]
        known = [b for b in file.branches.values() if b.name not in {"Muon_jetIdx", "MET_phi"}]
        writer.tree("Events", [*known, *extra])
        writer.extend("Events", arrays)
        for name in file.trees:
            branches, content = file.read_tree(name)
            writer.tree(name, list(branches.values()))
            writer.extend(name, content)
    return path


@pytest.fixture(scope="module")
def refined(source, small, pair_rows, tmp_path_factory):
    recipe = small("jets")
    model = refiner(recipe, pair_rows(recipe, 300))
    path = tmp_path_factory.mktemp("refined") / "refined.root"
    return model, path, apply_refiner(model, source, path)


def permutation(before, after):
    """Old place of each jet of the output, found by its direction."""
    old = np.asarray(ak.flatten(before["Jet_phi"])) + 7.0 * np.asarray(ak.flatten(before["Jet_eta"]))
    new = np.asarray(ak.flatten(after["Jet_phi"])) + 7.0 * np.asarray(ak.flatten(after["Jet_eta"]))
    counts = np.asarray(ak.num(before["Jet_pt"]))
    old, new = ak.unflatten(old, counts), ak.unflatten(new, counts)
    return [[list(o).index(x) for x in n] for o, n in zip(old.tolist(), new.tolist(), strict=True)]


def test_counters_have_the_type_of_the_version(refined):
    # The source is written without a version, with those of the newest; by its branches it is v9.
    with uproot.open(refined[1]) as file:
        kinds = {
            b.name: b.typename for b in file["Events"].branches if b.name in {"nJet", "nMuon", "nGenPart"}
        }
    assert kinds == dict.fromkeys(("nJet", "nMuon", "nGenPart"), "uint32_t")


def test_jets_are_in_order_with_all_that_is_theirs(source, refined):
    before, after = read(source), read(refined[1])
    assert ak.all(after["Jet_pt"][:, :-1] >= after["Jet_pt"][:, 1:])
    order = ak.Array(permutation(before, after))
    assert ak.any(order != ak.local_index(order))
    for name in ("Jet_eta", "Jet_genJetIdx", "Jet_nConstituents"):
        assert ak.all(after[name] == before[name][order])
    for name in ("Jet_pt", "Jet_btagDeepFlavB", "Jet_mass"):
        assert ak.all(after[f"{name}_unrefined"] == before[name][order])
        assert ak.any(after[name] != after[f"{name}_unrefined"])


def test_indices_point_at_the_same_jets(source, refined):
    before, after = read(source), read(refined[1])

    def pointed_at(arrays):
        pairs = zip(arrays["Jet_phi"].tolist(), arrays["Muon_jetIdx"].tolist(), strict=True)
        return [[jets[k] if k >= 0 else None for k in muons] for jets, muons in pairs]

    assert pointed_at(before) == pointed_at(after)
    assert ak.any(before["Muon_jetIdx"] != after["Muon_jetIdx"])
    assert refined[2].references == ["Electron_jetIdx", "Muon_jetIdx", "Tau_jetIdx"]


def test_the_momentum_of_an_event_is_conserved(source, refined):
    before, after = read(source), read(refined[1])

    def total(arrays, suffix, f):
        jets = ak.sum(arrays[f"Jet_pt{suffix}"] * f(arrays["Jet_phi"]), axis=1)
        return ak.to_numpy(jets + arrays[f"MET_pt{suffix}"] * f(arrays[f"MET_phi{suffix}"]))

    for f in (np.cos, np.sin):
        now, then = total(after, "", f), total(after, "_unrefined", f)
        np.testing.assert_allclose(now, then, atol=1.0, rtol=1e-3)
    assert ak.all(after["MET_pt_unrefined"] == before["MET_pt"])
    assert ak.any(after["MET_pt"] != before["MET_pt"])


def test_masses_change_as_the_momentum_does(refined):
    after = read(refined[1])
    ratio = ak.flatten(after["Jet_mass"] / after["Jet_mass_unrefined"])
    expected = ak.flatten(after["Jet_pt"] / after["Jet_pt_unrefined"])
    np.testing.assert_allclose(ak.to_numpy(ratio), ak.to_numpy(expected), rtol=5e-3)


def test_objects_without_a_gen_match_are_as_they_were_and_counted(refined):
    _, path, found = refined
    after = read(path)
    unmatched = after["Jet_genJetIdx"] < 0
    assert ak.any(unmatched)
    for name in ("Jet_pt", "Jet_btagDeepFlavB", "Jet_mass"):
        assert ak.all((after[name] == after[f"{name}_unrefined"])[unmatched])
    assert found.objects == ak.sum(ak.num(after["Jet_pt"])) == found.refined + found.unmatched
    assert found.unmatched >= ak.sum(unmatched)
    assert 0 < found.reordered <= found.events == 240


def test_all_else_is_copied(source, refined):
    before, after = read(source), read(refined[1])
    changed = {name.removesuffix("_unrefined") for name in after if name.endswith("_unrefined")}
    for name in before.keys() - changed - {"Muon_jetIdx"}:
        if not name.startswith("Jet_"):
            assert ak.all(before[name] == after[name]), name
    with NanoFile(source) as one, NanoFile(refined[1]) as other:
        assert one.trees == other.trees
        assert {n: b.dtype for n, b in one.branches.items()}.items() <= {
            n: b.dtype for n, b in other.branches.items()
        }.items()
    with uproot.open(refined[1]) as file:
        assert json.loads(str(file["flashsim_refinement"]))["summary"]["refined"] == refined[2].refined


@pytest.mark.parametrize("name", ["jets", "muons"])
def test_how_events_are_cut_changes_nothing(name, source, small, pair_rows, tmp_path):
    recipe = small(name)
    model = refiner(recipe, pair_rows(recipe, 300))
    for chunk in (1000, 37):
        apply_refiner(model, source, tmp_path / f"{chunk}.root", chunk=chunk)
    one, other = read(tmp_path / "1000.root"), read(tmp_path / "37.root")
    assert all(ak.all(one[branch] == other[branch]) for branch in one)


def test_an_untrained_refiner_changes_nothing(source, small, pair_rows, tmp_path):
    recipe = small("jets")
    found = apply_refiner(refiner(recipe, pair_rows(recipe, 300), size=0.0), source, tmp_path / "same.root")
    before, after = read(source), read(tmp_path / "same.root")
    assert all(ak.all(before[name] == after[name]) for name in before)
    assert found.reordered == 0


def test_jets_and_muons_can_be_refined_one_after_the_other(refined, small, pair_rows, tmp_path):
    recipe = small("muons")
    apply_refiner(refiner(recipe, pair_rows(recipe, 300)), refined[1], tmp_path / "both.root")
    one, both = read(refined[1]), read(tmp_path / "both.root")
    assert ak.all(one["MET_pt_unrefined"] == both["MET_pt_unrefined"])  # of the fast simulation
    assert ak.any(both["Muon_pt_unrefined"] != both["Muon_pt"])


def test_a_refined_file_is_not_refined_again(refined, tmp_path):
    with pytest.raises(InputFileError, match="has Jet_pt_unrefined, so it was refined before"):
        apply_refiner(refined[0], refined[1], tmp_path / "twice.root")


def test_the_input_is_never_the_output(refined, source):
    with pytest.raises(OutputFileError, match="is an input"):
        apply_refiner(refined[0], source, source, force=True)


def test_missing_branches_are_named(refined, made_nanoaod, tmp_path):
    with NanoFile(made_nanoaod) as file, NanoWriter(tmp_path / "lacking.root") as writer:
        kept = [b for b in file.branches.values() if b.name != "Jet_btagDeepFlavCvL"]
        writer.tree("Events", kept)
        writer.extend("Events", file.read([b.name for b in kept]))
    with pytest.raises(InputFileError, match="lacks Jet_btagDeepFlavCvL, needed to refine jets"):
        apply_refiner(refined[0], tmp_path / "lacking.root", tmp_path / "out.root")
    assert not (tmp_path / "out.root").exists()


def test_the_c_probability_follows_from_b_and_c_against_b():
    b, c = np.array([0.2, 0.9, 0.0]), np.array([0.5, 0.1, 0.0])
    with np.errstate(invalid="ignore"):
        found = c_probability(b, np.nan_to_num(c / (b + c)))
    assert found == pytest.approx(c)
    assert c_probability(np.array([0.5]), np.array([1.0])).tolist() == [1.0]


def test_real_fast_simulation(nanoaod_dir, tmp_path, small, pair_rows):
    path = nanoaod_dir / "htt_fastsim_v9.root"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the real files")
    recipe = small("jets")
    found = apply_refiner(refiner(recipe, pair_rows(recipe, 300)), path, tmp_path / "refined.root", chunk=500)
    after = read(tmp_path / "refined.root")
    assert found.refined > 0
    assert ak.all(after["Jet_pt"][:, :-1] >= after["Jet_pt"][:, 1:])
    assert {"Muon_jetIdx", "Electron_jetIdx", "Tau_jetIdx"} <= set(found.references)
