"""What events have beside the simulated branches: whole collections, the version's names, constants."""

from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import pytest

from flashsim.declarations.output import load_output
from flashsim.errors import InputFileError
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import shipped_models
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import VERSIONS, load_schema
from flashsim.nanoaod.writing import NanoWriter

VERTEX = ("PV_x", "PV_y", "PV_z", "PV_ndof", "PV_chi2", "PV_score", "PV_npvs", "PV_npvsGood")
DENSITIES = ("FastjetAll", "FastjetCentral", "FastjetCentralCalo", "FastjetCentralNeutral")
MOMENTUM = ("pt", "phi", "sumEt", "significance", "covXX", "covXY", "covYY")
RECIPE = load_output()


@pytest.fixture(scope="module")
def made_vertex(made_without_vertices, tmp_path_factory):
    """The made file with true vertices, event filters and one more primary vertex of the input's own."""
    path, rng = tmp_path_factory.mktemp("vertex") / "vertex.root", np.random.default_rng(5)
    schema = load_schema("v9")
    with NanoFile(made_without_vertices) as file:
        branches = list(file.branches.values())
        arrays, number = file.read([branch.name for branch in branches]), file.num_entries
    arrays |= {f"GenVtx_{axis}": rng.normal(0.0, 4.0, number) for axis in "xyz"}
    arrays |= {"PV_x": np.zeros(number), "Flag_goodVertices": rng.random(number) < 0.5}
    branches += [
        schema[name] for name in (*(f"GenVtx_{axis}" for axis in "xyz"), "PV_x", "Flag_goodVertices")
    ]
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", arrays)
    return path


@pytest.fixture(scope="module")
def shipped():
    return [ObjectModel.load(path) for path in shipped_models()]


@pytest.fixture(scope="module")
def make(part_of_vertex):
    """A model that draws a part of the vertex."""
    return lambda **options: Generator([part_of_vertex], RECIPE, **options)


@pytest.fixture(scope="module", params=VERSIONS)
def output(request, make, made_vertex, tmp_path_factory):
    """Version and path of an output."""
    path = tmp_path_factory.mktemp("completed") / "out.root"
    return request.param, path, make().run(made_vertex, path, version=request.param)


@pytest.fixture(scope="module", params=VERSIONS)
def shipped_output(request, shipped, made_vertex, tmp_path_factory):
    """Version and path of an output of the shipped models."""
    path = tmp_path_factory.mktemp("shipped") / "out.root"
    return request.param, path, Generator(shipped, RECIPE).run(made_vertex, path, version=request.param)


def read(path):
    with NanoFile(path) as file:
        return file.branches, {
            name: np.asarray(ak.flatten(a, None)) for name, a in file.read([*file.branches]).items()
        }


def test_the_vertex_is_whole_and_near_the_true_one(output):
    branches, arrays = read(output[1])
    assert set(VERTEX) <= branches.keys()
    recipe = RECIPE.vertex
    ndof = arrays["PV_ndof"].astype(np.float64)
    for k, axis in enumerate("xyz"):
        resolution = np.hypot(recipe.constant[k], recipe.per_root[k] / np.sqrt(ndof))
        pull = (arrays[f"PV_{axis}"] - arrays[f"GenVtx_{axis}"]) / resolution
        # Positions are stored with 10 to 12 bits, of which far from the beam a micrometre is the last.
        assert np.median(np.abs(pull)) < 3
        assert np.std(pull) > 0.5
        assert np.abs(arrays[f"PV_{axis}"] - arrays[f"GenVtx_{axis}"]).max() < 0.02
        assert branches[f"PV_{axis}"].title.endswith("(FlashSim: approximation from gen jets)")
    assert ndof.min() > 0
    assert np.median(arrays["PV_chi2"]) == pytest.approx(recipe.chi2[0], rel=0.05)
    assert arrays["PV_score"].min() > 0


def test_more_activity_makes_a_vertex_of_more_tracks(output):
    with NanoFile(output[1]) as file:
        arrays = file.read(["PV_ndof", "PV_score", "GenJet_pt", "GenJet_eta"])
    central = arrays["GenJet_pt"][abs(arrays["GenJet_eta"]) < 2.5]
    for name, power in (("PV_ndof", 1), ("PV_score", 2)):
        activity = np.log(np.asarray(ak.sum(central**power, axis=1)) + 100)
        assert np.corrcoef(activity, np.log(np.asarray(arrays[name])))[0, 1] > 0.3, name


def test_names_are_those_of_the_version(shipped_output):
    version, path, summary = shipped_output
    branches, _ = read(path)
    new, newest = VERSIONS.index(version) >= VERSIONS.index("v12"), version == "v15"
    met, old_met = ("PFMET", "MET") if newest else ("MET", "PFMET")
    assert {f"{met}_{field}" for field in MOMENTUM} <= branches.keys()
    assert not any(name.startswith(f"{old_met}_") for name in branches)
    density = "Rho_fixedGridRho" if new else "fixedGridRho"
    assert {f"{density}{name}" for name in DENSITIES} <= branches.keys()
    assert ("Rho_fixedGridRhoAll" in branches) == new
    assert not new or not any(name.startswith("fixedGridRho") for name in branches)
    iso = "mvaIso" if new else "mvaFall17V2Iso"
    assert {f"Electron_{iso}", f"Electron_{iso}_WP80", f"Electron_{iso}_WP90"} <= branches.keys()
    if new:
        assert "(FlashSim: trees of another training)" in branches["Electron_mvaIso"].title
        assert summary.renamed["Electron_mvaFall17V2Iso*"] == "Electron_mvaIso*"
        assert "Electron_mvaFall17V2Iso" not in summary.left_out
    schema = load_schema(version)
    for name, branch in branches.items():
        if name.startswith(("Flag_", "PV_", "Rho_", "PFMET_", "Raw", "Electron_mva")):
            assert branch.dtype == schema[name].dtype, name


