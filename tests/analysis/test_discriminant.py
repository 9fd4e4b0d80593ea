"""The discriminant on events whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flashsim.analysis import discriminant
from flashsim.analysis.discriminant import train_discriminant
from flashsim.errors import TableError


@pytest.fixture(scope="module")
def recipe(selection):
    changes = {"inputs": ["r_pt", "mjj", "year"], "hidden": [16], "folds": 3, "min_events": 50}
    return scheduled(
        selection.discriminant.model_copy(update=changes), learning_rate=0.02, batch=512, min_steps=4
    )


def scheduled(recipe, **changes):
    return recipe.model_copy(update={"schedule": recipe.schedule.model_copy(update=changes)})


def events(rng, number, centre, start=0):
    """Events of unit normal width around a centre: the likelihood ratio is known."""
    return {
        "event": np.arange(start, start + number).astype(np.uint64),
        "weight": np.full(number, 0.1),
        "r_pt": rng.normal(centre, 1.0, number),
        "mjj": rng.normal(800.0, 200.0, number),
        "year": np.full(number, 2018.0),
        "mass": rng.normal(125.0, 5.0, number),
        "mass_error": np.full(number, 2.0),
        "mass_error_relative": rng.uniform(0.01, 0.02, number),
    }


@pytest.fixture(scope="module")
def trained(recipe):
    rng = np.random.default_rng(1)
    return train_discriminant([events(rng, 1500, 1.0)], [events(rng, 3000, -1.0, 5000)], recipe)


def logits(scores):
    return np.log(np.expm1(2.0 * scores) / 2.0)


def test_learns_the_likelihood_ratio(trained):
    """Log-likelihood ratio of two unit normals at -1 and 1: twice the value, when classes count the same."""
    table = events(np.random.default_rng(2), 2000, 0.0)
    found = logits(trained.score(table))
    assert np.corrcoef(found, table["r_pt"])[0, 1] > 0.97
    inside = np.abs(table["r_pt"]) < 1.0
    assert np.polyfit(table["r_pt"][inside], found[inside], 1) == pytest.approx([2.0, 0.0], abs=0.4)


def test_scores_are_the_area_tangent_of_the_output(trained):
    table = events(np.random.default_rng(3), 100, 1.0)
    scores = trained.score(table)
    assert (scores > 0).all()
    output = 1.0 / (1.0 + np.exp(-logits(scores)))
    assert np.arctanh(output) == pytest.approx(scores, rel=1e-5)


def test_a_network_sees_all_gen_events_but_those_that_it_scores(recipe, monkeypatch):
    seen, fit = [], discriminant._fit

    def spy(train, validation, *options):
        seen.append([part[0][:, 0].numpy() for part in (train, validation)])
        return fit(train, validation, *options)

    monkeypatch.setattr(discriminant, "_fit", spy)
    rng = np.random.default_rng(10)
    tables = [events(rng, 150, 0.0), events(rng, 150, 0.0, 150)]
    for table in tables:
        table["r_pt"] = table["event"].astype(np.float64)
    short = scheduled(recipe, epochs=1)
    found = train_discriminant(tables[:1], tables[1:], short)
    every = np.arange(300)
    for k, parts in enumerate(seen):
        train, validation = (np.rint(part * found.scale[0] + found.mean[0]).astype(int) for part in parts)
        assert sorted([*train, *validation]) == every[every % recipe.folds != k].tolist()
        assert set(validation % recipe.folds) == {(k + 1) % recipe.folds}
        own = {name: column[tables[0]["event"] % recipe.folds == k] for name, column in tables[0].items()}
        inputs = (np.stack([own[name] for name in recipe.inputs], axis=1) - found.mean) / found.scale
        with torch.inference_mode():
            expected = found.networks[k](torch.as_tensor(inputs, dtype=torch.float32)).numpy()
        assert logits(found.score(own)) == pytest.approx(expected, abs=1e-5)


def test_simulations_of_a_gen_event_have_one_network(trained):
    table = events(np.random.default_rng(5), 4, 0.0)
    table = {name: np.repeat(values[:1], 4) for name, values in table.items()}
    assert len(set(trained.score({**table, "event": np.full(4, 8, dtype=np.uint64)}))) == 1
    assert len(set(trained.score({**table, "event": np.arange(4).astype(np.uint64)}))) == 3


def test_the_frozen_mass_is_not_seen(recipe):
    rng = np.random.default_rng(6)
    inputs = recipe.model_copy(update={"inputs": ["mass", "mass_error", "r_pt"]})
    inputs = scheduled(inputs, epochs=2)
    found = train_discriminant([events(rng, 200, 1.0)], [events(rng, 200, -1.0, 900)], inputs)
    table = events(rng, 50, 0.0)
    moved = {**table, "mass": table["mass"] - 35.0, "mass_error": table["mass_error"] * 0.7}
    assert np.array_equal(found.score(moved), found.score(table))
    free = inputs.model_copy(update={"frozen_mass": None})
    found = train_discriminant([events(rng, 200, 1.0)], [events(rng, 200, -1.0, 900)], free)
    assert not np.array_equal(found.score(moved), found.score(table))


def test_what_is_not_finite_has_no_score(trained):
    table = events(np.random.default_rng(7), 5, 0.0)
    table["r_pt"][2] = np.nan
    table["mjj"][3] = np.inf
    assert np.isfinite(trained.score(table)).tolist() == [True, True, False, False, True]


def test_too_few_events(recipe):
    rng = np.random.default_rng(8)
    with pytest.raises(TableError, match="needs 50 events of background in the reference, found 20"):
        train_discriminant([events(rng, 100, 1.0)], [events(rng, 20, -1.0)], recipe)


def test_seeds(recipe):
    rng = np.random.default_rng(9)
    short = scheduled(recipe, epochs=1)
    sets = [events(rng, 100, 1.0)], [events(rng, 100, -1.0, 500)]
    first, second, third = (train_discriminant(*sets, short, seed=seed) for seed in (1, 1, 5))
    assert np.array_equal(first.score(sets[0][0]), second.score(sets[0][0]))
    assert not np.array_equal(first.score(sets[0][0]), third.score(sets[0][0]))
