from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.fidelity.encodings import Quantile, Smeared
from benchmarks.fidelity.observables import ByHand
from flashsim.declarations.objects import Target

TARGETS = [
    Target(branch="pt", relation="excess", threshold=15.0, width=10.0),
    Target(branch="phi", relation="angle"),
    Target(branch="dxy"),
    Target(branch="iso", range=(0.0, 1e9)),
    Target(branch="tag", range=(0.0, 1.0), special=[-10.0, -1.0]),
    Target(branch="level", values=[0.0, 4.0, 6.0, 7.0]),
]
BY_HAND = {
    "dxy": ByHand(kind="arctan", scale=150.0),
    "iso": ByHand(kind="log", offset=1e-5, zeros_below=-7.5),
}


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(1)
    gen = {"pt": rng.exponential(30.0, 2000) + 10.0, "phi": rng.uniform(-3.1, 3.1, 2000)}
    columns = {
        "pt": 15.0 + rng.exponential(20.0, 2000),
        "phi": (gen["phi"] + rng.normal(0.0, 0.1, 2000) + np.pi) % (2.0 * np.pi) - np.pi,
        "dxy": 0.01 * rng.standard_t(2, 2000),
        "iso": np.where(rng.random(2000) < 0.3, 0.0, 0.01 + rng.exponential(1.0, 2000)),
        "tag": np.where(rng.random(2000) < 0.1, rng.choice([-1.0, -10.0], 2000), rng.random(2000)),
        "level": rng.choice([0.0, 4.0, 6.0, 7.0], 2000),
    }
    return columns, gen


@pytest.fixture(params=["own", "flashsim"])
def encoding(request, made):
    columns, gen = made
    if request.param == "own":
        return Smeared.fit(TARGETS, columns, gen, BY_HAND)
    return Quantile.fit(TARGETS, columns, gen)


def test_what_is_smeared_comes_back(encoding, made):
    columns, gen = made
    low, spread = (torch.from_numpy(bounds) for bounds in encoding.bounds(columns, gen))
    decoded = encoding.decode(encoding.smear(low, spread).numpy(), gen)
    for name, column in columns.items():
        difference = decoded[name] - column
        # The quantile transform cuts the outermost part in a million off.
        assert np.quantile(np.abs(difference), 0.99) < 0.05, name
    for name in ("level", "tag"):
        special = (columns[name] < 0) | (name == "level")
        assert np.array_equal(decoded[name][special], columns[name][special])
    zeros = columns["iso"] == 0.0
    assert np.array_equal(decoded["iso"] == 0.0, zeros)


def test_scaled_columns_are_standard(made):
    columns, gen = made
    own = Smeared.fit(TARGETS, columns, gen, BY_HAND)
    low, spread = (torch.from_numpy(bounds) for bounds in own.bounds(columns, gen))
    encoded = own.smear(low, spread)
    assert encoded.mean(dim=0).numpy() == pytest.approx(0.0, abs=0.1)
    assert encoded.std(dim=0).numpy() == pytest.approx(1.0, abs=0.1)


def test_nothing_outside_of_training_is_made(encoding, made):
    columns, gen = made
    decoded = encoding.decode(np.full((2000, len(TARGETS)), 40.0, dtype=np.float32), gen)
    assert all(np.isfinite(column).all() for column in decoded.values())
    assert set(decoded["level"]) <= set(columns["level"])
    assert decoded["tag"].max() <= 1.0
