"""Where gen particles come from, against what CMS wrote."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.declarations.gen_collections import GenView
from flashsim.events.ancestry import last_copies
from flashsim.events.collection import Collection, flat_column
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.events.matching import gen_rows
from flashsim.nanoaod.reading import NanoFile

EGAMMA = GenView.model_validate(
    {
        "schema_version": 1,
        "collections": {
            "GenEGamma": {
                "branch": "GenPart",
                "fields": ["pt", "eta", "phi", "pdgId", "photonOrigin", "index"],
                "abs_pdg_id": [11, 22],
                "status": [1],
            }
        },
    }
)


def test_the_last_copy_is_at_the_end_of_the_daughters_of_the_same_kind():
    offsets = np.array([0, 5, 5, 8])
    pdg_id = np.array([11, 11, 22, 11, -11, 13, 11, 13])
    mother = np.array([-1, 0, 1, 1, 0, -1, 0, 0])
    assert last_copies(offsets, pdg_id, mother).tolist() == [3, 3, 2, 3, 4, 7, 6, 7]


def test_damaged_mothers_are_no_copies():
    offsets, pdg_id = np.array([0, 3]), np.array([11, 11, 11])
    assert last_copies(offsets, pdg_id, np.array([1, 99, 2])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "name",
    ["wjets_2015_v9", "pfnano_tt_2018", "htt_fastsim_v9", "tt_2024_v15"],
)
def test_origins_of_photons_are_those_of_cms(nanoaod_dir, name):
    with NanoFile(nanoaod_dir / f"{name}.root") as file:
        reco = ["Photon_genPartIdx", "Photon_genPartFlav"]
        ((_, _, arrays),) = file.chunks([*gen_view_branches(EGAMMA), *reco], 10_000)
    gen = build_gen_view(EGAMMA, arrays)["GenEGamma"]
    offsets, index = flat_column(arrays["Photon_genPartIdx"])
    flavour = flat_column(arrays["Photon_genPartFlav"])[1]
    rows = gen_rows(gen, Collection(offsets, {"index": index}), "index")
    # Every photon that CMS matches is matched to a stable photon or electron.
    assert np.array_equal(rows >= 0, index >= 0)
    assert np.array_equal(gen["photonOrigin"][rows[rows >= 0]], flavour[rows >= 0])