def test_a_rename_changes_no_value(shipped, made_vertex, tmp_path):
    for version in ("v9", "v15"):
        Generator(shipped, RECIPE).run(made_vertex, tmp_path / f"{version}.root", version=version)
    (_, old), (_, new) = (read(tmp_path / f"{version}.root") for version in ("v9", "v15"))
    pairs = {"MET_sumEt": "PFMET_sumEt", "fixedGridRhoFastjetAll": "Rho_fixedGridRhoFastjetAll"}
    pairs |= {"Electron_mvaFall17V2Iso_WP90": "Electron_mvaIso_WP90"}
    for before, after in pairs.items():
        # Versions round jets differently: one at a threshold of the corrections counts in one of them only.
        close = np.isclose(new[after], old[before], rtol=2e-3)
        assert close.mean() > 0.98, after
        np.testing.assert_allclose(new[after], old[before], rtol=2e-2, err_msg=after)


def test_filters_are_true_where_the_version_has_them(output):
    version, path, _ = output
    _, arrays = read(path)
    expected = {name for name in load_schema(version) if name.startswith("Flag_")}
    assert len(expected) > 20
    assert {name for name in arrays if name.startswith("Flag_")} == expected
    assert all(arrays[name].dtype == bool and arrays[name].all() for name in expected)


def test_the_position_is_drawn_where_the_true_one_is_not_known(make, made_without_vertices, tmp_path):
    make(oversample=2).run(made_without_vertices, tmp_path / "a.root")
    branches, arrays = read(tmp_path / "a.root")
    assert set(VERTEX) <= branches.keys()
    luminous_region = {"x": (0.0108, 0.0005), "y": (0.0416, 0.0005), "z": (0.02, 3.5)}
    for axis, (mean, width) in luminous_region.items():
        values = arrays[f"PV_{axis}"][::2]
        assert np.mean(values) == pytest.approx(mean, abs=5 * width / np.sqrt(len(values)))
        assert 0.7 * width < np.std(values) < 2.5 * width
    # Folds of an event have one true position, found anew each time.
    apart = arrays["PV_z"][::2] - arrays["PV_z"][1::2]
    assert 0 < np.abs(apart).max() < 0.05


def test_chunks_do_not_matter(make, made_vertex, content, tmp_path):
    make().run(made_vertex, tmp_path / "a.root")
    make(chunk=37).run(made_vertex, tmp_path / "b.root")
    assert content(tmp_path / "a.root") == content(tmp_path / "b.root")


def test_filters_of_the_input_are_kept_on_request(make, made_vertex, tmp_path):
    make().run(made_vertex, tmp_path / "a.root", keep=["Flag_good*"])
    _, arrays = read(tmp_path / "a.root")
    assert 0.2 < np.mean(arrays["Flag_goodVertices"]) < 0.8
    assert arrays["Flag_METFilters"].all()


def test_the_vertex_of_the_input_does_not_mix_with_the_simulated_one(make, made_vertex, tmp_path):
    with pytest.raises(InputFileError, match="--keep 'PV_x' asks for PV_x, which is simulated"):
        make().run(made_vertex, tmp_path / "a.root", keep=["PV_x"])


def test_without_a_model_of_met_there_is_none_beside(make, made_vertex, tmp_path):
    """Models of vertices have vertices beside."""
    make().run(made_vertex, tmp_path / "a.root")
    branches, _ = read(tmp_path / "a.root")
    assert not any(name.startswith(("MET_", "RawMET_")) for name in branches)
    assert {"Flag_METFilters", "PV_npvs", "PV_z"} <= set(branches)


def test_coffea_reads_whole_collections(shipped_output):
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    version, path, _ = shipped_output
    with warnings.catch_warnings():
        # Cross references to collections that are not simulated.
        warnings.filterwarnings("ignore", message="Missing cross-reference index", category=RuntimeWarning)
        events = NanoEventsFactory.from_root({str(path): "Events"}, schemaclass=NanoAODSchema).events()
    count = len(events)
    position = events.PV
    assert len(ak.materialize(position.x)) == len(ak.materialize(position.z)) == count
    assert bool(ak.all(np.isfinite(ak.materialize(position.score))))
    assert bool(ak.all(ak.materialize(events.Flag.goodVertices)))
    met = events.PFMET if version == "v15" else events.MET
    assert bool(ak.all(ak.materialize(met.pt) >= 0))
    if VERSIONS.index(version) >= VERSIONS.index("v12"):
        assert bool(ak.all(ak.materialize(events.Rho.fixedGridRhoFastjetAll) >= 0))
