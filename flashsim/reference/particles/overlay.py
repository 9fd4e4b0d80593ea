"""Pileup: interactions of a library of minimum-bias events, overlaid on the hard event.

Interactions of this bunch crossing stand at vertices of their own along the beam, each turned by an angle of
its own and half of them mirrored, so that a library of some ten thousand does not repeat itself. As many of
them are near the hard event's vertex as its gen-level densities of pileup say. Those of other crossings are
only seen by the calorimeters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.events.pileup import neighbouring_vertices
from flashsim.reference.particles.kernel_recipe import KernelRecipe
from flashsim.reference.particles.particle import PARTICLE, Rows, charges
from flashsim.reference.particles.streams import normal, poisson, uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.reference.particles.streams import Streams

__all__ = ["Interactions", "Library", "PileupRecipe", "choose", "overlay"]

_MOST_ETA = 5.5
_NEAR = 0.1  # cm, see `flashsim.events.pileup`
_MOST_DRAWS = 1000
_DENSITIES = ("Pileup_pudensity", "Pileup_gpudensity")


class PileupRecipe(KernelRecipe):
    """Where interactions are, and how many crossings the calorimeters remember."""

    beam_x: float = Field(description="of the beam line in cm")
    beam_y: float = Field(description="of the beam line in cm")
    z_centre: float = Field(description="mean z of interactions in cm")
    z_width: float = Field(gt=0, description="their spread in cm")
    crossings: float = Field(ge=0, description="other crossings that the calorimeters see")
    min_pt: float = Field(ge=0, description="pileup particles below it are left out, in GeV")


class Library(Rows):
    """Particles of L minimum-bias interactions, of type `PARTICLE`; positions relative to the interaction."""

    @classmethod
    def of(cls, particles: Collection, min_pt: float = 0.0) -> Library:
        """Make a library of the branches ``GenStable`` of a file of minimum-bias events."""
        kept = particles.select((particles["pt"] > min_pt) & (np.abs(particles["eta"]) < _MOST_ETA))
        return cls(kept.offsets, _records(kept))

    @property
    def particles(self) -> NDArray[Any]:
        """The particles of all interactions."""
        return self.rows


class Interactions(NamedTuple):
    """Which interactions of a library E events get.

    Parameters
    ----------
    offsets
        Shape (E + 1,).
    in_time
        Shape (E,): how many are of this crossing; those of other crossings are the last ones of each event.
    library, z, angle, mirror
        Shape (N,): which interaction, where, turned by how much, and 1 or -1.
    vertex
        Shape (E, 3): place of the hard interaction; the beam line is the z axis.
    """

    offsets: NDArray[np.int64]
    in_time: NDArray[np.int64]
    library: NDArray[np.int64]
    z: NDArray[np.float64]
    angle: NDArray[np.float64]
    mirror: NDArray[np.float64]
    vertex: NDArray[np.float64]


def _records(particles: Collection) -> NDArray[Any]:
    """Particles of a file (``GenStable``: pt, eta, phi, mass, pdgId, vx, vy, vz) as `PARTICLE`."""
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
    """Choose the pileup of E events: ``Pileup_nPU`` interactions, and those of other crossings.

    Where `gen` has the densities of pileup vertices, they are those of the chosen vertices.
    """
    numbers = np.asarray(gen["Pileup_nPU"], dtype=np.int64)
    true = np.asarray(gen["Pileup_nTrueInt"], dtype=np.float64)
    x, y, z = (np.asarray(gen[f"GenVtx_{axis}"], dtype=np.float64) for axis in "xyz")
    vertex = np.stack([x - recipe.beam_x, y - recipe.beam_y, z], axis=1)
    size = len(library.offsets) - 1
    offsets, library_rows, *placed = _choose(
        streams.states(keys, "pileup"), numbers, true, size, recipe.numbers()
    )
    z_at, angle, mirror = placed
    if all(name in gen for name in _DENSITIES):
        close, around = (np.asarray(gen[name]) for name in _DENSITIES)
        near, same, edges = neighbouring_vertices(close, around, z)
        states = streams.states(keys, "pileup z")
        _gather(states, offsets, numbers, z_at, (z, near, same, edges), recipe.numbers())
    return Interactions(offsets, numbers, library_rows, z_at, angle, mirror, vertex)


def overlay(hard: Collection, interactions: Interactions, library: Library) -> Rows:
    """All particles of this bunch crossing, of type `PARTICLE`: the hard event first.

    Parameters
    ----------
    hard
        ``GenStable`` of E events.
    interactions, library
        The pileup that was chosen.
    """
    return Rows(*_overlay(hard.offsets, _records(hard), library, interactions))


@numba.njit(cache=True)
def _choose(states, numbers, true, size, pileup):
    state = np.empty(1, dtype=np.uint64)
    events = len(states)
    offsets = np.zeros(events + 1, dtype=np.int64)
    for event in range(events):
        state[0] = states[event]
        offsets[event + 1] = offsets[event] + numbers[event] + poisson(state, pileup.crossings * true[event])
    library = np.empty(offsets[-1], dtype=np.int64)
    z, angle, mirror = np.empty(offsets[-1]), np.empty(offsets[-1]), np.empty(offsets[-1])
    for event in range(events):
        state[0] = states[event] ^ np.uint64(0x5851F42D4C957F2D)
        for i in range(offsets[event], offsets[event + 1]):
            library[i] = int(uniform(state) * size)
            z[i] = pileup.z_centre + pileup.z_width * normal(state)
            angle[i] = 2.0 * math.pi * uniform(state)
            mirror[i] = 1.0 if uniform(state) < 0.5 else -1.0
    return offsets, library, z, angle, mirror


@numba.njit(cache=True)
def _gather(states, offsets, numbers, z, wanted, pileup):
    """Draw z anew for the interactions of this crossing: as many near `own` and in its bin as are wanted."""
    own, near, same, edges = wanted
    state = np.empty(1, dtype=np.uint64)
    for event in range(len(states)):
        state[0] = states[event]
        low, high = edges[event]
        close, left = min(near[event], numbers[event]), same[event]
        for number in range(numbers[event]):
            i = offsets[event] + number
            if number < close:
                z[i] = own[event] + _NEAR * (2.0 * uniform(state) - 1.0)
                left -= low <= abs(z[i]) < high
                continue
            for _ in range(_MOST_DRAWS):
                z[i] = pileup.z_centre + pileup.z_width * normal(state)
                inside = low <= abs(z[i]) < high
                if inside == (left > 0) and abs(z[i] - own[event]) >= _NEAR:
                    break
            left -= inside


@numba.njit(cache=True)
def _overlay(hard_offsets, hard, library, interactions):
    events = len(hard_offsets) - 1
    offsets = np.zeros(events + 1, dtype=np.int64)
    for event in range(events):
        size = hard_offsets[event + 1] - hard_offsets[event]
        start = interactions.offsets[event]
        for which in interactions.library[start : start + interactions.in_time[event]]:
            size += library.offsets[which + 1] - library.offsets[which]
        offsets[event + 1] = offsets[event] + size
    out = np.empty(offsets[-1], dtype=hard.dtype)
    place = 0
    for event in range(events):
        x, y, z = interactions.vertex[event]
        for row in range(hard_offsets[event], hard_offsets[event + 1]):
            out[place] = hard[row]
            particle = out[place]
            particle.x += x
            particle.y += y
            particle.z += z
            particle.mother = place
            place += 1
        for number in range(interactions.in_time[event]):
            place = _add_interaction(
                out, place, library, interactions, interactions.offsets[event] + number, number
            )
    return offsets, out


@numba.njit(cache=True)
def _add_interaction(out, place, library, interactions, i, number):
    which, angle, mirror = interactions.library[i], interactions.angle[i], interactions.mirror[i]
    cosine, sine = math.cos(angle), math.sin(angle)
    for row in range(library.offsets[which], library.offsets[which + 1]):
        out[place] = library.rows[row]
        particle = out[place]
        particle.eta *= mirror
        phi = particle.phi + angle
        particle.phi = phi - 2.0 * math.pi * math.floor((phi + math.pi) / (2.0 * math.pi))
        x, y = particle.x, particle.y
        particle.x, particle.y = x * cosine - y * sine, x * sine + y * cosine
        particle.z = particle.z * mirror + interactions.z[i]
        particle.interaction = number + 1
        particle.mother = place
        place += 1
    return place
