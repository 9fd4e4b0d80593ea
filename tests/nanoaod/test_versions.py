from __future__ import annotations

import numpy as np
import pytest

from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.schema import VERSIONS, detect_version, load_schema

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
