from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.gen.gen_jets import gen_fat_jets, gen_jets, gen_met, track_jets

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


def test_fat_jets_and_their_subjets(record_of, line):
    pair = [line(211, 1, px=70, py=3, pz=0), line(211, 1, px=50, py=30, pz=10), line(211, 1, px=1, py=1)]
    lone = [line(13, 1, px=-120, mass=0.106), line(211, 1, px=-2, py=1)]
    soft = [line(211, 1, px=60), line(211, 1, px=30, py=25)]
    found = gen_fat_jets(record_of([*pair, *lone], soft, []))
    assert ak.num(found["GenJetAK8_pt"]).to_list() == [2, 0, 0]
    assert ak.num(found["SubGenJetAK8_pt"]).to_list() == [3, 0, 0]
    by_jet = sorted(found["SubGenJetAK8_pt"][0].to_list())
    assert by_jet == pytest.approx(sorted([np.hypot(70, 3), np.hypot(50, 30), 120]), rel=0.03)


def test_subjets_stand_in_the_order_of_their_jets(record_of, line):
    event = [
        line(211, 1, px=-90, py=5),
        line(211, 1, px=-60, py=-30),
        line(211, 1, px=100, py=5),
        line(211, 1, px=80, py=40),
    ]
    found = gen_fat_jets(record_of(event))
    pt, phi = found["SubGenJetAK8_pt"][0].to_list(), found["SubGenJetAK8_phi"][0]
    assert (np.cos(phi) > 0).tolist() == [True, True, False, False]
    assert pt[0] > pt[1]
    assert pt[2] > pt[3]


def test_numbers_of_hadrons(record_of, line):
    event = [
        line(511, 2, px=30, mass=5.3),
        line(411, 2, px=20, py=1, mass=1.9),
        line(421, 2, px=20, py=-1, mass=1.9),
        line(211, 1, px=60),
    ]
    jets = gen_jets(record_of(event)).branches
    assert jets["GenJet_nBHadrons"].to_list() == [[1]]
    assert jets["GenJet_nCHadrons"].to_list() == [[2]]
    assert jets["GenJet_hadronFlavour"].to_list() == [[5]]


def test_track_jets_are_made_of_what_miniaod_keeps(record_of, line):
    event = [
        line(13, 1, px=20, mass=0.106),
        line(2212, 1, px=2, py=2, mass=0.94),
        line(22, 1, px=20, py=1),
        line(14, 1, px=20, py=1),
        line(211, 1, px=-30),
        line(11, 1, px=0, py=-0.25),
    ]
    record = record_of(event, [])
    pruned = np.array([True, True, True, True, False, True])
    found = track_jets(record, pruned)
    assert found["TrackGenJetAK4_pt"].to_list()[0] == pytest.approx([20.0, np.hypot(2, 2)])
    assert ak.num(found["TrackGenJetAK4_pt"]).to_list() == [2, 0]
    assert set(found) == {f"TrackGenJetAK4_{name}" for name in ("pt", "eta", "phi")}


@pytest.mark.parametrize("code", [12, -16, 1000022, 39])
def test_what_no_detector_sees_is_in_no_jet(record_of, line, code):
    event = [line(211, 1, px=-50), line(code, 1, px=50)]
    assert gen_jets(record_of(event)).branches["GenJet_pt"][0].to_list() == pytest.approx([50.0])
    assert gen_met(record_of(event))["GenMET_pt"].tolist() == pytest.approx([50.0])
