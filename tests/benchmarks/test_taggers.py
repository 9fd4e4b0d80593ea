"""Training of taggers: on made-up objects whose classes are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.taggers.anchors import PROBABILITIES, groups
from benchmarks.taggers.definitions import Definition, definitions
from benchmarks.taggers.fit import train_tagger
from benchmarks.taggers.judge import area_under_curve

PARTONS = {"b": 5, "c": 4, "ud": 1}


def toy(number=6000, seed=1):
    """Jets of three flavours, which differ in two of three features."""
    rng = np.random.default_rng(seed)
    label = rng.choice(list(PARTONS), number)
    hadron = np.array([{"b": 5, "c": 4, "ud": 0}[one] for one in label])
    return {
        "label": label,
        "pt": rng.exponential(30.0, number) + 20.0,
        "eta": rng.uniform(-2.0, 2.0, number),
        "isMatched": np.ones(number, dtype=bool),
        "chEmEF": np.zeros(number),
        "muEF": np.zeros(number),
        "hadronFlavour": hadron,
        "partonFlavour": np.array([PARTONS[one] for one in label]),
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
            "form": {"ratio": "b / c l", "link": "form"},
        },
    }
    return Definition(**(content | changed))


def anchors_of(scores, table):
    """Quantiles of scores by group, as CMS's files would give them."""
    masks = groups("Jet", table)
    return {
        name: {
            group: [int(mask.sum()), *np.quantile(values[mask], PROBABILITIES)]
            for group, mask in masks.items()
            if mask.sum() > 100
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


def test_scores_get_the_form_of_those_measured(trained):
    table = toy()
    odds = {name: trained.scores[name].logarithm(trained.logits(table)) for name in ("B", "CvL")}
    # Measured is the same network, trained on more b jets, and less sure of itself; and a bounded score.
    wanted = {
        "B": 1.0 / (1.0 + np.exp(-(0.6 * odds["B"] + 1.0))),
        "CvL": 1.0 / (1.0 + np.exp(-0.6 * odds["CvL"])),
        "form": np.tanh(0.4 * odds["B"] - 1.0),
    }
    found = train_tagger(definition(), table, anchors_of(wanted, table), epochs=8, seed=1).columns(table)
    for name, tolerance in (("B", 0.08), ("CvL", 0.08), ("form", 0.03)):
        for flavour in (5, 4, 0):
            chosen = table["hadronFlavour"] == flavour
            ours, real = (np.quantile(v[name][chosen], (0.16, 0.5, 0.84)) for v in (found, wanted))
            assert ours == pytest.approx(real, abs=tolerance), (name, flavour)


def test_a_working_point_passes_as_many_of_a_group_as_measured():
    table = toy()
    scores = {"form": {"ratio": "b / c l", "link": "form", "points": {"wp": "b"}}}
    tanh = np.tanh(table["x"])
    anchors = anchors_of({"form": tanh}, table) | {"wp": {"share": [1000, 0.7]}}
    tagger = train_tagger(definition(scores=scores), table, anchors, epochs=4, seed=1)
    passed = tagger.columns(table)["wp"]
    assert passed[table["label"] == "b"].mean() == pytest.approx(0.7, abs=0.02)


def test_a_regression_gives_median_and_half_width():
    rng = np.random.default_rng(3)
    table = toy(20_000)
    table["goal"] = 0.3 * table["x"] + np.exp(0.5 * table["y"] - 1.0) * rng.normal(size=20_000)
    table["goal"][:100] = np.nan
    regression = definition(
        classes={}, quantities=["goal"], width=32, depth=2,
        scores={"corr": {"ratio": "goal", "link": "exp"}, "res": {"ratio": "goalWidth", "link": "exp"}},
    )  # fmt: skip
    found = train_tagger(regression, table, {}, epochs=15, seed=1).columns(table)
    middle = np.abs(table["x"]) + np.abs(table["y"]) < 2.0
    off = np.log(found["corr"]) - 0.3 * table["x"]
    assert np.abs(off[middle]).mean() < 0.05
    assert (found["res"] / np.exp(0.5 * table["y"] - 1.0))[middle] == pytest.approx(1.0, abs=0.5)


def test_declared_networks_have_scores_of_their_own_outputs():
    for name, network in definitions().items():
        assert network.names, name
        for score in network.scores.values():
            made = score.score()
            assert set(made.over) | set(made.under) <= set(network.outputs), name
            assert not set(made.over) & set(made.under), name


def test_area_under_the_curve_counts_ties_by_half():
    assert area_under_curve(np.array([1.0, 1.0]), np.array([1.0, 0.0])) == 0.75
    assert area_under_curve(np.array([2.0]), np.array([1.0, 0.0])) == 1.0
