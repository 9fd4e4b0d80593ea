from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from flashsim.gen.gen_taus import gen_visible_taus
from flashsim.gen.particles import gen_part


def taus(record):
    return gen_visible_taus(record, gen_part(record))


@pytest.fixture(scope="session")
def decay(line):
    """Event with a prompt tau- that decays to a neutrino and to what is named, 10 GeV each along x."""

    def make(*names, px=10.0):
        lines = [
            line(2, 21, px=0, pz=100),
            line(24, 22, (0,), mass=80),
            line(15, 23, (1,), px=60, mass=1.78),
            line(15, 2, (2,), px=60, mass=1.78),
            line(16, 1, (3,), px=7),
        ]
        for name in names:
            code = {"e": 11, "mu": 13, "pi-": -211, "pi+": 211, "K0": 310, "gamma": 22}[name]
            lines.append(line(code, 1, (3,), px=px, mass=0.0))
        return lines

    return make


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["pi-"], 0),
        (["pi-", "gamma", "gamma"], 1),
        (["pi-", "gamma", "gamma", "gamma", "gamma"], 2),
        (["pi-", *["gamma"] * 6], 15),
        (["pi-", "gamma"], 15),
        (["pi-", "K0"], 15),
        (["pi-", "pi-", "pi+"], 10),
        (["pi-", "pi-", "pi+", "gamma", "gamma"], 11),
        (["pi-", "pi-", "pi+", *["gamma"] * 4], 15),
        (["pi-", "pi-", "pi-", "pi+", "pi+"], 15),
    ],
)
def test_decay_modes(record_of, decay, names, status):
    record = record_of(decay(*names, px=11.0))
    found = taus(record)
    assert found["GenVisTau_status"].to_list() == [[status]]
    assert found["GenVisTau_pt"][0].to_list() == pytest.approx([11.0 * len(names)])
    assert found["GenVisTau_charge"].to_list() == [[-1]]
    # The tau that decays, not the copy before it.
    kept = gen_part(record).branches
    mother = found["GenVisTau_genPartIdxMother"][0, 0]
    assert kept["GenPart_pdgId"][0, mother] == 15
    assert kept["GenPart_status"][0, mother] == 2


@pytest.mark.parametrize("lepton", ["e", "mu"])
def test_leptonic_decays_and_soft_ones_are_left_out(record_of, decay, lepton):
    record = record_of(decay(lepton, px=30.0), decay("pi-", px=9.9), decay("pi-", px=10.1), [])
    assert ak.num(taus(record)["GenVisTau_pt"]).to_list() == [0, 0, 1, 0]


def test_a_muon_pair_of_photons_is_no_leptonic_decay(record_of, decay):
    found = taus(record_of(decay("pi-", "e", "e", "gamma")))
    assert found["GenVisTau_status"].to_list() == [[15]]


def test_order_is_of_pt_and_mothers_are_of_each_tau(record_of, line):
    lines = [line(23, 22, mass=91)]
    for code, px, place in ((15, 20.0, 1), (-15, 40.0, 2)):
        lines.append(line(code, 2, (0,), px=px, mass=1.78))
        assert place == len(lines) - 1
    lines += [
        line(-211, 1, (1,), px=15.0),
        line(211, 1, (2,), px=35.0),
        line(16, 1, (1,)),
        line(-16, 1, (2,)),
    ]
    record = record_of(lines)
    found = taus(record)
    assert found["GenVisTau_pt"][0].to_list() == pytest.approx([35.0, 15.0])
    assert found["GenVisTau_charge"][0].to_list() == [1, -1]
    codes = gen_part(record).branches["GenPart_pdgId"][0]
    assert codes[found["GenVisTau_genPartIdxMother"][0]].to_list() == [-15, 15]


def test_particles_of_hadrons_are_no_taus(record_of, b_decays):
    assert np.sum(ak.num(taus(record_of(b_decays[0]))["GenVisTau_pt"])) == 0
