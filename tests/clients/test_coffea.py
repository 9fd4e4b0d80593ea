"""Outputs as coffea reads them: what is there of a collection is all of it, and hangs together."""

from __future__ import annotations

import warnings

import awkward as ak
import numpy as np
import pytest

from flashsim.declarations.flows import SplineMAFRecipe
from flashsim.declarations.objects import load_object
from flashsim.declarations.output import load_output
from flashsim.declarations.schedule import Schedule
from flashsim.declarations.training import TrainingRecipe
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter
from flashsim.preprocessing.preprocess import preprocess
from flashsim.training.train import train

POSITION = [f"GenVtx_{axis}" for axis in "xyz"]
OF_THE_GENERATOR = ("MET_fiducialGenPt", "MET_fiducialGenPhi")
"""Fields of ``MET`` that say nothing of a detector: no model draws them."""
SHIFTS = ("JES", "JER", "Unclustered")


def with_whole_collections(arrays, number):
    """Add made vertices and missing momenta with all branches of v9, which follow the declared relations."""
    rng = np.random.default_rng(7)
    place = rng.normal([[0.01], [0.04], [0.0]], [[5e-4], [5e-4], [3.5]], (3, number))
    arrays |= dict(zip(POSITION, place, strict=True))
    arrays |= {f"PV_{axis}": arrays[f"GenVtx_{axis}"] + rng.normal(0.0, 1e-3, number) for axis in "xyz"}
    vertices = 2 + rng.binomial(np.asarray(arrays["Pileup_nPU"]), 0.7)
    arrays |= {"PV_npvs": vertices, "PV_npvsGood": vertices - rng.integers(0, 3, number)}
    arrays |= {f"PV_{name}": rng.exponential(100.0, number) for name in ("ndof", "score")}
    arrays["PV_chi2"] = rng.normal(0.8, 0.05, number)
    for name in ("FastjetAll", "FastjetCentral", "FastjetCentralCalo", "FastjetCentralNeutral"):
        arrays[f"fixedGridRho{name}"] = rng.exponential(20.0, number)
    arrays["fixedGridRhoFastjetCentralChargedPileUp"] = rng.exponential(10.0, number)

    def vectors(width):
        return rng.normal(0.0, width, number) + 1j * rng.normal(0.0, width, number)

    corrected = vectors(30.0)
    weighted = corrected + vectors(10.0)
    momenta = {"MET": corrected, "RawMET": corrected + vectors(8.0), "PuppiMET": weighted}
    momenta["RawPuppiMET"] = weighted + vectors(5.0)
    for name, vector in momenta.items():
        arrays |= {f"{name}_pt": np.abs(vector), f"{name}_phi": np.angle(vector)}
        arrays[f"{name}_sumEt"] = rng.exponential(900.0, number)
    for shift in SHIFTS:
        change = vectors(3.0)
        for side, vector in (("Up", weighted + change), ("Down", weighted - change)):
            arrays[f"PuppiMET_pt{shift}{side}"] = np.abs(vector)
            arrays[f"PuppiMET_phi{shift}{side}"] = np.angle(vector)
    arrays |= {f"MET_MetUnclustEnUpDelta{axis}": rng.normal(0.0, 4.0, number) for axis in "XY"}
    xx, yy = rng.uniform(300.0, 900.0, (2, number))
    arrays |= {
        "MET_covXX": xx,
        "MET_covYY": yy,
        "MET_covXY": rng.uniform(-0.5, 0.5, number) * np.sqrt(xx * yy),
    }
    arrays["MET_sumPtUnclustered"] = rng.exponential(500.0, number)
    arrays["MET_significance"] = significance(arrays)
    return arrays


def significance(arrays):
    """Chi-squared of a vector with its covariance."""
    size, phi, xx, xy, yy = (
        np.asarray(arrays[f"MET_{name}"], dtype=np.float64)
        for name in ("pt", "phi", "covXX", "covXY", "covYY")
    )
    x, y = size * np.cos(phi), size * np.sin(phi)
    return (x**2 * yy - 2.0 * x * y * xy + y**2 * xx) / (xx * yy - xy**2)


def write(path, branches, arrays):
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", arrays)
    return path


@pytest.fixture(scope="module")
def made_complete(made_nanoaod, tmp_path_factory):
    """The made file with whole vertices and momenta."""
    with NanoFile(made_nanoaod) as file:
        branches = {b.name: b for b in file.branches.values()}
        arrays = with_whole_collections(file.read([*branches]), file.num_entries)
    schema = load_schema("v9")
    wanted = [branches.get(name) or schema[name] for name in arrays]
    return write(tmp_path_factory.mktemp("complete") / "complete.root", wanted, arrays)


