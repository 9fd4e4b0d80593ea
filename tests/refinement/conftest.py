from __future__ import annotations

import numpy as np
import pytest
import torch

from flashsim.declarations.refinement import NetworkRecipe, PairSelection, RefinerRecipe, load_refiner
from flashsim.declarations.schedule import Schedule
from flashsim.refinement.pairs import PairRows


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Networks this small only lose time to threads that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def change():
    """Give the function that changes some keys of a recipe, and checks it again."""

    def changed(recipe, **keys):
        return RefinerRecipe.model_validate(recipe.model_dump() | keys)

    return changed


@pytest.fixture(scope="session")
def small(change):
    """Give the function that loads a shipped recipe with a network and a schedule for tests."""

    def make(name, **keys):
        quick = {
            "network": NetworkRecipe(width=16, blocks=1).model_dump(),
            "kernel": {},
            "pairs": PairSelection(distance=0.4, isolation=0.3).model_dump(),
            "schedule": Schedule(epochs=3, batch=64, min_steps=2, learning_rate=1e-2).model_dump(),
            "validation_batch": 64,
            "min_rows": 4,
        }
        return change(load_refiner(name), **(quick | keys))

    return make


def make_rows(recipe, rows, seed=1):
    """Make pairs with values that the recipe's branches can have; fast is narrower and shifted."""
    rng = np.random.default_rng(seed)
    gen = np.empty((rows, len(recipe.gen_fields)))
    for k, field in enumerate(recipe.gen_fields):
        condition = next((c for c in recipe.conditions if c.field == field), None)
        if condition is not None and condition.categories:
            gen[:, k] = rng.choice(condition.categories, rows)
        else:
            gen[:, k] = rng.normal(0.0, 1.5, rows) if field == "eta" else 5.0 + rng.exponential(40.0, rows)

    def side(shift, width):
        columns = []
        none = rng.random(rows) < 0.1
        for variable in recipe.variables:
            latent = rng.normal(shift, width, rows)
            match variable.transform:
                case "excess":
                    values = np.maximum(gen[:, 0] * np.exp(0.2 * latent), variable.threshold)
                case "logit":
                    values = 1.0 / (1.0 + np.exp(-latent))
                case "log":
                    values = variable.width * np.exp(latent)
                case _:
                    values = variable.width * np.sinh(latent)
            if variable.atom is not None:
                values = np.where(rng.random(rows) < 0.2, variable.atom, values)
            if variable.undefined is not None:
                values = np.where(none, variable.undefined, values)
            columns.append(values)
        return np.stack(columns, 1).astype(np.float32)

    event = np.arange(rows, dtype=np.uint64)
    return PairRows(gen.astype(np.float32), side(0.4, 0.8), side(0.0, 1.0), event)


@pytest.fixture(scope="session")
def pair_rows():
    """Give the function that makes pairs for a recipe."""
    return make_rows
