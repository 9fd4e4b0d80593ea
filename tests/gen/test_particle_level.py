from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from flashsim.gen.particle_level import dressed_leptons, isolated_photons
from flashsim.gen.status import status_flags


def leptons(record):
    return dressed_leptons(record, status_flags(record))


def at(pt, eta=0.0, phi=0.0):
    return {"px": pt * np.cos(phi), "py": pt * np.sin(phi), "pz": pt * np.sinh(eta)}


@pytest.fixture(scope="session")
def z_decay(line):
    """A Z that decays to two muons and photons at some places."""

    def make(*photons, muons=((40.0, 0.0, 0.0), (30.0, 1.0, 3.0))):
        lines = [line(2, 21, px=0, pz=100), line(23, 22, (0,), mass=91)]
        for code, place in zip((13, -13), muons, strict=True):
            lines.append(line(code, 1, (1,), mass=0.105, **at(*place)))
        return lines + [line(22, 1, (1,), **at(*place)) for place in photons]

    return make


def test_photons_go_to_the_nearest_lepton(record_of, z_decay):
    close = ((40.0, 0.0, 0.0), (30.0, 0.12, 0.0))
    event = z_decay((5.0, 0.05, 0.0), (7.0, 0.08, 0.0), (9.0, 0.0, 0.11), (1.0, -2.0, 0.0), muons=close)
    found = leptons(record_of(event))
    assert found["GenDressedLepton_pt"][0].to_list() == pytest.approx([45.0, 37.0], rel=1e-3)
    assert found["GenDressedLepton_pdgId"].to_list() == [[13, -13]]
    assert found["GenDressedLepton_hasTauAnc"].to_list() == [[False, False]]
    assert found["GenDressedLepton_mass"][0, 0] > 0.105


@pytest.mark.parametrize(
    ("place", "kept"),
    [((15.1, 2.4, 0.0), True), ((14.9, 2.4, 0.0), False), ((50.0, 2.51, 0.0), False)],
)
def test_acceptance(record_of, z_decay, place, kept):
    found = leptons(record_of(z_decay(muons=(place, (30.0, 1.0, 3.0)))))
    assert ak.num(found["GenDressedLepton_pt"]).to_list() == [1 + kept]


def test_a_photon_lifts_a_lepton_over_the_threshold(record_of, z_decay):
    found = leptons(record_of(z_decay((2.0, 0.0, 0.01), muons=((14.0, 0.0, 0.0), (30.0, 1.0, 3.0)))))
    assert found["GenDressedLepton_pt"][0].to_list() == pytest.approx([30.0, 16.0], rel=1e-3)


def test_leptons_of_hadrons_are_not_prompt_and_those_of_prompt_taus_are(record_of, line, b_decays):
    tau = [
        line(2, 21, px=0, pz=100),
        line(24, 22, (0,), mass=80),
        line(15, 2, (1,), px=50, mass=1.78),
        line(11, 1, (2,), px=20),
        line(16, 1, (2,), px=20),
    ]
    found = leptons(record_of(b_decays[0], tau))
    assert ak.num(found["GenDressedLepton_pt"]).to_list() == [0, 1]
    assert found["GenDressedLepton_hasTauAnc"].to_list() == [[], [True]]


def test_photons_of_pions_dress_no_lepton(record_of, line, z_decay):
    event = z_decay()
    event += [line(111, 2, (0,), **at(10.0)), line(22, 1, (len(event),), **at(10.0))]
    assert leptons(record_of(event))["GenDressedLepton_pt"][0].to_list() == pytest.approx([40.0, 30.0])


@pytest.mark.parametrize(
    ("others", "kept"),
    [
        ([], True),
        ([(211, (9.0, 0.3, 0.0))], True),
        ([(211, (11.0, 0.3, 0.0))], False),
        ([(211, (11.0, 0.41, 0.0))], True),
        ([(12, (11.0, 0.0, 0.3))], False),  # neutrinos count
        ([(22, (6.0, 0.0, 0.3)), (211, (5.0, 0.2, 0.0))], False),
    ],
)
def test_isolation(record_of, line, others, kept):
    event = [line(22, 1, **at(20.0))] + [line(code, 1, **at(*place)) for code, place in others]
    found = isolated_photons(record_of(event))
    assert (20.0 in found["GenIsolatedPhoton_pt"][0].to_list()) is kept


@pytest.mark.parametrize(
    ("place", "kept"), [((10.1, 2.4), True), ((9.9, 2.4), False), ((30.0, 2.6), False), ((30.0, -2.4), True)]
)
def test_photons_in_the_acceptance(record_of, line, place, kept):
    found = isolated_photons(record_of([line(22, 1, **at(*place))], []))
    assert ak.num(found["GenIsolatedPhoton_pt"]).to_list() == [int(kept), 0]


def test_photons_are_ordered_by_pt(record_of, line):
    found = isolated_photons(record_of([line(22, 1, **at(15.0)), line(22, 1, **at(25.0, 1.0, 2.0))]))
    assert found["GenIsolatedPhoton_pt"][0].to_list() == pytest.approx([25.0, 15.0])
    assert found["GenIsolatedPhoton_eta"][0].to_list() == pytest.approx([1.0, 0.0])
    assert found["GenIsolatedPhoton_mass"][0].to_list() == [0.0, 0.0]
