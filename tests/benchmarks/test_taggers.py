"""Training of taggers: on made-up objects whose classes are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.taggers.anchors import PROBABILITIES, add_pileup_scores, logarithms
from benchmarks.taggers.definitions import Definition, definitions
from benchmarks.taggers.fit import train_tagger
from benchmarks.taggers.judge import area_under_curve
from flashsim.reference.taggers.scores import pileup_id
from flashsim.reference.taggers.tagger import Score

PARTONS = {"b": 5, "c": 4, "ud": 1}


def toy(number=6000, seed=1):
    """Jets of three flavours, which differ in two of three features."""
    rng = np.random.default_rng(seed)
    label = rng.choice(list(PARTONS), number)
    return {
        "label": label,
        "pt": rng.exponential(30.0, number) + 20.0,
        "eta": rng.uniform(-2.0, 2.0, number),
        "group": np.char.add(label, " jets"),
        "x": rng.normal(size=number) + 2.0 * (label == "b"),
        "y": rng.normal(size=number) + 1.5 * (label == "c"),
        "noise": rng.normal(size=number),
        "size": rng.normal(size=number),
    }


def definition(**changed):
    content = {
        "collections": ["Jet"],
        "eras": ["run2"],
        "inputs": [["x", "y", "noise", "log pt"]],
        "classes": {"b": ["b"], "c": ["c"], "l": ["ud"]},
        "width": 16,
        "depth": 1,
        "scores": {
            "B": {"ratio": "b / c l"},
            "CvL": {"ratio": "c / l"},
            "own": {"ratio": "b / c l", "range": [-1, 1]},
        },
    }
    return Definition(**(content | changed))


def anchors_of(scores, table):
    """Quantiles of scores by group, as CMS's files would give them."""
    return {
        name: {
            group: [1000, *np.quantile(values[table["group"] == group], PROBABILITIES)]
            for group in np.unique(table["group"])
        }
        for name, values in scores.items()
    }


@pytest.fixture(scope="module")
def trained():
    return train_tagger(definition(), toy(), {}, epochs=8, seed=1)


def test_a_trained_tagger_tells_classes_apart_as_well_as_can_be(trained):
    table = toy(seed=2)
    score, label = trained.columns(table)["B"], table["label"]
    best = table["x"] - 1.5 * table["y"] * 0.5  # near the optimum of b against all
    for other in ("c", "ud"):
        found = area_under_curve(score[label == "b"], score[label == other])
        assert found > area_under_curve(best[label == "b"], best[label == other]) - 0.02


def test_training_is_repeatable(trained):
    again = train_tagger(definition(), toy(), {}, epochs=8, seed=1)
    assert (again.columns(toy(100))["B"] == trained.columns(toy(100))["B"]).all()


def test_scores_are_distributed_as_those_measured(trained):
    table = toy()
    odds = {name: trained.scores[name].logarithm(trained.logits(table)) for name in ("B", "CvL")}
    # Measured is the same network, trained on more b jets, and less sure of itself; and a bounded score.
    wanted = {
        "B": 1.0 / (1.0 + np.exp(-(0.6 * odds["B"] + 1.0))),
        "CvL": 1.0 / (1.0 + np.exp(-0.6 * odds["CvL"])),
        "own": np.tanh(0.4 * odds["B"] - 1.0),
    }
    fresh = toy(seed=2)
    tagger = train_tagger(definition(), table, anchors_of(wanted, table), epochs=8, seed=1)
    found = tagger.columns(fresh)
    for name in wanted:
        for group in np.unique(table["group"]):
            ours, real = (
                np.quantile(scores[name][of["group"] == group], (0.16, 0.5, 0.84))
                for scores, of in ((found, fresh), (wanted, table))
            )
            assert ours == pytest.approx(real, abs=0.08), (name, group)
    score, label = found["B"], fresh["label"]
    before = trained.columns(fresh)["B"]
    for other in ("c", "ud"):
        areas = [area_under_curve(s[label == "b"], s[label == other]) for s in (before, score)]
        assert areas[1] > areas[0] - 0.01


def test_a_working_point_passes_as_many_of_a_group_as_measured():
    table = toy()
    scores = {"own": {"ratio": "b / c l", "range": [-1, 1], "points": {"wp": "b jets"}}}
    anchors = anchors_of({"own": np.tanh(table["x"])}, table) | {"wp": {"b jets": [1000, 0.7]}}
    tagger = train_tagger(definition(scores=scores), table, anchors, epochs=4, seed=1)
    passed = tagger.columns(table)["wp"]
    assert passed[table["label"] == "b"].mean() == pytest.approx(0.7, abs=0.02)


def test_a_regression_gives_median_and_half_width():
    rng = np.random.default_rng(3)
    table = toy(20_000)
    table["goal"] = 0.3 * table["x"] + np.exp(0.5 * table["y"] - 1.0) * rng.normal(size=20_000)
    table["goal"][:100] = np.nan
    regression = definition(
        classes={}, quantities={"q": "goal"}, width=32, depth=2,
        scores={"corr": {"ratio": "q", "link": "exp"}, "res": {"ratio": "qWidth", "link": "exp"}},
    )  # fmt: skip
    found = train_tagger(regression, table, {}, epochs=15, seed=1).columns(table)
    middle = np.abs(table["x"]) + np.abs(table["y"]) < 2.0
    off = np.log(found["corr"]) - 0.3 * table["x"]
    assert np.abs(off[middle]).mean() < 0.05
    assert (found["res"] / np.exp(0.5 * table["y"] - 1.0))[middle] == pytest.approx(1.0, abs=0.5)


@pytest.mark.parametrize("score", [Score(("b",), link="exp"), Score(("b",), low=-1.0), Score(("b",), ("c",))])
def test_stored_values_give_the_ratio_back(score):
    logits = {"b": np.linspace(-9.0, 5.0, 40), "c": np.linspace(0.0, 3.0, 40)}
    found = logarithms(score, score.stored(logits, {}))
    assert found == pytest.approx(score.logarithm(logits), rel=1e-4)


def test_jets_that_have_but_bits_get_scores_of_the_same_bits():
    rng = np.random.default_rng(4)

    def jets(number):
        place = {"pt": rng.uniform(15.0, 80.0, number), "eta": rng.uniform(-4.0, 4.0, number)}
        score = rng.uniform(-1.0, 1.0, number)
        return place | {"puIdDisc": score, "puId": pileup_id(score, place["pt"], place["eta"])}

    known, other = jets(20_000), jets(500)
    hidden = other.pop("puIdDisc")
    add_pileup_scores([known, other])
    assert (pileup_id(other["puIdDisc"], other["pt"], other["eta"]) == other["puId"]).all()
    assert np.mean(other["puIdDisc"]) == pytest.approx(np.mean(hidden), abs=0.05)


def test_declared_networks_have_scores_of_their_own_outputs():
    for name, network in definitions().items():
        assert network.names([]), name
        for field, score in network.scores.items():
            made = score.score(field)
            assert set(made.over) | set(made.under) <= set(network.outputs), name
            over, under = score.sides
            assert not set(over) & set(under), name
            assert not score.range or set(over) | set(under) <= set(network.classes), name


def test_area_under_the_curve_counts_ties_by_half():
    assert area_under_curve(np.array([1.0, 1.0]), np.array([1.0, 0.0])) == 0.75
    assert area_under_curve(np.array([2.0]), np.array([1.0, 0.0])) == 1.0
