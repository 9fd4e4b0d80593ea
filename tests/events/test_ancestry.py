"""Where gen particles come from, against what CMS wrote."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.declarations.gen_collections import GenView
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
