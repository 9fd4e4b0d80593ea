"""What the benchmark of refinement counts as near to the full simulation."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.refinement.compared import compared
from benchmarks.refinement.figures import write_figures
from benchmarks.refinement.goals import goals
from benchmarks.refinement.judge import judge
from benchmarks.refinement.page import render
from flashsim.declarations.refinement import load_refiner
from flashsim.refinement.pairs import PairRows

RECIPE = load_refiner("jets")
LABELS = {"all": "all jets", "0": "light jets", "4": "c jets", "5": "b jets"}


def draws(shift, size=900):
    """Make pairs of two draws of both simulations, the fast one's logits shifted; a tenth has no tracks."""
    made = []
    for seed in (1, 2):
        rng = np.random.default_rng(7)
        flavour = rng.choice([0.0, 4.0, 5.0], size)
        gen = np.stack((rng.exponential(50.0, size) + 15.0, rng.normal(0.0, 1.5, size), flavour), 1)
        without = rng.random(size) < 0.1
        rng = np.random.default_rng(seed)

        def side(shift, rng=rng, flavour=flavour, gen=gen, without=without):
            logits = 0.8 * flavour[:, None] - 2.0 + shift + rng.normal(0.0, 1.0, (size, 4))
            scores = np.where(without[:, None], -1.0, 1.0 / (1.0 + np.exp(-logits)))
            pt = gen[:, 0] * (1.0 + 0.1 * shift + 0.1 * rng.normal(0.0, 1.0, size))
            return np.column_stack((pt, scores)).astype(np.float32)

        event = np.arange(size, dtype=np.uint64) // 2
        made.append(PairRows(gen.astype(np.float32), side(shift), side(0.0), event))
    return [[rows] for rows in made]


@pytest.fixture(scope="module")
def measured():
    found = judge(compared(RECIPE, draws(0.8), draws(0.0)))
    found |= {"name": "jets", "labels": LABELS}
    history = {"epoch": [0, 1], "train_mmd": [0.2, 0.1], "validation_mmd": [0.2, 0.0]}
    numbers = {"parameters": 9, "pairs": {"train": 8}, "epochs": 2, "best_epoch": 1, "seconds": 3.0}
    return found | {"training": numbers | {"history": history}, "goals": goals("jets", found)}


def test_what_is_drawn_like_the_full_simulation_is_at_the_floor(measured):
    rows = measured["distances"]
    assert {(row["variable"], row["group"]) for row in rows} == {
        (branch, group) for branch in RECIPE.branches for group in LABELS
    }
    assert all(row["refined"] < row["floor"] * 3.0 for row in rows)
    discriminators = [row for row in rows if row["variable"] != "pt"]
    assert all(row["factor"] > 2.0 for row in discriminators)
    assert measured["undefined"]["fast"] == measured["undefined"]["full"] == pytest.approx(0.1, abs=0.03)


def test_a_classifier_tells_what_is_shifted_and_nothing_else(measured):
    tests = measured["classifier"]
    assert tests["refined"]["auc"] < 0.55
    assert tests["fast"]["auc"] > 0.65


def test_goals_are_those_that_were_measured(measured):
    by_goal = {goal["goal"]: goal for goal in measured["goals"]}
    assert len(by_goal) == 4 + 3
    assert by_goal["a classifier's AUC against full is at most 0.55"]["passed"]
    unrefined = judge(compared(RECIPE, draws(0.8), draws(0.8))) | {"labels": LABELS}
    assert not any(goal["passed"] for goal in goals("jets", unrefined) if "distances" in goal["goal"])
    assert all(row["factor"] == pytest.approx(1.0) for row in unrefined["distances"])


def test_pairs_of_other_gen_objects_are_refused():
    with pytest.raises(ValueError, match="expected the 1800 gen objects"):
        compared(RECIPE, draws(0.0), draws(0.0, size=800))


def test_the_page_shows_what_was_measured(measured, tmp_path):
    files = write_figures("jets", measured, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(files.values())
    found = {"objects": {"jets": measured | {"command": "made", "machine": "here", "date": "today"}}}
    text = render(found, {"jets": files})
    assert text.count("| c jets |") == len(RECIPE.branches)
    assert all(f"]({file})" in text for file in files.values())
