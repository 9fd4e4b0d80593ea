from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from flashsim.declarations.objects import Target
from flashsim.flows import Flow
from flashsim.flows.maf import ConditionalMAF
from flashsim.models.object_model import ObjectModel
from flashsim.training.calibration import calibrated
from flashsim.training.rows import Tables
from flashsim.training.train import train
from flashsim.transforms.codec import TargetCodec


@pytest.fixture(scope="module")
def rippled():
    """Codec of two targets, an untrained flow that distorts them and mixes them, and its context."""
    rng = np.random.default_rng(1)
    columns = {"eta": rng.uniform(-3.0, 3.0, 4000), "pt": 15.0 + rng.exponential(10.0, 4000)}
    codec = TargetCodec.fit([Target(branch=name) for name in columns], columns, {})
    flow = ConditionalMAF(2, 1, layers=2, width=8, depth=1, bins=6, seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return (
        columns,
        codec,
        Flow.of("spline_maf", flow.architecture(), flow),
        rng.normal(size=(300, 1)).astype(np.float32),
    )


def knots(codec):
    return [transform.to_json() for transform in codec.transforms]


def decoded(codec, flow, context, seed):
    noise = np.random.default_rng(seed).normal(size=(20_000, 2))
    return codec.decode(flow.sampler().from_noise(noise, np.resize(context, (20_000, 1))), {})


def test_draws_get_the_distributions_of_the_training(rippled):
    columns, codec, flow, context = rippled
    mended = calibrated(codec, flow, context, draws=50_000, seed=1)
    before, after = (decoded(c, flow, context, 7) for c in (codec, mended))
    for name, values in columns.items():
        assert ks_2samp(before[name], values).statistic > 0.05
        assert ks_2samp(after[name], values).statistic < 0.015
    # Columns move one by one: the order of values, and with it how columns hang together, stays.
    for name in columns:
        assert np.array_equal(np.argsort(before[name]), np.argsort(after[name]))


def test_the_seed_decides(rippled):
    _, codec, flow, context = rippled
    one, again, other = (calibrated(codec, flow, context, draws=1000, seed=s) for s in (1, 1, 2))
    assert knots(one) == knots(again) != knots(other)


def test_recipes_ask_for_it(write_tables, toy_recipe, tmp_path):
    """Networks are the same with and without; only what the recipe names is calibrated."""
    tables = Tables(write_tables(tmp_path / "tables"))
    models = []
    for calibration in (0, 5000):
        recipe = toy_recipe()
        flow = recipe.unmatched.flow.model_copy(update={"calibration": calibration})
        unmatched = recipe.unmatched.model_copy(update={"flow": flow})
        path = tmp_path / f"{calibration}.safetensors"
        recipe = recipe.model_copy(update={"unmatched": unmatched})
        train(tables.folder, recipe, path, accelerator="cpu")
        models.append(ObjectModel.load(path))
    plain, mended = models
    assert knots(plain.targets) == knots(mended.targets)
    assert knots(plain.unmatched["event"].targets) != knots(mended.unmatched["event"].targets)
    for name, tensor in plain.unmatched["event"].flow.tensors.items():
        assert np.array_equal(tensor, mended.unmatched["event"].flow.tensors[name])
