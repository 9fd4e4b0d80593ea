"""Particle flow: which tracks are believed."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.reference.flow.calorimeters import CLUSTER
from flashsim.reference.flow.candidates import CANDIDATE, _Event, _masked
from flashsim.reference.flow.tracks import TRACK
from flashsim.reference.recipe import load_detector


@pytest.fixture(scope="module")
def linking():
    """Give the numbers of the rules."""
    return load_detector("full", "run2").recording.flow.numbers()


def masked(linking, tracks, towers=()):
    """Tell which tracks are masked; each is (pt, ptErr, HCAL cluster, kind), and towers are energies."""
    rows = np.zeros(len(tracks), dtype=TRACK)
    rows["ecal"] = -1
    for row, (pt, error, hcal, kind) in zip(rows, tracks, strict=True):
        row["pt"], row["ptErr"], row["hcal"], row["kind"] = pt, error, hcal, kind
        row["chambers"] = 2 if kind == 13 else 0
    hcal = np.zeros(len(towers), dtype=CLUSTER)
    hcal["energy"] = towers
    none, number = np.zeros(0, dtype=CLUSTER), np.zeros(1, dtype=np.int64)
    event = _Event(rows, none, hcal, np.zeros(1, dtype=CANDIDATE), number, 0.0, 0, 0, 129.0, 317.0)
    return _masked(event, linking).tolist()


def test_a_stray_track_without_energy_is_masked(linking):
    assert masked(linking, [(2000.0, 600.0, -1, 211), (5.0, 0.05, -1, 211)]) == [True, False]


def test_a_hard_track_with_its_energy_stays(linking):
    assert masked(linking, [(100.0, 2.0, 0, 211)], [95.0]) == [False]


def test_the_worst_measured_track_of_a_cluster_goes_first(linking):
    tracks = [(50.0, 1.5, 0, 211), (1500.0, 500.0, 0, 211), (20.0, 0.3, 0, 211)]
    assert masked(linking, tracks, [70.0]) == [False, True, False]


def test_muons_leave_no_energy(linking):
    assert masked(linking, [(500.0, 20.0, -1, 13)]) == [False]
