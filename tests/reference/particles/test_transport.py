from __future__ import annotations

import numpy as np
import pytest
from toy_events import MASSES, detector, stable

from flashsim.reference.particles.overlay import _records
from flashsim.reference.particles.particle import BREM, CONVERSION, DECAY, NUCLEAR, PRIMARY, Rows
from flashsim.reference.particles.transport import transport

OFF = {"decays": False, "conversions": False, "bremsstrahlung": False, "nuclear_interactions": False}
EVENTS, SIZE = 20, 400


def followed(kind, scale=5.0, size=SIZE, **effects):
    """Particles of one kind before and after the tracker in which only `effects` happen."""
    MASSES.setdefault(310, 0.49761)
    particles = stable(EVENTS, size, seed=5, scale=scale, kinds=(kind,))
    before = Rows(particles.offsets, _records(particles))
    material = detector().material.model_copy(update={**OFF, **effects})
    states = np.arange(EVENTS, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return before.rows, transport(before, states, material.numbers()), material


def vectors(rows):
    pt, eta, phi = rows["pt"], rows["eta"], rows["phi"]
    return np.stack([rows["energy"], pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)


def test_nothing_happens_where_all_effects_are_off():
    before, after, _ = followed(211)
    np.testing.assert_array_equal(after.rows["pt"], before["pt"])
    assert np.isinf(after.rows["end"]).all()


def test_daughters_of_k0s_have_its_mass_and_energy():
    before, after, material = followed(310, decays=True)
    rows = after.rows
    sums = np.zeros((len(before), 4))
    daughters = (rows["source"] == DECAY) & (np.abs(rows["pdg"]) != 13)
    np.add.at(sums, rows["mother"][daughters], vectors(rows[daughters]))
    decayed = np.bincount(rows["mother"][daughters], minlength=len(before)) > 1
    assert 0.3 < decayed.mean() < 1.0
    energy, *momentum = sums[decayed].T
    mass = np.sqrt(energy**2 - sum(p**2 for p in momentum))
    np.testing.assert_allclose(mass, MASSES[310], rtol=1e-3)
    np.testing.assert_allclose(energy, before["energy"][decayed], rtol=1e-6)
    radius = np.hypot(rows["x"], rows["y"])[daughters]
    assert radius.max() <= material.radius
    pairs = (
        np.bincount(rows["mother"][daughters & (rows["charge"] != 0)], minlength=len(before))[decayed] == 2
    )
    assert pairs.mean() == pytest.approx(0.692, abs=0.03)


def test_conversions_keep_the_photons_momentum():
    before, after, material = followed(22, conversions=True)
    rows = after.rows
    pairs = rows["source"] == CONVERSION
    sums = np.bincount(rows["mother"][pairs], weights=rows["pt"][pairs], minlength=len(before))
    converted = sums > 0
    np.testing.assert_allclose(sums[converted], before["pt"][converted], rtol=1e-9)
    inside = np.abs(before["eta"]) < 2.4
    thickness = np.interp(np.abs(before["eta"]), material.eta, material.radiation_lengths)
    assert converted[inside].mean() == pytest.approx(1 - np.exp(-7 / 9 * thickness[inside]).mean(), abs=0.02)


def test_electrons_keep_what_bethe_and_heitler_leave():
    before, after, material = followed(11, scale=20.0, bremsstrahlung=True)
    rows = after.rows[after.rows["source"] == PRIMARY]
    left = rows["energy"] / before["energy"]
    thickness = np.interp(np.abs(before["eta"]), material.eta, material.radiation_lengths)
    for low, high in ((0.3, 0.7), (0.7, 1.2), (1.2, 2.0)):
        here = (thickness > low) & (thickness < high) & (before["pt"] > 0.6)
        assert left[here].mean() == pytest.approx(np.exp(-thickness[here]).mean(), rel=0.07)
    photons = after.rows[after.rows["source"] == BREM]
    radiated = np.bincount(photons["mother"], weights=photons["energy"], minlength=len(before))
    assert (radiated <= (before["energy"] - rows["energy"]) * (1 + 1e-6)).all()


def test_nuclear_interactions_lose_the_stated_share_and_end_the_track():
    before, after, material = followed(211, scale=20.0, nuclear_interactions=True)
    rows = after.rows
    ended = np.isfinite(rows["end"][rows["source"] == PRIMARY])
    thickness = np.interp(np.abs(before["eta"]), material.eta, material.interaction_lengths)
    assert ended.mean() == pytest.approx(1 - np.exp(-thickness).mean(), abs=0.02)
    secondaries = rows["source"] == NUCLEAR
    sums = np.zeros((len(before), 4))
    np.add.at(sums, rows["mother"][secondaries], vectors(rows[secondaries]))
    kept = np.linalg.norm(sums[ended, 1:], axis=1) / before["energy"][ended]
    assert kept.mean() == pytest.approx(1 - material.lost_share, abs=0.02)


def test_events_do_not_depend_on_the_others():
    _, after, material = followed(211, decays=True, nuclear_interactions=True)
    particles = stable(EVENTS, SIZE, seed=5, scale=5.0, kinds=(211,))
    one = particles.select(np.arange(len(particles)) // SIZE == 7)
    alone = Rows(np.array([0, SIZE]), _records(one))
    states = np.array([7], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    rows = transport(alone, states, material.numbers()).rows
    own = after.rows[after.offsets[7] : after.offsets[8]]
    for name in ("pt", "eta", "phi", "end", "pdg"):
        np.testing.assert_array_equal(rows[name], own[name])
