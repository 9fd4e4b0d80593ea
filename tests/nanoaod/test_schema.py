from __future__ import annotations

import json
from importlib import resources

import awkward as ak
import numpy as np
import pytest

from flashsim.errors import FlashSimError
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.extraction import extract_schema, main
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import VERSIONS, counter_titles, load_schema, mantissa_bits
from flashsim.nanoaod.writing import NanoWriter

SOURCES = {
    "v5": "tt_2018_v5",
    "v6": "dy_2018_v6",
    "v9": "sms_v9",
    "v12": "tt_2022_v12",
    "v15": "tt_2024_v15",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_hold_what_simulation_needs(version, tmp_path):
    schema = load_schema(version)
    for name in ("run", "luminosityBlock", "event", "genWeight", "Pileup_nTrueInt", "PV_npvs", "GenMET_pt"):
        assert schema[name].collection is None
    for collection in ("Jet", "Muon", "Electron", "GenJet", "GenPart"):
        assert schema[f"{collection}_pt"] == Branch(
            f"{collection}_pt", np.dtype("f4"), collection, schema[f"{collection}_pt"].title
        )
    assert not any(name.startswith(("GenModel", "HLT", "IsoTrack")) for name in schema)
    # Whatever a schema declares has to be writable, without a single entry too.
    with NanoWriter(tmp_path / "x.root") as writer:
        writer.tree("Events", list(schema.values()), counter_titles=counter_titles(version))
    with NanoFile(tmp_path / "x.root") as file:
        assert file.branches == schema
        assert file.counter_titles.keys() >= counter_titles(version).keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_are_small(version):
    text = resources.files("flashsim.nanoaod").joinpath(f"schemas/{version}.json").read_text("utf-8")
    assert len(text) < 100_000


def test_dtypes_of_versions_differ_where_nanoaod_does():
    v9, v12, v15 = load_schema("v9"), load_schema("v12"), load_schema("v15")
    assert (v9["Jet_genJetIdx"].dtype, v12["Jet_genJetIdx"].dtype) == (np.int32, np.int16)
    assert (v9["Jet_jetId"].dtype, v12["Jet_jetId"].dtype) == (np.int32, np.uint8)
    assert (v9["GenPart_statusFlags"].dtype, v15["GenPart_statusFlags"].dtype) == (np.int32, np.uint16)
    assert "Jet_jetId" not in v15
    assert "Jet_qgl" in v9
    assert "Jet_qgl" not in v12


def test_mantissas_are_those_of_nanoaod():
    for version in VERSIONS:
        assert mantissa_bits(version, "Jet_pt") == 10
        assert mantissa_bits(version, "Jet_eta") == 12
        assert mantissa_bits(version, "Muon_pt") is None
        assert mantissa_bits(version, "run") is None
    assert (mantissa_bits("v9", "Muon_eta"), mantissa_bits("v12", "Muon_eta")) == (12, 16)


def test_a_schema_can_be_changed_without_harm():
    load_schema("v9").clear()
    assert load_schema("v9")


def test_unknown_names_are_clear_errors():
    with pytest.raises(FlashSimError, match="'v7'; choose one of v5, v6, v9, v12, v15"):
        load_schema("v7")
    with pytest.raises(FlashSimError, match="v9 has no branch 'Jet_nothing'"):
        mantissa_bits("v9", "Jet_nothing")


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_are_those_of_real_files(real_file, version):
    schema = load_schema(version)
    file = real_file(SOURCES[version])
    for name, branch in file.branches.items():
        if branch.collection in {"Jet", "Muon", "Electron", "FatJet", "Tau", "SV", "GenJet", "GenPart"}:
            assert (schema[name].dtype, schema[name].collection) == (branch.dtype, branch.collection)
            assert branch.title in {"", schema[name].title}
    bits = {name: mantissa_bits(version, name) for name in schema if file.has(name)}
    reduced = {name: number for name, number in bits.items() if number is not None}
    for name, array in file.read(list(reduced)).items():
        values = ak.to_numpy(ak.flatten(array, axis=None))
        np.testing.assert_array_equal(round_mantissa(values, reduced[name]), values, err_msg=name)


def sample(path, branches, arrays):
    with NanoWriter(path) as writer:
        writer.tree("Events", branches, counter_titles={"Jet": "jets"})
        writer.extend("Events", arrays)
    return str(path)


def jets(bits, rng):
    values = round_mantissa(rng.uniform(15, 100, 200).astype(np.float32), bits)
    return ak.unflatten(values, [2] * 100)


@pytest.fixture
def samples(tmp_path):
    """Two files of one version: the second has LHE information and a title, and a jet branch too many."""
    rng = np.random.default_rng(1)
    pt, eta = (Branch(f"Jet_{field}", np.dtype("f4"), "Jet") for field in ("pt", "eta"))
    weight = Branch("PSWeight", np.dtype("f4"), "PSWeight", "of this sample")
    first = sample(
        tmp_path / "a.root",
        [Branch("run", np.dtype("u4")), Branch("HLT_Mu", np.dtype("?")), pt, weight],
        {"run": np.ones(100), "HLT_Mu": np.ones(100), "Jet_pt": jets(8, rng), "PSWeight": jets(23, rng)},
    )
    second = sample(
        tmp_path / "b.root",
        [Branch("LHE_HT", np.dtype("f4")), Branch("Jet_pt", np.dtype("f4"), "Jet", "pt"), eta],
        {"LHE_HT": np.arange(100), "Jet_pt": jets(10, rng), "Jet_eta": jets(12, rng)},
    )
    return first, second


def test_the_first_file_decides_and_the_others_add(samples):
    schema = extract_schema(samples)
    assert schema["branches"] == {
        "run": {"dtype": "uint32"},
        "Jet_pt": {"dtype": "float32", "collection": "Jet", "mantissa": 10, "title": "pt"},
        "PSWeight": {"dtype": "float32", "collection": "PSWeight"},
        "LHE_HT": {"dtype": "float32"},
    }
    assert schema["counters"] == {"Jet": "jets"}
    assert schema["sources"] == ["a.root", "b.root"]


def test_titles_can_come_from_another_version(samples):
    first, second = samples
    branch = extract_schema([first], [second])["branches"]["Jet_pt"]
    assert (branch["title"], branch["mantissa"]) == ("pt", 8)


def test_command_line(samples, tmp_path, capsys):
    output = tmp_path / "v9.json"
    assert main([*samples, "--version", "v9", "--output", str(output)]) == 0
    made = json.loads(output.read_text())
    assert made.pop("version") == "v9"
    assert made == extract_schema(samples)
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "none.root"), "--version", "v9", "--output", str(output)])
    assert stop.value.code == 2
    assert "no such file" in capsys.readouterr().err
