from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.gen.gen_jets import gen_jets, gen_met

pytest.importorskip("fastjet", reason="fastjet is not installed (extra 'reference')")


def test_lone_leptons_are_jets_and_neutrinos_are_not(record_of, line):
    event = [line(13, 1, px=50, mass=0.106), line(-14, 1, px=-40), line(22, 1, px=9, py=9)]
    jets = gen_jets(record_of(event, [line(14, 1, px=30)])).branches
    assert ak.num(jets["GenJet_pt"]).to_list() == [2, 0]
    assert jets["GenJet_pt"][0].to_list() == pytest.approx([50, 9 * np.sqrt(2)])
    assert jets["GenJet_mass"][0, 0] == pytest.approx(0.106, abs=1e-4)
    assert jets["GenJet_hadronFlavour"][0].to_list() == [0, 0]


def test_flavours_of_ghosts(record_of, line, b_decays):
    charm = [
        line(4, 71, px=0, py=40),
        line(21, 71, px=0, py=90),
        line(411, 2, (0,), px=0, py=30, mass=1.87),
        line(211, 1, (2,), px=0, py=30, mass=0.14),
    ]
    light = [line(21, 71, px=-20), line(-1, 71, px=-30), line(211, 1, (0, 1), px=-50)]
    soft = [line(21, 71, px=4), line(211, 1, (0,), px=12), line(2, 73, px=20)]
    jets = gen_jets(record_of(b_decays[0], charm, light, soft)).branches
    assert jets["GenJet_hadronFlavour"].to_list() == [[5], [4], [0], [0]]
    assert jets["GenJet_partonFlavour"].to_list() == [[5], [4], [-1], [0]]


def test_hadrons_that_pass_their_flavour_on_are_no_ghosts(record_of, line):
    event = [
        line(-513, 2, px=-30, mass=5.3),
        line(-511, 2, (0,), px=30, mass=5.3),
        line(211, 1, px=-30),
        line(211, 1, px=30),
    ]
    jets = gen_jets(record_of(event)).branches
    by_side = dict(
        zip(
            np.round(np.cos(jets["GenJet_phi"][0])).tolist(),
            jets["GenJet_hadronFlavour"][0].to_list(),
            strict=True,
        )
    )
    assert by_side == {1.0: 5, -1.0: 0}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(-200, 200)), min_size=1, max_size=12)
)
def test_ghosts_change_no_jet_and_jets_are_sorted(record_of, line, momenta):
    finals = [
        line(211, 1, px=px, py=py, pz=pz, mass=0.14) for px, py, pz in momenta if np.hypot(px, py) > 0.1
    ]
    ghosts = [line(5, 71, px=p.px, py=p.py, pz=p.pz) for p in finals]
    plain, haunted = (gen_jets(record_of(event)).branches for event in (finals, [*ghosts, *finals]))
    for name in ("pt", "eta", "phi"):
        np.testing.assert_allclose(plain[f"GenJet_{name}"][0], haunted[f"GenJet_{name}"][0], rtol=1e-9)
    pt = ak.to_numpy(plain["GenJet_pt"][0])
    assert np.all(pt > 10)
    assert np.all(np.diff(pt) <= 0)
    assert np.all(np.abs(haunted["GenJet_partonFlavour"][0]) == 5)


def test_missing_momentum_is_that_of_neutrinos(record_of, line):
    event = [line(13, 1, px=20, py=5), line(-14, 1, px=-12, py=-9), line(211, 1, px=-8, py=4)]
    met = gen_met(record_of(event, [line(2212, 4)]))
    assert met["GenMET_pt"].tolist() == pytest.approx([15.0, 0.0])
    assert met["GenMET_phi"][0] == pytest.approx(np.arctan2(-9, -12))
