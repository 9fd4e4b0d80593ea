"""Closure of rates: as many objects as the probabilities of a model say, and no draw that knows another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, softmax

from flashsim.declarations.order import drawing_order
from flashsim.events.gen_chunk import gen_chunk
from flashsim.events.identity import event_keys
from flashsim.events.noise import EVENT_IDS, Stream
from flashsim.generation import matched, unmatched
from flashsim.generation.simulate import ObjectSimulator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import shipped_models
from flashsim.nanoaod.reading import NanoFile

FOLDS = 24
SIGMAS = 4.0
MOST = 30
"""More unmatched objects than a network tells apart."""

KINDS = [f"{origin} {name}" for origin in ("shipped", "made") for name in ("electrons", "jets", "muons")]


@pytest.fixture(scope="module")
def arrays(made_nanoaod):
    with NanoFile(made_nanoaod) as file:
        wanted = [name for name in file.branches if name.startswith(("Gen", "Pileup"))]
        return file.read([*wanted, *EVENT_IDS])


@pytest.fixture(scope="module")
def draw(arrays):
    """Simulate some folds with the models of a list, in their order; give what each gave."""
    events = event_keys(arrays)

    def drawn(models, seed=3, folds=FOLDS):
        simulated = {}
        declarations = [model.declaration for model in models]
        for model in (models[k] for k in drawing_order(declarations)):
            chunk = gen_chunk(model.declaration, arrays)
            made = ObjectSimulator(model, seed=seed).simulate(
                chunk, events, folds=range(folds), simulated=simulated
            )
            simulated[model.declaration.collection] = made.collection
        return simulated

    return drawn


def needed(model, models):
    """Give a model, and those of what must be drawn before."""
    found, names = [model], set(model.declaration.needs())
    while names:
        more = [m for m in models if m.declaration.collection in names and m not in found]
        found += more
        names = {name for m in more for name in m.declaration.needs()}
    return found


@pytest.fixture(scope="module", params=KINDS)
def rated(request, loaded_models, draw):
    """Simulate some folds with a model; give what was found and unmatched, and the probabilities."""
    origin, name = request.param.split()
    shipped = [ObjectModel.load(path) for path in shipped_models()] if origin == "shipped" else []
    models = shipped or loaded_models
    (model,) = (m for m in models if m.declaration.name == name)
    gen, found, numbers = {}, [], []

    def choose(drawing, rows, encoded):
        chosen = choose_truly(drawing, rows, encoded)
        if drawing.model is model:
            probability = expit(model.efficiency.logits(encoded))[:, 0]
            found.append((rows, np.isin(np.arange(len(rows)), chosen), probability))
            gen["objects"] = drawing.gen
        return chosen

    def place(drawing):
        rows, places = place_truly(drawing)
        if any(drawing.model is made for made in model.unmatched.values()):
            conditioning = drawing.model.conditioning.encode(drawing.objects.conditioning)
            shares = softmax(drawing.model.count.logits(conditioning), axis=1)
            numbers.append((np.bincount(rows, minlength=len(shares)), shares))
        return rows, places

    choose_truly, place_truly = matched._Drawing._chosen, unmatched._Drawing._places
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matched._Drawing, "_chosen", choose)
        patch.setattr(unmatched._Drawing, "_places", place)
        objects = draw(needed(model, models))[model.declaration.collection]
    rows, found, probability = (np.concatenate(parts) for parts in zip(*found, strict=True))
    gen = gen["objects"]
    # The same gen object in all folds.
    keys = np.stack((gen.event_rows // FOLDS, gen["index"].astype(np.int64)), axis=1)[rows]
    same = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    has_gen = objects[model.declaration.match] >= 0
    return SimpleNamespace(
        gen_pt=gen["pt"][rows],
        found=found,
        probability=probability,
        same=same,
        matched=np.count_nonzero(has_gen),
        unmatched=np.concatenate([found for found, _ in numbers]),
        shares=np.concatenate([np.pad(s, ((0, 0), (0, MOST - s.shape[1]))) for _, s in numbers]),
        left=np.count_nonzero(~has_gen),
    )


def assert_closes(found, expected, variance):
    assert variance > 0.0
    assert abs(found - expected) < SIGMAS * np.sqrt(variance)


def test_as_many_are_found_as_the_probabilities_say(rated):
    p = rated.probability
    # What the statistics can tell: a hundredth of the efficiency, and far more than a tenth.
    assert np.sqrt((p * (1.0 - p)).sum()) < 0.02 * p.sum()
    assert_closes(rated.found.sum(), p.sum(), (p * (1.0 - p)).sum())
    # Only what finds no place beside the others is left out.
    assert 0.99 * rated.found.sum() <= rated.matched <= rated.found.sum()


def test_as_many_are_found_in_every_bin_of_pt(rated):
    p = rated.probability
    edges = np.quantile(rated.gen_pt, [0.2, 0.4, 0.6, 0.8])
    bins = np.searchsorted(edges, rated.gen_pt)
    for number in range(len(edges) + 1):
        inside = bins == number
        assert_closes(rated.found[inside].sum(), p[inside].sum(), (p * (1.0 - p))[inside].sum())


def test_every_gen_object_is_found_as_often_as_its_probabilities_say(rated):
    """Sum over the gen objects of squared residuals: each has an efficiency of its own in each fold."""
    p = rated.probability
    pq = p * (1.0 - p)
    residual = np.bincount(rated.same, rated.found - p)
    variance = np.bincount(rated.same, pq)
    certain = variance < 1e-3 * FOLDS
    pulls = residual[~certain] / np.sqrt(variance[~certain])
    # Of a sum of draws of 0 or 1 with variance v the fourth moment is 3 v^2 + sum of p q (1 - 6 p q).
    excess = np.bincount(rated.same, pq * (1.0 - 6.0 * pq))[~certain] / variance[~certain] ** 2
    assert_closes((pulls**2).sum(), len(pulls), (2.0 + excess).sum())


def test_as_many_are_unmatched_as_the_network_says(rated):
    numbers = np.arange(rated.shares.shape[1])
    mean = rated.shares @ numbers
    variance = rated.shares @ numbers**2 - mean**2
    assert_closes(rated.unmatched.sum(), mean.sum(), variance.sum())
    # Only what finds no place beside the others is left out.
    assert 0.99 * rated.unmatched.sum() <= rated.left <= rated.unmatched.sum()


def test_events_have_each_number_of_unmatched_as_often_as_the_network_says(rated):
    assert rated.unmatched.max() < rated.shares.shape[1]
    for number, share in enumerate(rated.shares.T):
        if share.sum() > 25.0:
            variance = (share * (1.0 - share)).sum()
            assert_closes(np.count_nonzero(rated.unmatched == number), share.sum(), variance)


def test_every_draw_has_noise_of_its_own(loaded_models, draw, monkeypatch):
    """Of each collection, seed, fold and purpose: no number is drawn twice."""
    drawn = []
    truly = Stream._draw

    def spy(self, events, indices, columns, *, normal):
        key = np.full(len(events), self._key())
        drawn.append(np.stack((key, events, np.asarray(indices).astype(np.uint64)), axis=1))
        return truly(self, events, indices, columns, normal=normal)

    monkeypatch.setattr(Stream, "_draw", spy)
    models = [model for model in loaded_models if model.declaration.per == "object"]
    for seed in (1, 2):
        draw(loaded_models, seed=seed, folds=2)
    numbers = np.concatenate(drawn)
    # Whether an object is found, as what, how many are unmatched, and which: in two folds and of two seeds.
    assert len(np.unique(numbers[:, 0])) >= 4 * len(models) * 2 * 2
    assert len(np.unique(numbers, axis=0)) == len(numbers)
