"""Pileup: interactions of a library of minimum-bias events, overlaid on the hard event.

Interactions of this bunch crossing stand at vertices of their own along the beam, each turned by an angle of its
own and half of them mirrored, so that a library of some ten thousand does not repeat itself. Those of other
crossings are only seen by the calorimeters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.particles.particle import PARTICLE, charges
from flashsim.reference.particles.streams import normal, poisson, uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.particles.streams import Streams

__all__ = ["Interactions", "Library", "PileupRecipe", "choose", "overlay"]

_MOST_ETA = 5.5


class PileupRecipe(Recipe):
    """Where interactions are, and how many crossings the calorimeters remember."""

    beam_x: float = Field(description="of the beam line in cm")
    beam_y: float = Field(description="of the beam line in cm")
    z_centre: float = Field(description="mean z of interactions in cm")
    z_width: float = Field(gt=0, description="their spread in cm")
    crossings: float = Field(ge=0, description="other crossings that the calorimeters see")
    min_pt: float = Field(ge=0, description="pileup particles below it are left out, in GeV")


@dataclass(frozen=True)
class Library:
    """Particles of many minimum-bias interactions.

    Parameters
    ----------
    offsets
        Shape (L + 1,).
    particles
        Shape (N,), of type `PARTICLE`; positions relative to the interaction.
    """

    offsets: NDArray[np.int64]
    particles: NDArray[Any]

    @classmethod
    def of(cls, particles: Collection, min_pt: float = 0.0) -> Library:
        """Make a library of the branches ``GenStable`` of a file of minimum-bias events."""
        kept = particles.select((particles["pt"] > min_pt) & (np.abs(particles["eta"]) < _MOST_ETA))
        return cls(kept.offsets, records(kept))


class Interactions(NamedTuple):
    """Which interactions of a library E events get.

    Parameters
    ----------
    offsets
        Shape (E + 1,).
    early
        Shape (E + 1,): of those of other crossings, which are the last ones of each event.
    library, z, angle, mirror
        Shape (N,): which interaction, where, turned by how much, and 1 or -1.
    """

    offsets: NDArray[np.int64]
    in_time: NDArray[np.int64]
    library: NDArray[np.int64]
    z: NDArray[np.float64]
    angle: NDArray[np.float64]
    mirror: NDArray[np.float64]


def records(particles: Collection) -> NDArray[Any]:
    """Particles of a file (``GenStable``: pt, eta, phi, mass, pdgId, vx, vy, vz) as `PARTICLE`, shape (N,)."""
    out = np.zeros(len(particles), dtype=PARTICLE)
    for name in ("pt", "eta", "phi", "mass"):
        out[name] = particles[name]
    for name in ("x", "y", "z"):
        out[name] = particles[f"v{name}"]
    out["pdg"] = particles["pdgId"]
    out["charge"] = charges(particles["pdgId"])
    out["energy"] = np.hypot(out["pt"] * np.cosh(out["eta"]), out["mass"])
    out["mother"] = np.arange(len(out))
    out["end"] = np.inf
    return out


def choose(
    gen: Mapping[str, Any], keys: NDArray[np.uint64], streams: Streams, library: Library, recipe: PileupRecipe
) -> Interactions:
    """Choose the pileup of E events: as many interactions as ``Pileup_nPU`` says, and those of other crossings."""
    numbers = np.asarray(gen["Pileup_nPU"], dtype=np.int64)
    true = np.asarray(gen["Pileup_nTrueInt"], dtype=np.float64)
    chosen = _choose(
        streams.states(keys, "pileup"),
        numbers,
        true * recipe.crossings,
        len(library.offsets) - 1,
        recipe.z_centre,
        recipe.z_width,
    )
    return Interactions(chosen[0], numbers, *chosen[1:])


def overlay(
    hard: Collection,
    gen: Mapping[str, Any],
    interactions: Interactions,
    library: Library,
    recipe: PileupRecipe,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """All particles of this bunch crossing.

    Parameters
    ----------
    hard
        ``GenStable`` of E events.
    gen
        Their branches ``GenVtx_x, y, z``.
    interactions, library
        The pileup that was chosen.
    recipe
        Where the beam line is.

    Returns
    -------
    Offsets, shape (E + 1,), and `PARTICLE`, shape (N,): the hard event first.
    """
    vertex = np.stack(
        [
            np.asarray(gen["GenVtx_x"], dtype=np.float64) - recipe.beam_x,
            np.asarray(gen["GenVtx_y"], dtype=np.float64) - recipe.beam_y,
            np.asarray(gen["GenVtx_z"], dtype=np.float64),
        ],
        axis=1,
    )
    return _overlay(hard.offsets, records(hard), vertex, library.offsets, library.particles, *interactions)


@numba.njit(cache=True)
def _choose(states, numbers, other_means, size, centre, width):
    state = np.empty(1, dtype=np.uint64)
    events = len(states)
    offsets = np.zeros(events + 1, dtype=np.int64)
    for event in range(events):
        state[0] = states[event]
        offsets[event + 1] = offsets[event] + numbers[event] + poisson(state, other_means[event])
    library = np.empty(offsets[-1], dtype=np.int64)
    z, angle, mirror = np.empty(offsets[-1]), np.empty(offsets[-1]), np.empty(offsets[-1])
    for event in range(events):
        state[0] = states[event] ^ np.uint64(0x5851F42D4C957F2D)
        for i in range(offsets[event], offsets[event + 1]):
            library[i] = int(uniform(state) * size)
            z[i] = centre + width * normal(state)
            angle[i] = 2.0 * math.pi * uniform(state)
            mirror[i] = 1.0 if uniform(state) < 0.5 else -1.0
    return offsets, library, z, angle, mirror


@numba.njit(cache=True)
def _overlay(
    hard_offsets,
    hard,
    vertex,
    library_offsets,
    library,
    starts,
    in_time,
    which,
    z,
    angle,
    mirror,
):
    events = len(vertex)
    offsets = np.zeros(events + 1, dtype=np.int64)
    for event in range(events):
        size = hard_offsets[event + 1] - hard_offsets[event]
        for i in range(starts[event], starts[event] + in_time[event]):
            size += library_offsets[which[i] + 1] - library_offsets[which[i]]
        offsets[event + 1] = offsets[event] + size
    out = np.empty(offsets[-1], dtype=hard.dtype)
    place = 0
    for event in range(events):
        for row in range(hard_offsets[event], hard_offsets[event + 1]):
            out[place] = hard[row]
            particle = out[place]
            particle.x += vertex[event, 0]
            particle.y += vertex[event, 1]
            particle.z += vertex[event, 2]
            particle.interaction = 0
            particle.mother = place
            place += 1
        for number in range(in_time[event]):
            i = starts[event] + number
            cosine, sine = math.cos(angle[i]), math.sin(angle[i])
            for row in range(library_offsets[which[i]], library_offsets[which[i] + 1]):
                out[place] = library[row]
                particle = out[place]
                particle.eta *= mirror[i]
                phi = particle.phi + angle[i]
                particle.phi = phi - 2.0 * math.pi * math.floor((phi + math.pi) / (2.0 * math.pi))
                x, y = particle.x, particle.y
                particle.x, particle.y = x * cosine - y * sine, x * sine + y * cosine
                particle.z = particle.z * mirror[i] + z[i]
                particle.interaction = number + 1
                particle.mother = place
                place += 1
    return offsets, out