@pytest.fixture(scope="module")
def generator(made_complete, tmp_path_factory):
    """Barely trained models of whole events, which stand alone."""
    work = tmp_path_factory.mktemp("models")
    flow = SplineMAFRecipe(
        layers=1, width=16, depth=1, bins=4, schedule=Schedule(epochs=4, batch=64, min_steps=8)
    )
    models = []
    for name in ("vertices", "event"):
        description = preprocess(load_object(name), [str(made_complete)], work / name)
        assert all(relation.kept for relation in description.relations)
        recipe = TrainingRecipe(schema_version=1, object=name, min_rows=5, flow=flow)
        train(work / name, recipe, work / f"{name}.safetensors", accelerator="cpu")
        models.append(ObjectModel.load(work / f"{name}.safetensors"))
    return Generator(models, load_output())


@pytest.fixture(scope="module")
def output(generator, made_complete, tmp_path_factory):
    path = tmp_path_factory.mktemp("output") / "out.root"
    generator.run(made_complete, path)
    return path


@pytest.fixture(scope="module")
def events(output):
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    with warnings.catch_warnings():
        # Cross references to collections that are not simulated.
        warnings.filterwarnings("ignore", message="Missing cross-reference index", category=RuntimeWarning)
        return NanoEventsFactory.from_root({str(output): "Events"}, schemaclass=NanoAODSchema).events()


@pytest.mark.parametrize("name", ["PV", "MET", "RawMET", "PuppiMET", "RawPuppiMET"])
def test_every_field_of_a_collection_of_the_version_is_read(events, name):
    wanted = {branch for branch in load_schema("v9") if branch.startswith(f"{name}_")} - {*OF_THE_GENERATOR}
    collection = getattr(events, name)
    assert {f"{name}_{field}" for field in collection.fields} >= wanted
    for field in collection.fields:
        values = np.asarray(ak.materialize(collection[field]))
        assert len(values) == len(events)
        assert np.isfinite(values).all(), field


def test_good_vertices_are_vertices(events):
    assert ak.all(ak.materialize(events.PV.npvsGood) <= ak.materialize(events.PV.npvs))


def test_vertices_are_at_the_true_ones(output):
    with NanoFile(output) as file:
        arrays = file.read([*POSITION, "PV_x", "PV_y", "PV_z"])
    for axis in "xyz":
        distance = np.asarray(arrays[f"PV_{axis}"]) - np.asarray(arrays[f"GenVtx_{axis}"])
        assert 2e-4 < np.std(distance) < 5e-3


def test_significance_follows_from_the_covariance(output):
    with NanoFile(output) as file:
        arrays = file.read(
            [f"MET_{name}" for name in ("pt", "phi", "covXX", "covXY", "covYY", "significance")]
        )
    np.testing.assert_allclose(arrays["MET_significance"], significance(arrays), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("shift", SHIFTS)
def test_shifts_are_the_same_up_and_down(output, shift):
    def vector(suffix):
        return np.asarray(arrays[f"PuppiMET_pt{suffix}"]) * np.exp(1j * arrays[f"PuppiMET_phi{suffix}"])

    with NanoFile(output) as file:
        arrays = file.read([name for name in file.branches if name.startswith("PuppiMET_p")])
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
    middle = vector("")
    np.testing.assert_allclose(
        vector(f"{shift}Up") + vector(f"{shift}Down"), 2.0 * middle, atol=0.01 * np.abs(middle).max()
    )


def test_true_vertices_are_drawn_where_an_input_has_none(generator, made_complete, tmp_path):
    with NanoFile(made_complete) as file:
        branches = [branch for branch in file.branches.values() if branch.name not in POSITION]
        arrays = file.read([branch.name for branch in branches])
    source = write(tmp_path / "in.root", branches, arrays)
    summary = generator.run(source, tmp_path / "out.root")
    assert "drawn from the luminous region of 2018: GenVtx_x, GenVtx_y, GenVtx_z" in summary.pileup
    with NanoFile(tmp_path / "out.root") as file:
        position = np.asarray(file.read(["PV_z"])["PV_z"])
        assert "GenVtx_z" not in file.branches
    assert 2.5 < np.std(position) < 4.5
