from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.gen.gen_jets import _last_partons
from flashsim.gen.hepmc.status import with_pythia_status
from flashsim.gen.particles import gen_part
from flashsim.gen.status import status_flags

UNKNOWN = np.array([-1])


def herwig(line):
    """u ubar -> Z -> mu- mu+ beside a b quark, with the codes of Herwig: 11 for all but final and decayed."""
    lines = {
        "beam 1": line(2212, 4, pz=6500),
        "beam 2": line(2212, 4, pz=-6500),
        "u": line(2, 11, (0,), pz=200),
        "ubar": line(-2, 11, (1,), pz=-20),
        "Z": line(23, 11, (2, 3), mass=91),
        "b": line(5, 11, (2, 3), px=60),
        "Z recoiled": line(23, 11, (4,), mass=91),
        "mu-": line(13, 11, (6,), px=30, mass=0.106),
        "mu+": line(-13, 1, (6,), px=-30, mass=0.106),
        "mu- last": line(13, 1, (7,), px=20, mass=0.106),
        "photon": line(22, 1, (7,), px=10),
        "b shower": line(5, 11, (5,), px=50),
        "gluon": line(21, 11, (5,), px=10),
        "b last": line(5, 11, (11,), px=45),
        "s from gluon": line(3, 11, (12,), px=6),
        "sbar from gluon": line(-3, 11, (12,), px=6),
        "cluster": line(81, 11, (13, 15), px=51),
        "B": line(-511, 2, (16,), px=50, mass=5.28),
        "K": line(310, 1, (16,), px=1, mass=0.498),
        "mu from B": line(13, 1, (17,), px=12, mass=0.106),
        "nu from B": line(-14, 1, (17,), px=12),
    }
    return list(lines.values()), {name: i for i, name in enumerate(lines)}


@pytest.fixture(scope="module")
def translated(record_of, line):
    lines, place = herwig(line)
    record = record_of(lines)
    hard = record.production_vertex[place["Z"]]
    return with_pythia_status(record, np.array([hard])), place


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *(("beam 1", 4), ("u", 21), ("Z", 22), ("Z recoiled", 62), ("mu-", 23), ("mu+", 1), ("mu- last", 1)),
        *(("b", 23), ("b shower", 51), ("b last", 71), ("gluon", 51), ("cluster", 81), ("B", 2), ("K", 1)),
    ],
)
def test_codes_follow_from_the_vertices(translated, name, status):
    record, place = translated
    assert record.status[place[name]] == status


def test_flags_of_a_generator_without_hard_codes(translated):
    record, place = translated
    flags = status_flags(record)

    def has(name, flag):
        return bool(flags[place[name]] & flag)

    for name in ("mu+", "mu- last"):
        assert has(name, StatusFlag.isPrompt)
        assert has(name, StatusFlag.fromHardProcess)
        assert has(name, StatusFlag.isLastCopy)
    assert has("mu+", StatusFlag.isHardProcess)
    assert not has("mu from B", StatusFlag.isPrompt)
    assert not has("mu from B", StatusFlag.fromHardProcess)
    assert has("mu from B", StatusFlag.isDirectHadronDecayProduct)
    assert has("B", StatusFlag.isDecayedLeptonHadron)


def test_jets_get_the_flavour_of_the_partons_that_hadronize(translated):
    record, place = translated
    last = np.flatnonzero(_last_partons(record))
    assert list(last) == [place["b last"], place["sbar from gluon"]]


def test_resonances_and_hard_partons_are_kept_in_genpart(translated):
    record, _ = translated
    codes = gen_part(record).branches["GenPart_pdgId"].to_list()[0]
    for code in (23, 13, -13, 5, -511):
        assert code in codes
    assert 81 not in codes


def test_resonance_decays_are_hard_without_a_named_vertex(record_of, line):
    lines, place = herwig(line)
    record = with_pythia_status(record_of(lines), UNKNOWN)
    flags = status_flags(record)
    assert record.status[place["Z"]] == 22
    assert flags[place["mu-"]] & StatusFlag.isHardProcess
    assert flags[place["mu- last"]] & StatusFlag.fromHardProcess
    # What the generator does not tell cannot be known.
    assert not flags[place["b"]] & StatusFlag.isHardProcess


def test_sherpa_marks_leptons_without_a_resonance(record_of, line):
    record = record_of(
        [
            *(line(2212, 4, pz=6500), line(2212, 4, pz=-6500)),
            *(line(2, 3, (0,), pz=200), line(-2, 3, (1,), pz=-20)),
            *(line(13, 3, (2, 3), px=30), line(-13, 3, (2, 3), px=-30)),
            *(line(13, 1, (4,), px=30), line(-13, 1, (5,), px=-30)),
        ]
    )
    assert with_pythia_status(record, UNKNOWN).status.tolist() == [4, 4, 21, 21, 23, 23, 1, 1]


def test_pythia_codes_are_left_alone(record_of, drell_yan, b_decays, tau_decay):
    record = record_of(drell_yan[0], b_decays[0], tau_decay[0])
    assert with_pythia_status(record, np.array([-1, -1, -1])) is record


def test_events_are_judged_one_by_one(record_of, line, drell_yan):
    both = record_of(drell_yan[0], herwig(line)[0])
    result = with_pythia_status(both, np.array([-1, -1]))
    first = len(drell_yan[0])
    assert np.array_equal(result.status[:first], both.status[:first])
    assert not np.array_equal(result.status[first:], both.status[first:])


@given(codes=st.lists(st.sampled_from([2, 3, 11, 14, 20, 80, 195]), min_size=21, max_size=21))
def test_final_particles_are_those_of_the_generator(record_of, line, codes):
    lines, _ = herwig(line)
    record = record_of(lines)
    status = np.where(np.isin(record.status, (1, 4)), record.status, codes).astype(np.int32)
    result = with_pythia_status(replace(record, status=status), UNKNOWN)
    assert np.array_equal(result.status == 1, status == 1)
    assert set(result.status) <= {1, 2, 4, 21, 22, 23, 51, 62, 71, 81, 91}
