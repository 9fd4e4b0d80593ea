"""Small events of the generator for tests of the detector: random hadrons, photons and leptons."""

from __future__ import annotations

import functools

import numpy as np
import yaml

from flashsim.declarations.recipes import recipe_path
from flashsim.events.collection import Collection
from flashsim.reference.flow.recorded import Recorded, RecordingRecipe, record
from flashsim.reference.particles.overlay import Library
from flashsim.reference.particles.streams import Streams

MASSES = {
    211: 0.13957,
    -211: 0.13957,
    321: 0.49368,
    22: 0.0,
    130: 0.49761,
    2112: 0.93957,
    11: 0.000511,
    13: 0.10566,
}


def detector() -> RecordingRecipe:
    """Give the shipped detector's recording."""
    path = recipe_path("reference", "detector")
    return RecordingRecipe(**yaml.safe_load(path.read_text())["recording"])


def stable(
    events: int, size: int, seed: int, scale: float = 3.0, kinds: tuple[int, ...] = tuple(MASSES)
) -> Collection:
    """Particles from the interaction's point, `size` for each event, flat in pseudorapidity and azimuth."""
    rng = np.random.default_rng(seed)
    count = events * size
    pdg_id = rng.choice(kinds, count)
    return Collection.of_counts(
        np.full(events, size),
        {
            "pt": rng.exponential(scale, count) + 0.3,
            "eta": rng.uniform(-2.4, 2.4, count),
            "phi": rng.uniform(-np.pi, np.pi, count),
            "mass": np.array([MASSES[code] for code in pdg_id.tolist()]),
            "pdgId": pdg_id,
            **{name: np.zeros(count) for name in ("vx", "vy", "vz")},
        },
    )


def generated(events: int, pileup: int, seed: int = 3) -> dict[str, np.ndarray]:
    """Branches of the generator that the detector needs."""
    rng = np.random.default_rng(seed)
    recipe = detector().pileup
    return {
        "Pileup_nPU": np.full(events, pileup),
        "Pileup_nTrueInt": np.full(events, float(pileup)),
        "GenVtx_x": np.full(events, recipe.beam_x),
        "GenVtx_y": np.full(events, recipe.beam_y),
        "GenVtx_z": rng.normal(0.0, 3.5, events),
    }


def library() -> Library:
    """Minimum-bias interactions."""
    return Library.of(stable(50, 40, seed=7, scale=0.4), 0.1)


def recorded(
    hard: Collection, first: int = 0, pileup: int = 8, recipe: RecordingRecipe | None = None
) -> Recorded:
    """Record events; the key of an event is its number, from `first` on."""
    events = hard.events
    gen = {name: values[first:] for name, values in generated(first + events, pileup).items()}
    keys = np.arange(first, first + events, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return record(hard, gen, keys, Streams(1, "full"), library(), recipe or detector())


@functools.cache
def some_events() -> Recorded:
    """Give ten events of sixty particles with pileup."""
    return recorded(stable(10, 60, seed=2))
