"""Vertices of overlaid interactions are as near the hard event's as the generator's file says."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.declarations.eras import load_era
from flashsim.events.noise import event_hash
from flashsim.gen.pileup import pileup, vertex
from flashsim.reference.particles.overlay import Library, PileupRecipe, choose
from flashsim.reference.particles.particle import PARTICLE
from flashsim.reference.particles.streams import Streams

N = 400


@pytest.fixture(scope="module", params=["run2", "run3"])
def chosen(request):
    era = load_era(request.param)
    ones = np.ones(N, dtype=np.uint32)
    keys = event_hash(ones, ones, np.arange(N, dtype=np.uint64))
    gen = {**vertex(1, keys, era), **pileup(1, keys, era)}
    library = Library(np.arange(11), np.zeros(10, dtype=PARTICLE))
    (x, _), (y, _), (z, width) = era.beam_spot.x, era.beam_spot.y, era.beam_spot.z
    recipe = PileupRecipe(beam_x=x, beam_y=y, z_centre=z, z_width=width, crossings=2.0, min_pt=0.1)
    return gen, recipe, choose(gen, keys, Streams(3, ""), library, recipe), keys, library


def places(interactions):
    """z of the interactions of this crossing, an array per event."""
    starts = interactions.offsets[:-1]
    return [interactions.z[a : a + n] for a, n in zip(starts, interactions.in_time, strict=True)]


def test_as_many_as_the_densities_say(chosen):
    gen, _, interactions, *_ = chosen
    edges = np.array([0.0, 1.7, 2.6, 3.0, 3.5, 4.2, 5.2, 6.0, 7.5, 9.0, 1e9])
    widths = np.array([1.7, 0.9, 0.4, 0.5, 0.7, 1.0, 0.8, 1.5, 1.5, 3.0])
    same_bin = 0
    for event, z in enumerate(places(interactions)):
        own = gen["GenVtx_z"][event]
        assert np.sum(np.abs(z - own) < 0.1) == gen["Pileup_pudensity"][event]
        own_bin = np.searchsorted(edges, abs(own), side="right") - 1
        inside = np.searchsorted(edges, np.abs(z), side="right") - 1 == own_bin
        same_bin += np.sum(inside) / (20 * widths[own_bin]) == pytest.approx(gen["Pileup_gpudensity"][event])
    # A vertex within 1 mm may be in the next bin, which the file does not say.
    assert same_bin > 0.97 * N


def test_all_together_have_the_shape_of_the_beam_spot(chosen):
    _, recipe, interactions, *_ = chosen
    z = np.concatenate(places(interactions))
    assert z.mean() == pytest.approx(recipe.z_centre, abs=0.15)
    assert z.std() == pytest.approx(recipe.z_width, rel=0.03)


def test_without_densities_they_are_drawn_freely(chosen):
    gen, recipe, interactions, keys, library = chosen
    bare = {name: values for name, values in gen.items() if "density" not in name}
    free = choose(bare, keys, Streams(3, ""), library, recipe)
    assert np.array_equal(free.library, interactions.library)
    assert np.concatenate(places(free)).std() == pytest.approx(recipe.z_width, rel=0.03)
    assert not np.array_equal(free.z, interactions.z)
