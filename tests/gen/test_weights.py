from __future__ import annotations

import numpy as np
import pytest

from flashsim.gen.weights import nominal_index, similar_names, unstorable, weight_branches


@pytest.mark.parametrize(
    ("names", "index"),
    [
        (["0", "1", "2"], 0),
        (["MUR=0.5", "Default", "Weight"], 1),
        (["Default", "", "Weight"], 1),
        # Sherpa sorts by name.
        (["MEWeight", "MUR0.5_MUF1_PDF261000", "NTrials", "Weight", "WeightNormalisation"], 3),
        (["EXTRA__MEWeight", "IRREG__Weight", "Weight"], 2),
        # MadGraph with Pythia.
        (["AUX_1", "MUF=1.0_MUR=2.0_MERGING=0.000", "Weight_MERGING=0.000", "rwgt_1"], 2),
        (["MERGING=0.000", "muR=0.5_MERGING=0.000"], 0),
        (["nominal", "muR2"], 0),
        (["muR2", " NOMINAL "], 1),
        (["fsr:murfac=0.5", "Baseline"], 1),
        (["one", "two"], None),
        (["Weight_MERGING=30.000", "two"], None),
    ],
)
def test_the_nominal_weight_is_found_by_its_name(names, index):
    assert nominal_index(names) == index


def test_near_names_are_offered():
    names = ["Default", "MUR0.5_MUF1", "MUR1_MUF0.5", "MUR2_MUF1", "PDF303600", "MUR2_MUF2"]
    assert similar_names(names, "mur2_muf1")[0] == "MUR2_MUF1"
    assert similar_names(names, "%") == names[:5]


def test_branches_of_weights_are_distinct_and_legal():
    names = ["a b", "a_b", "", "PDF:303600 member 1", "a b", "a\nb", "a b_2"]
    branches = weight_branches(names)
    assert len(set(branches)) == len(names)
    assert all(branch.isidentifier() and branch.startswith("GenWeight_") for branch in branches)


def test_weights_that_32_bits_cannot_hold():
    good = [0.0, -0.0, 1.0, -3e38, 2e-38, -1e-20]
    bad = [np.nan, np.inf, -np.inf, 1e300, -3.5e38, 1e-40, -1e-320]
    assert unstorable(np.array(good + bad)).tolist() == [False] * len(good) + [True] * len(bad)
