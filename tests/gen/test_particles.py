from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.gen.particles import gen_part, pseudorapidity, stored_mass


def test_mothers_skip_what_is_dropped(record_of, drell_yan, b_decays):
    branches = gen_part(record_of(drell_yan[0], b_decays[0])).branches
    ids = branches["GenPart_pdgId"].to_list()
    mothers = branches["GenPart_genPartIdxMother"].to_list()
    first = dict(zip(ids[0], mothers[0], strict=True))
    assert first[2] == first[-2] == -1
    assert ids[0][first[-13]] == 23
    assert branches["GenPart_status"][0, first[-13]] == 62
    muons = [ids[1][mother] for code, mother in zip(ids[1], mothers[1], strict=True) if abs(code) == 13]
    assert muons == [-511, 411, 15]


def test_event_without_particles_worth_keeping(record_of, drell_yan, line):
    branches = gen_part(record_of([line(2212, 4, px=0, pz=6500)], drell_yan[0])).branches
    assert ak.num(branches["GenPart_pt"]).to_list() == [0, 8]
    assert branches["GenPart_genPartIdxMother"][1, 2] == 0


@given(st.floats(1e-3, 1e3), st.floats(-6500, 6500))
def test_pseudorapidity_is_that_of_the_polar_angle(pt, pz):
    eta = pseudorapidity(np.array([pt]), np.array([pz]))[0]
    theta = np.arctan2(pt, pz)
    assert np.tanh(eta) == pytest.approx(np.cos(theta), abs=1e-9)


def test_pseudorapidity_along_the_beam_is_as_in_real_files():
    eta = pseudorapidity(np.zeros(2), np.array([100.0, -100.0]))
    assert eta.tolist() == [22856.0, -22856.0]


def test_masses_known_from_the_number_are_not_stored():
    codes = np.array([1, -5, 6, 11, -13, 16, 21, 111, -211, 421, 411, 23, 24, 25, 511, 310, 22, 22])
    masses = np.linspace(0.1, 1.8, len(codes))
    stored = stored_mass(codes, masses)
    expected = np.where(np.isin(np.abs(codes), [6, 23, 24, 25, 511, 310]), masses, 0.0)
    expected[-2:] = masses[-2:] * (masses[-2:] >= 1.0)
    np.testing.assert_array_equal(stored, expected)
