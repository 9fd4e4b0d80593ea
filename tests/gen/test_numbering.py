from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashsim.declarations.event_numbers import EVENTS_PER_LUMINOSITY_BLOCK, MOST_BLOCK, MOST_RUN
from flashsim.gen.numbering import Numbering


def columns(seed, events=3):
    """Give branches of the first events of a file."""
    rng = np.random.default_rng(seed)
    return {
        "genWeight": ak.Array(np.ones(events)),
        "GenPart_pt": ak.Array(rng.exponential(30.0, (events, 4))),
        "GenVtx_z": ak.Array(rng.normal(size=events)),
    }


def test_files_of_different_events_have_blocks_of_their_own():
    blocks = {Numbering().of_file(columns(seed)).luminosity_block for seed in range(1000)}
    assert len(blocks) == 1000
    assert all(1 <= block <= MOST_BLOCK for block in blocks)
    # Spread over the whole range: the mean of uniform numbers, within 5 sigma.
    assert abs(np.mean(list(blocks)) / MOST_BLOCK - 0.5) < 5 / np.sqrt(12 * 1000)


def test_the_first_event_decides_and_no_weight_does():
    first = Numbering().of_file(columns(1))
    one = {name: values[:1] for name, values in columns(1).items()}
    assert Numbering().of_file(one) == first
    assert Numbering().of_file(columns(1) | {"genWeight": ak.Array([2.0, 3.0, 4.0])}) == first


def test_an_event_without_particles_decides_nothing():
    empty = ak.Array([[]])
    apart = set()
    for seed in (1, 2):
        full = columns(seed)
        shifted = {
            "GenPart_pt": ak.concatenate([empty, full["GenPart_pt"]]),
            "GenVtx_z": ak.concatenate([[0.0], full["GenVtx_z"]]),
        }
        apart.add(Numbering().of_file(shifted).luminosity_block)
    assert len(apart) == 2
    assert Numbering().of_file({"GenPart_pt": empty}).luminosity_block is not None


@given(
    st.integers(1, MOST_RUN),
    st.integers(1, MOST_BLOCK),
    st.integers(1, 2**62),
    st.integers(0, 10**9 - 10_000),
    st.integers(1, 3000),
)
def test_numbers_are_those_asked_for_and_signed_readers_take_them(run, block, event, first, events):
    numbering = Numbering(run, block, event)
    assert numbering.of_file(columns(1)) is numbering
    found = numbering.numbers(first, events)
    assert [values.dtype for values in found.values()] == [np.uint32, np.uint32, np.uint64]
    assert set(found["run"]) == {run}
    assert found["event"].tolist() == list(range(event + first, event + first + events))
    blocks = [block + row // EVENTS_PER_LUMINOSITY_BLOCK for row in range(first, first + events)]
    assert found["luminosityBlock"].tolist() == blocks
    assert max(run, blocks[-1]) < 2**31


@pytest.mark.parametrize("events", [1, 999, 1000, 1001, 5000])
def test_blocks_are_those_of_the_events(events):
    numbering = Numbering(3, 70, 11)
    blocks, found = numbering.luminosity_blocks(events), numbering.numbers(0, events)
    assert blocks["luminosityBlock"].tolist() == sorted(set(found["luminosityBlock"].tolist()))
    assert set(blocks["run"]) == {3}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"run": 0}, "run"),
        ({"run": 2**31}, "run"),
        ({"luminosity_block": 0}, "luminosity_block"),
        ({"luminosity_block": 2**31 - 1}, "luminosity_block"),
        ({"first_event": 0}, "first_event"),
    ],
)
def test_numbers_out_of_range_are_refused(options, name):
    with pytest.raises(ValueError, match=f"{name} must be 1 to"):
        Numbering(**options)


def test_a_block_is_never_made_up():
    with pytest.raises(RuntimeError, match="not decided"):
        Numbering().numbers(0, 1)
