"""What taggers know of jets."""

from __future__ import annotations

import numpy as np

from flashsim.reference.detector.jets import jets

EVENTS = 4000


def scores(truth_of, noise, recipe, **columns):
    given = {name: np.broadcast_to(np.asarray(value), EVENTS).copy() for name, value in columns.items()}
    truth = truth_of(EVENTS, jets=1, jet=given)
    made = jets(truth, noise, recipe.jets, np.full(EVENTS, 21.0))
    return made.select((made["genJetIdx"] >= 0) & (made["btagDeepFlavB"] >= 0))


def test_flavours_are_separated(truth_of, noise, detector):
    displaced = np.random.default_rng(1).exponential(0.02, EVENTS)
    b = scores(truth_of, noise, detector, hadronFlavour=5, partonFlavour=5, d0Second=displaced)
    c = scores(truth_of, noise, detector, hadronFlavour=4, partonFlavour=4, d0Second=displaced / 5.0)
    light = scores(truth_of, noise, detector)
    for tagger in ("btagDeepFlavB", "btagDeepB", "btagCSVV2"):
        medians = [np.median(made[tagger][made[tagger] >= 0]) for made in (b, c, light)]
        assert medians[0] > medians[1] > medians[2]
    assert np.median(c["btagDeepFlavCvL"]) > np.median(light["btagDeepFlavCvL"])
    assert np.median(c["btagDeepFlavCvB"]) > np.median(b["btagDeepFlavCvB"])


def test_displacement_is_what_is_tagged(truth_of, noise, full):
    flavour = {"hadronFlavour": 5, "partonFlavour": 5}
    medians = [
        np.median(scores(truth_of, noise, full, **flavour, d0Second=d, d0Third=d)["btagDeepFlavB"])
        for d in (0.0, 0.005, 0.05)
    ]
    assert medians[0] < medians[1] < medians[2]


def test_no_score_is_a_function_of_others(truth_of, noise, full):
    made = scores(truth_of, noise, full, hadronFlavour=4, partonFlavour=4, d0Second=0.01)
    b, against_light = made["btagDeepFlavB"], made["btagDeepFlavCvL"]
    implied = against_light * (1.0 - b) / (against_light * (1.0 - b) + b)
    difference = np.abs(made["btagDeepFlavCvB"] - implied)
    assert np.median(difference) > 0.003
    assert np.corrcoef(made["btagDeepFlavCvB"], implied)[0, 1] > 0.9


def test_gluons_have_lower_likelihood_of_a_quark(truth_of, noise, full):
    quark, gluon = (scores(truth_of, noise, full, partonFlavour=flavour) for flavour in (1, 21))
    valid = [made["qgl"][made["qgl"] >= 0] for made in (quark, gluon)]
    assert np.median(valid[0]) > np.median(valid[1])
    assert np.median(quark["btagDeepFlavQG"]) < np.median(gluon["btagDeepFlavQG"])
