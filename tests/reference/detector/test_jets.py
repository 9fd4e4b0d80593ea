"""Jets of the parametrised detectors on truth that is known."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.declarations.objects import load_object
from flashsim.events.collection import Collection
from flashsim.reference.detector.jets import jets
from flashsim.reference.detector.truth import Noise, Truth
from flashsim.transforms.codec import allows

EVENTS = 3000
TARGETS = [target for target in load_object("jets").targets if target.exists_in("v9")]
FRACTIONS = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")


def found(truth, noise, recipe, rho=21.0):
    return jets(truth, noise, recipe.jets, np.full(truth.events, rho))


def matched(truth, noise, recipe, rho=21.0):
    made = found(truth, noise, recipe, rho)
    return made.select(made["genJetIdx"] >= 0)


def varied(events, number, seed=0):
    """Columns of jets all over phase space."""
    random = np.random.default_rng(seed)
    size = events * number
    parts = random.dirichlet((2.0, 0.5, 0.1, 1.0, 0.1), size=size)
    return {
        "pt": 10.0 + random.exponential(40.0, size),
        "eta": random.uniform(-5.0, 5.0, size),
        "phi": random.uniform(-np.pi, np.pi, size),
        "mass": random.exponential(8.0, size),
        "hadronFlavour": random.choice([0, 4, 5], size),
        "partonFlavour": random.choice([0, 1, 21, 4, 5], size),
        "nConstituents": random.integers(1, 60, size),
        "nCharged": np.zeros(size, dtype=np.int64),
        "d0Second": random.exponential(0.01, size),
        **dict(zip(("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"), parts.T, strict=True)),
    }


def test_every_target_is_there_and_allowed(truth_of, noise, detector):
    truth = truth_of(EVENTS, jets=4, jet=varied(EVENTS, 4))
    made = found(truth, noise, detector)
    assert made.events == EVENTS
    for target in TARGETS:
        assert allows(target, made[target.branch]).all(), target.branch
    assert (made["pt"] >= 15.0).all()
    assert (sum(made[name] for name in FRACTIONS) <= 1.0 + 1e-9).all()


def test_indices_point_at_gen_jets_and_flavours_are_theirs(truth_of, noise, full):
    columns = varied(EVENTS, 4)
    truth = truth_of(EVENTS, jets=4, jet=columns)
    made = found(truth, noise, full)
    has_gen = made["genJetIdx"] >= 0
    assert 0.3 < has_gen.mean() < 0.9
    rows = (truth.jets.offsets[made.event_rows] + made["genJetIdx"])[has_gen]
    assert len(np.unique(rows)) == len(rows)
    assert (made["hadronFlavour"][has_gen] == columns["hadronFlavour"][rows]).all()
    assert (made["hadronFlavour"][~has_gen] == 0).all()
    assert (np.abs(made["eta"][has_gen] - columns["eta"][rows]) < 0.4).all()


def test_events_do_not_know_of_each_other(truth_of, noise, full):
    truth = truth_of(40, jets=3, jet=varied(40, 3))
    whole = found(truth, noise, full)
    last = Truth(
        key=truth.key[-10:],
        jets=Collection.of_counts(
            truth.jets.counts[-10:], {k: v[-30:] for k, v in truth.jets.columns.items()}
        ),
        leptons=truth.leptons,
        event={name: values[-10:] for name, values in truth.event.items()},
    )
    part = found(last, noise, full)
    for name, values in part.columns.items():
        np.testing.assert_array_equal(values, whole[name][whole.offsets[30] :], err_msg=name)


def test_detectors_and_draws_differ_and_seeds_repeat(truth_of, full):
    truth = truth_of(50, jets=2)
    first = found(truth, Noise(1, "full"), full)
    again = found(truth, Noise(1, "full"), full)
    np.testing.assert_array_equal(first["pt"], again["pt"])
    for other in (Noise(1, "fast"), Noise(1, "full", 1), Noise(2, "full")):
        assert not np.isin(found(truth, other, full)["pt"], first["pt"]).any()


def test_response_is_near_one_and_narrower_at_high_pt(truth_of, noise, detector):
    widths = []
    for pt in (30.0, 100.0, 400.0):
        truth = truth_of(EVENTS, jets=1, jet={"pt": np.full(EVENTS, pt)})
        response = matched(truth, noise, detector)["pt"] / pt
        assert abs(np.median(response) - 1.0) < 0.06
        widths.append(np.diff(np.quantile(response, (0.16, 0.84)))[0] / 2.0)
    assert widths[0] > widths[1] > widths[2]
    assert widths[0] < 0.3
    assert widths[2] < 0.08


def test_a_lone_lepton_is_measured_as_one(truth_of, noise, full):
    hadrons = truth_of(EVENTS, jets=1)
    muon = {"chHEF": 0.0, "neHEF": 0.0, "neEmEF": 0.01, "muEF": 0.99, "nCharged": 1, "nConstituents": 2}
    alone = truth_of(EVENTS, jets=1, jet={name: np.full(EVENTS, value) for name, value in muon.items()})
    lepton, jet = matched(alone, noise, full), matched(hadrons, noise, full)
    spread = [np.diff(np.quantile(made["pt"], (0.16, 0.84)))[0] for made in (lepton, jet)]
    assert spread[0] < 0.6 * spread[1]
    assert np.median(lepton["muEF"]) > 0.85
    assert np.median(lepton["nConstituents"]) < np.median(jet["nConstituents"])


def test_no_tracks_means_no_charged_energy_and_no_taggers(truth_of, noise, full):
    eta = np.full(EVENTS, 4.0)
    made = matched(truth_of(EVENTS, jets=1, jet={"eta": eta}), noise, full)
    without = made["chHEF"] == 0
    assert without.mean() > 0.99
    for name in ("btagDeepFlavB", "btagDeepFlavCvL", "btagDeepB", "btagDeepCvB"):
        assert (made[name][without] == -1.0).all()
    assert (made["btagCSVV2"][without] == -10.0).all()


def test_neighbours_raise_the_response(truth_of, noise, full):
    near = truth_of(EVENTS, jets=2, jet={"phi": np.tile([1.0, 1.45], EVENTS)})
    apart = truth_of(EVENTS, jets=2, jet={"phi": np.tile([1.0, -2.0], EVENTS)})
    medians = [np.median(matched(truth, noise, full)["pt"]) for truth in (near, apart)]
    assert medians[0] > 1.02 * medians[1]


@pytest.mark.parametrize(("low", "high"), [(5.0, 21.0), (21.0, 40.0)])
def test_pileup_adds_particles_and_unmatched_jets(truth_of, noise, full, low, high):
    truth = truth_of(EVENTS, jets=1)
    quiet, busy = (found(truth, noise, full, rho) for rho in (low, high))
    assert len(busy) > 1.2 * len(quiet)
    particles = [np.mean(made["nConstituents"][made["genJetIdx"] >= 0]) for made in (quiet, busy)]
    assert particles[1] > particles[0] + 2.0


def test_fast_is_narrower_and_tags_better(truth_of, noise, full):
    from flashsim.reference.detector.parameters import load_detector

    fast = load_detector("fast")
    random = np.random.default_rng(3)
    b = {"hadronFlavour": np.full(EVENTS, 5), "d0Second": random.exponential(0.02, EVENTS)}
    made = [
        (
            matched(truth_of(EVENTS, jets=1, jet=b), noise, recipe),
            matched(truth_of(EVENTS, jets=1), noise, recipe),
        )
        for recipe in (full, fast)
    ]
    cut = [np.quantile(light["btagDeepFlavB"], 0.99) for _, light in made]
    efficiency = [np.mean(tagged["btagDeepFlavB"] > c) for (tagged, _), c in zip(made, cut, strict=True)]
    assert efficiency[1] > efficiency[0]
    spread = [np.std(light["pt"]) for _, light in made]
    assert spread[1] < spread[0]
