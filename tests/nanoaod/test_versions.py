from __future__ import annotations

import numpy as np
import pytest

from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.schema import VERSIONS, detect_version, load_schema
from flashsim.nanoaod.versions import describe_version

TRUTH = {
    "tt_2018_v5": "v5",
    "dy_2018_v6": "v6",
    "dy_2018_v6_rntuple": "v6",
    "dy_empty": "v6",
    "sms_v9": "v9",
    "wjets_2015_v9": "v9",
    "htt_fastsim_v9": "v9",
    "bad_missing_lumi": "v9",
    "tt_2022_v12": "v12",
    "scouting_run3": "v12",
    "tt_2024_v15": "v15",
}

GEN_LEVEL = ("Gen", "gen", "LHE", "HTXS", "Pileup", "PSWeight", "run", "luminosityBlock", "event")


def gen_level(branches):
    return {name: branch for name, branch in branches.items() if name.startswith(GEN_LEVEL)}


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_are_told_apart(version):
    schema = load_schema(version)
    assert detect_version(schema) == version
    assert detect_version(gen_level(schema)) == version


@pytest.mark.parametrize("name", TRUTH)
def test_real_files_are_told_apart(real_file, name):
    file = real_file(name)
    assert detect_version(file.branches) == TRUTH[name]
    if file.container == "TTree":  # the RNTuple has no titles, and v5 and v6 differ in nothing else
        assert detect_version(gen_level(file.branches)) == TRUTH[name]


@pytest.mark.parametrize("name", ["bad_no_genjet", "data_dimuon_2018"])
def test_other_files_do_not_fail(real_file, name):
    file = real_file(name)
    assert detect_version(file.branches) in VERSIONS


def test_types_tell_where_names_do_not():
    mother = "GenPart_genPartIdxMother"
    assert detect_version({mother: Branch(mother, np.dtype("int32"), "GenPart")}) == "v5"
    assert detect_version({mother: Branch(mother, np.dtype("int16"), "GenPart")}) == "v12"


def test_nothing_is_the_oldest():
    assert detect_version({}) == VERSIONS[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_whole_schemas_are_beyond_doubt(version):
    told = describe_version(load_schema(version))
    assert (told.version or "v5") == version
    assert set(told.marks) <= load_schema(version).keys()
    # All that tells v5 is that nothing is there which came later.
    assert told.doubt == ("no branch came with a later version" if version == "v5" else "")


@pytest.mark.parametrize("name", TRUTH)
def test_real_files_do_not_contradict_themselves(real_file, name):
    assert "but" not in describe_version(real_file(name).branches).doubt


def test_one_name_is_outvoted_by_types():
    own = {"PFMET_pt": Branch("PFMET_pt", np.dtype("float32"))}
    told = describe_version(load_schema("v9") | own)
    assert told.version == "v9"
    assert told.doubt.endswith("came with v9, but PFMET_pt is of v15")
    told = describe_version(load_schema("v5") | own)
    assert told.version is None
    assert told.doubt == "no branch came with a later version, but PFMET_pt is of v15"


def test_contradictions_are_said():
    schema = load_schema("v15")
    widened = {
        name: Branch(name, np.dtype("int32"), branch.collection, branch.title)
        if branch.dtype.kind in "iu" and branch.jagged
        else branch
        for name, branch in schema.items()
    }
    told = describe_version(widened)
    assert told.version == "v15"
    assert "came with v15, but GenPart_genPartIdxMother, GenPart_statusFlags" in told.doubt
    assert told.doubt.endswith("of an older type")


def test_few_marks_are_said():
    told = describe_version({"GenVtx_x": Branch("GenVtx_x", np.dtype("float32"))})
    assert (told.version, told.doubt) == ("v9", "nothing but GenVtx_x tells it")
    assert describe_version({}).doubt == "no branch came with a later version"
    assert describe_version({}).version is None
