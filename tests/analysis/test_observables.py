"""Observables: symmetries, bounds, and the same from explicit boosts."""

from __future__ import annotations

import numpy as np
import pytest
import vector
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.analysis.observables import (
    collins_soper,
    mass_error,
    min_delta_eta,
    pt_balance,
    zeppenfeld,
)


def four_vectors(mass):
    """Draw objects; pT, eta and phi as they come out of a detector."""

    def build(values):
        pt, eta, phi = (np.array([value]) for value in values)
        return vector.array({"pt": pt, "eta": eta, "phi": phi, "mass": np.full(1, mass)})

    return st.tuples(st.floats(5, 500), st.floats(-4.7, 4.7), st.floats(-3.14, 3.14)).map(build)


MUON = four_vectors(0.10566)
JET = four_vectors(8.0)
BOOST = st.floats(-0.9, 0.9)
FEW = settings(deadline=None, max_examples=25)


def along_z(p, beta):
    return p.boostZ(beta=np.array([beta]))


@FEW
@given(MUON, MUON, JET, JET, BOOST)
def test_boosts_along_the_beam_change_nothing(m1, m2, j1, j2, beta):
    dimuon, b1, b2 = m1 + m2, along_z(j1, beta), along_z(j2, beta)
    boosted = along_z(dimuon, beta)
    assert pt_balance(boosted, b1, b2) == pytest.approx(pt_balance(dimuon, j1, j2), abs=1e-7)
    y_star, boosted_y_star = zeppenfeld(dimuon, j1, j2)[0], zeppenfeld(boosted, b1, b2)[0]
    assert boosted_y_star == pytest.approx(y_star, abs=1e-6)


@FEW
@given(MUON, MUON, JET, JET)
def test_balance_is_from_0_to_1(m1, m2, j1, j2):
    balance = pt_balance(m1 + m2, j1, j2)
    assert 0.0 <= balance <= 1.0
    assert pt_balance(m1 + m2, j2, j1) == pytest.approx(balance, abs=1e-9)


def test_balance_of_back_to_back_and_of_parallel_objects():
    def towards(pt, phi):
        return vector.array({"pt": [pt], "eta": [0.3], "phi": [phi], "mass": [0.0]})

    assert pt_balance(towards(80.0, 0.0), towards(50.0, np.pi), towards(30.0, np.pi)) == pytest.approx(0)
    assert pt_balance(towards(80.0, 1.0), towards(50.0, 1.0), towards(30.0, 1.0)) == pytest.approx(1)


@FEW
@given(MUON, MUON, JET)
def test_zeppenfeld_of_a_dimuon_beside_a_jet_is_a_half(m1, m2, jet):
    """With the dimuon as one of the jets it is at the edge of the gap."""
    dimuon = m1 + m2
    if abs(dimuon.rapidity - jet.rapidity) > 1e-3:
        assert abs(zeppenfeld(dimuon, dimuon, jet)[1]) == pytest.approx(0.5, rel=1e-6)


@FEW
@given(MUON, MUON, JET, JET)
def test_nearer_jet(m1, m2, j1, j2):
    dimuon = m1 + m2
    nearest = min_delta_eta(dimuon, j1, j2)
    assert nearest == min_delta_eta(dimuon, j2, j1)
    assert nearest <= abs(dimuon.eta - j1.eta)
    assert min_delta_eta(dimuon, dimuon, j2) == 0.0


def test_mass_error_is_that_of_smeared_muons():
    rng = np.random.default_rng(1)
    pt1, pt2, error1, error2 = 60.0, 45.0, 0.9, 0.8

    def muon(pt, eta, phi):
        return vector.array({"pt": pt, "eta": pt * 0 + eta, "phi": pt * 0 + phi, "mass": pt * 0})

    smeared = (rng.normal(pt, error, 200_000) for pt, error in ((pt1, error1), (pt2, error2)))
    mass = sum((muon(pt, eta, phi) for pt, eta, phi in zip(smeared, (0.5, -0.7), (0.1, 2.9), strict=True)),
               start=muon(np.zeros(200_000), 0.0, 0.0)).mass  # fmt: skip
    expected = mass_error(np.array([mass.mean()]), np.array([error1 / pt1]), np.array([error2 / pt2]))
    assert mass.std() == pytest.approx(expected[0], rel=0.01)


def explicit(muon, antimuon):
    """Angles from an explicit boost into the rest frame, with the axes of Collins and Soper built there."""
    dimuon = muon + antimuon
    beta = -dimuon.to_beta3()

    def at_rest(p):
        p = p.boost(beta)
        return np.stack([p.px, p.py, p.pz], axis=-1)

    def beam(sign):
        energy = np.full(1, 6500.0)
        zero = np.zeros(1)
        return vector.array({"px": zero, "py": zero, "pz": sign * energy, "E": energy})

    def unit(v):
        return v / np.linalg.norm(v, axis=-1, keepdims=True)

    forward = np.where(dimuon.pz < 0, -1.0, 1.0)
    z = unit(unit(at_rest(beam(forward))) - unit(at_rest(beam(-forward))))
    x = -unit(unit(at_rest(beam(1.0))) + unit(at_rest(beam(-1.0))))
    y = np.cross(z, x)
    p = unit(at_rest(muon))
    return (p * z).sum(-1), np.arctan2((p * y).sum(-1), (p * x).sum(-1))


def random_muons(number=2000):
    rng = np.random.default_rng(5)

    def draw():
        columns = {"pt": rng.uniform(20, 200, number), "eta": rng.uniform(-2.4, 2.4, number)}
        columns |= {"phi": rng.uniform(-np.pi, np.pi, number), "mass": np.full(number, 0.10566)}
        return vector.array(columns)

    return draw(), draw()


def turned(phi, other):
    """Distance of two azimuths."""
    return np.abs(np.angle(np.exp(1j * (phi - other))))


def test_collins_soper_is_what_an_explicit_boost_gives():
    for k in range(60):
        muon, antimuon = (p[k : k + 1] for p in random_muons(60))
        cos_theta, phi = collins_soper(muon, antimuon)
        expected_cos_theta, expected_phi = explicit(muon, antimuon)
        assert cos_theta == pytest.approx(expected_cos_theta, abs=2e-4)
        assert turned(phi, expected_phi) < 2e-3


def test_swapping_the_charges():
    muon, antimuon = random_muons()
    cos_theta, phi = collins_soper(muon, antimuon)
    swapped_cos_theta, swapped_phi = collins_soper(antimuon, muon)
    assert swapped_cos_theta == pytest.approx(-cos_theta, abs=1e-12)
    assert turned(swapped_phi, phi + np.pi).max() < 1e-9
    assert np.abs(cos_theta).max() <= 1.0
    assert np.std(cos_theta) > 0.3


@FEW
@given(BOOST)
def test_collins_soper_under_boosts_along_the_beam(beta):
    """Both signs flip where the dimuon is turned around."""
    muon, antimuon = random_muons(200)
    dimuon = muon + antimuon
    boost = np.full(200, beta)
    sign = np.where(np.sign(dimuon.boostZ(beta=boost).pz) == np.sign(dimuon.pz), 1.0, -1.0)
    cos_theta, phi = collins_soper(muon, antimuon)
    boosted_cos_theta, boosted_phi = collins_soper(muon.boostZ(beta=boost), antimuon.boostZ(beta=boost))
    assert boosted_cos_theta == pytest.approx(sign * cos_theta, abs=1e-9)
    assert turned(boosted_phi, sign * phi).max() < 1e-6
