from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.gen.status import is_hadron, status_flags

F = StatusFlag
ENDS = F.isFirstCopy | F.isLastCopy


def flags_of(record_of, event):
    lines, place = event
    flags = status_flags(record_of(lines))
    return {name: int(flags[i]) for name, i in place.items()}


def test_prompt_muons_as_in_real_files(record_of, drell_yan):
    flags = flags_of(record_of, drell_yan)
    assert flags["mu- last"] == 8449
    assert flags["mu+"] == 12673
    assert flags["mu-"] == 22913
    assert flags["photon"] == ENDS | F.isPrompt


def test_muons_from_b_hadrons_as_in_real_files(record_of, b_decays):
    flags = flags_of(record_of, b_decays)
    assert flags["mu from B"] == flags["mu from D"] == 12352
    assert flags["mu from tau"] == 12308
    assert flags["tau"] == ENDS | F.isDecayedLeptonHadron | F.isDirectHadronDecayProduct
    assert flags["nu"] == ENDS | F.isDirectHadronDecayProduct


def test_products_of_hard_taus_as_in_real_files(record_of, tau_decay):
    flags = flags_of(record_of, tau_decay)
    assert flags["mu"] == flags["nu"] == 13884
    assert flags["tau last"] == 8451
    assert flags["antitau"] == 12675
    # A pion of a rho descends from the tau, but directly from a hadron.
    assert flags["pi"] & F.isPromptTauDecayProduct
    assert not flags["pi"] & F.isDirectTauDecayProduct
    assert flags["pi"] & F.isDirectHadronDecayProduct
    assert flags["photon"] & F.isPrompt


def test_bits_before_fsr_need_radiation(record_of, line):
    head = [line(2212, 4), line(2, 21, (0,)), line(23, 22, (1,)), line(13, 23, (2,))]
    before = F.fromHardProcessBeforeFSR | F.isLastCopyBeforeFSR
    quiet = status_flags(record_of([*head, line(13, 52, (3,)), line(13, 1, (4,))]))
    assert not np.any(quiet[3:] & int(before))
    late = status_flags(record_of([*head, line(13, 52, (3,)), line(13, 1, (4,)), line(22, 1, (4,))]))
    assert (late[3:6] & int(before)).tolist() == [0, before, 0]


def test_last_copy_of_a_resonance_is_before_fsr(record_of, drell_yan):
    flags = flags_of(record_of, drell_yan)
    assert flags["Z last"] & F.fromHardProcessBeforeFSR
    assert not flags["Z"] & F.fromHardProcessBeforeFSR
    assert flags["u"] & F.fromHardProcessBeforeFSR


@pytest.mark.parametrize("code", [111, -211, 130, 310, 2212, -3122, 511, 5122, 443, 100443, 10411, 9000111])
def test_hadrons(code):
    assert is_hadron(np.array([code]))[0]


@pytest.mark.parametrize(
    "code", [1, 5, 6, 11, -13, 15, 21, 22, 23, 25, 37, 90, 2203, 1103, 1000022, 1000020040]
)
def test_what_is_no_hadron(code):
    assert not is_hadron(np.array([code]))[0]


@st.composite
def genealogies(draw, line):
    """Random families: any particle may descend from any earlier ones."""
    particles = [line(2212, 4)]
    for i in range(1, draw(st.integers(1, 25))):
        mothers = draw(st.lists(st.integers(0, i - 1), min_size=0, max_size=3, unique=True))
        code = draw(st.sampled_from([1, -1, 5, 21, 22, 23, 25, 13, -13, 15, 16, 111, 211, 511, -513, 411]))
        status = draw(st.sampled_from([1, 2, 2, 21, 22, 23, 44, 51, 52, 62, 71]))
        particles.append(line(code, status, tuple(sorted(mothers)), px=draw(st.floats(0.1, 100))))
    return particles


def implies(flags, narrow, wide):
    return np.all((flags & int(narrow) == 0) | (flags & int(wide) != 0))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_narrow_flags_imply_wide_ones(record_of, line, data):
    flags = status_flags(record_of(data.draw(genealogies(line))))
    assert implies(flags, F.isHardProcess, F.fromHardProcess)
    assert implies(flags, F.fromHardProcessBeforeFSR, F.fromHardProcess)
    assert implies(flags, F.isDecayedLeptonHadron, F.isLastCopy)
    for narrow in (F.isPromptTauDecayProduct, F.isDirectTauDecayProduct):
        assert implies(flags, narrow, F.isTauDecayProduct)
        assert implies(flags, F.isDirectPromptTauDecayProduct, narrow)
    assert implies(flags, F.isDirectHardProcessTauDecayProduct, F.isHardProcessTauDecayProduct)
    assert not np.any((flags & int(F.isPrompt) != 0) & (flags & int(F.isTauDecayProduct) != 0))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_events_of_a_batch_do_not_touch_each_other(record_of, line, data):
    first, second = data.draw(genealogies(line)), data.draw(genealogies(line))
    together = status_flags(record_of(first, second))
    apart = np.concatenate([status_flags(record_of(first)), status_flags(record_of(second))])
    np.testing.assert_array_equal(together, apart)


def test_circular_copies_end(record_of, line):
    record = record_of([line(2212, 4), line(13, 51, (2,)), line(13, 52, (1,)), line(22, 1, (2,))])
    flags = status_flags(record)
    assert not flags[1] & ENDS
    assert not flags[2] & ENDS
