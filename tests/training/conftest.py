"""Small synthetic tables, and a recipe that is quick."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from flashsim.declarations.objects import ObjectDeclaration
from flashsim.declarations.training import TrainingRecipe
from flashsim.learning.tables import SPLITS, TRAINING_TABLES, TableDescription, TableWriter

DECLARATION = {
    "schema_version": 1,
    "name": "toys",
    "collection": "Jet",
    "gen": "GenJet",
    "match": "genJetIdx",
    "gen_view": {
        "schema_version": 1,
        "collections": {"GenJet": {"branch": "GenJet", "fields": ["pt", "eta", "phi", "index"]}},
    },
    "conditioning": [
        {"kind": "field", "name": "pt", "field": "pt", "scale": "log"},
        {"kind": "field", "name": "eta", "field": "eta"},
    ],
    "targets": [
        {"branch": "pt", "relation": "excess", "threshold": 15.0, "width": 10.0},
        {"branch": "eta", "relation": "difference"},
        {"branch": "phi", "relation": "angle"},
        {"branch": "id", "values": [0, 2, 6]},
    ],
    "unmatched": [
        {
            "name": "event",
            "source": "event",
            "conditioning": [{"kind": "event", "name": "nPU", "branch": "Pileup_nPU"}],
            "max_count": 2,
        }
    ],
}

RECIPE = {
    "schema_version": 1,
    "object": "toys",
    "min_rows": 20,
    "efficiency": {"width": 8, "depth": 1, "dropout": 0.1, "schedule": {"epochs": 2, "batch": 64}},
    "flow": {
        "layers": 1,
        "width": 8,
        "depth": 1,
        "bins": 4,
        "dropout": 0.1,
        "schedule": {"epochs": 2, "batch": 64},
    },
    "unmatched": {
        "count": {"width": 4, "depth": 1, "schedule": {"epochs": 2, "batch": 64}},
        "flow": {"layers": 1, "width": 8, "depth": 1, "bins": 4, "schedule": {"epochs": 2, "batch": 64}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Networks this small only lose time to threads that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def toy_recipe():
    """Give the function that makes a quick recipe, with changes at dotted keys."""

    def make(**changes):
        content = {key: {**value} if isinstance(value, dict) else value for key, value in RECIPE.items()}
        for key, value in changes.items():
            network, _, rest = key.partition("__")
            if rest:
                content[network]["schedule"] = {**content[network]["schedule"], rest: value}
            else:
                content[network] = value
        return TrainingRecipe.model_validate(content)

    return make


@pytest.fixture(scope="session")
def write_tables():
    """Give the function that writes synthetic tables."""
    return write_toy_tables


def write_toy_tables(folder, *, objects=600, unmatched=200, validation=0.25, seed=1, spoil=None, name="toys"):
    """Write tables of objects that are found with a probability rising from 0.2 to 0.9 with pT.

    `spoil` may change the columns of the objects before they are written.
    """
    rng = np.random.default_rng(seed)
    declaration = ObjectDeclaration.model_validate(DECLARATION | {"name": name})
    pt, eta, phi = (
        rng.exponential(30.0, objects) + 5.0,
        rng.normal(0, 1.5, objects),
        rng.uniform(-3, 3, objects),
    )
    found = rng.random(objects) < np.clip(pt / 60.0, 0.2, 0.9)
    columns = {
        "reconstructed": found,
        "conditioning.pt": pt,
        "conditioning.eta": eta,
        **{f"gen.{field}": values for field, values in {"pt": pt, "eta": eta, "phi": phi}.items()},
        "target.pt": np.maximum(pt * rng.normal(1.0, 0.1, objects), 15.0),
        "target.eta": eta + rng.normal(0.0, 0.02, objects),
        "target.phi": phi + rng.normal(0.0, 0.02, objects),
        "target.id": rng.choice([0.0, 2.0, 6.0], objects, p=[0.1, 0.2, 0.7]),
    }
    columns |= {key: np.where(found, c, np.nan) for key, c in columns.items() if key.startswith("target.")}
    if spoil is not None:
        spoil(columns)
    others = {
        "conditioning.nPU": rng.integers(10, 60, unmatched).astype(float),
        "target.pt": 15.0 + rng.exponential(5.0, unmatched),
        "target.eta": rng.normal(0.0, 2.0, unmatched),
        "target.phi": rng.uniform(-3.0, 3.0, unmatched),
        "target.id": rng.choice([0.0, 2.0], unmatched),
    }
    events = {"number": rng.poisson(0.5, 400), "conditioning.nPU": rng.integers(10, 60, 400).astype(float)}
    with TableWriter(TRAINING_TABLES, folder) as writer:
        for kind, table in (("objects", columns), ("unmatched/event", others), ("sources/event", events)):
            rows = len(next(iter(table.values())))
            split = (rng.random(rows) < validation).astype(np.int64)
            writer.extend(kind, split, {"event": np.arange(rows), **table})
        counts = {split: writer.rows["objects", split] for split in SPLITS}
        writer.describe(
            TableDescription(
                schema_version=1,
                declaration=declaration,
                nanoaod_version="v9",
                files=["toy.root"],
                events={split: writer.rows["sources/event", split] for split in SPLITS},
                gen_objects=counts,
                reconstructed=counts,
                unmatched={"event": {split: writer.rows["unmatched/event", split] for split in SPLITS}},
                sources={"event": {split: writer.rows["sources/event", split] for split in SPLITS}},
                sourceless=dict.fromkeys(SPLITS, 0),
                non_finite={},
            )
        )
    return folder
