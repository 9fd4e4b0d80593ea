"""Closure of rates: as many objects as the probabilities of a model say, and no draw that knows another."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, softmax

from flashsim.events.conditioning import conditioning_columns
from flashsim.events.gen_chunk import gen_chunk
from flashsim.events.noise import EVENT_IDS, Stream, hash_events
from flashsim.generation.simulate import ObjectSimulator
from flashsim.generation.unmatched import _Drawing
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
def chunk_of(arrays):
    """Give gen-level content for a model, and the hashes of its events."""
    events = hash_events(arrays)
    return lambda model: (gen_chunk(model.declaration, arrays), events)


@pytest.fixture(scope="module", params=KINDS)
def rated(request, loaded_models, chunk_of):
    """Simulate some folds with a model; give what was found and unmatched, and the probabilities."""
    origin, name = request.param.split()
    if origin == "shipped":
        (model,) = (ObjectModel.load(path) for path in shipped_models() if path.stem == name)
    else:
        (model,) = (m for m in loaded_models if m.declaration.name == name)
    declaration = model.declaration
    chunk, events = chunk_of(model)
    numbers = []

    def spy(drawing):
        rows, places = draw(drawing)
        conditioning = drawing.model.conditioning.encode(drawing.objects.conditioning)
        shares = softmax(drawing.model.count.logits(conditioning), axis=1)
        numbers.append((np.bincount(rows, minlength=len(shares)), shares))
        return rows, places

    draw = _Drawing._places
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Drawing, "_places", spy)
        objects = ObjectSimulator(model, seed=3).simulate(chunk, events, folds=range(FOLDS)).collection
    gen = chunk.collections[declaration.gen]
    columns = conditioning_columns(declaration.conditioning, chunk, declaration.gen)
    logits = model.efficiency.logits(model.conditioning.encode(columns))
    rows = {key: k for k, key in enumerate(zip(gen.event_rows, gen["index"], strict=True))}
    matched = objects[declaration.match] >= 0
    keys = zip(objects.event_rows[matched] // FOLDS, objects[declaration.match][matched], strict=True)
    return SimpleNamespace(
        gen_pt=gen["pt"],
        found=np.bincount([rows[event, int(index)] for event, index in keys], minlength=len(gen)),
        probability=expit(logits)[:, 0],
        unmatched=np.concatenate([found for found, _ in numbers]),
        shares=np.concatenate([np.pad(s, ((0, 0), (0, MOST - s.shape[1]))) for _, s in numbers]),
        left=np.count_nonzero(~matched),
    )


def assert_closes(found, expected, variance):
    assert variance > 0.0
    assert abs(found - expected) < SIGMAS * np.sqrt(variance)


def test_as_many_are_found_as_the_probabilities_say(rated):
    p = rated.probability
    # What the statistics can tell: a hundredth of the efficiency, and far more than a tenth.
    assert np.sqrt(FOLDS * (p * (1.0 - p)).sum()) < 0.02 * FOLDS * p.sum()
    assert_closes(rated.found.sum(), FOLDS * p.sum(), FOLDS * (p * (1.0 - p)).sum())


def test_as_many_are_found_in_every_bin_of_pt(rated):
    p = rated.probability
    edges = np.quantile(rated.gen_pt, [0.2, 0.4, 0.6, 0.8])
    bins = np.searchsorted(edges, rated.gen_pt)
    for number in range(len(edges) + 1):
        inside = bins == number
        variance = FOLDS * (p * (1.0 - p))[inside].sum()
        assert_closes(rated.found[inside].sum(), FOLDS * p[inside].sum(), variance)


def test_every_gen_object_is_found_as_often_as_its_probability_says(rated):
    """Sum over the gen objects of squared residuals: each has an efficiency of its own."""
    p = rated.probability
    certain = p * (1.0 - p) < 1e-3
    pulls = (rated.found - FOLDS * p)[~certain] / np.sqrt(FOLDS * (p * (1.0 - p))[~certain])
    # Of a binomial number the fourth moment of the pull is 3 + (1 - 6 p q) / (n p q).
    pq = (p * (1.0 - p))[~certain]
    variance = (2.0 + (1.0 - 6.0 * pq) / (FOLDS * pq)).sum()
    assert_closes((pulls**2).sum(), len(pulls), variance)


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


def test_every_draw_has_noise_of_its_own(loaded_models, chunk_of, monkeypatch):
    """Of each collection, seed, fold and purpose."""
    keys, shapes = [], []
    draw = Stream._draw

    def spy(self, events, indices, columns, *, normal):
        keys.append(int(self._key()))
        shapes.append((len(events), columns, normal))
        return draw(self, events, indices, columns, normal=normal)

    monkeypatch.setattr(Stream, "_draw", spy)
    for model in loaded_models:
        chunk, events = chunk_of(model)
        for seed in (1, 2):
            ObjectSimulator(model, seed=seed).simulate(chunk, events, folds=[0, 1])
    # Whether an object is found, as what, how many are unmatched, and which: for three collections.
    assert len(keys) == 4 * 3 * 2 * 2
    assert all(rows > 0 for rows, _, _ in shapes)
    assert len(set(keys)) == len(keys)
