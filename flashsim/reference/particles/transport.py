"""What becomes of particles in the tracker.

K0S and Lambda decay, pions and kaons may decay to muons, photons convert, electrons radiate; hadrons interact
with nuclei and give several softer ones. All that comes of it goes on as particles of their own: displaced,
softer and spread, which makes the tails of tracks, fake photons and electrons, and energy that leaves jets.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from pydantic import Field

from flashsim.reference.particles.helix import BEND, turned
from flashsim.reference.particles.kernel_recipe import KernelRecipe, eta_bin
from flashsim.reference.particles.particle import (
    BREM,
    CONVERSION,
    DECAY,
    DECAYED,
    IN_FLIGHT,
    NUCLEAR,
    Rows,
)
from flashsim.reference.particles.streams import exponential, gamma, normal, poisson, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MaterialRecipe", "transport"]

_LN2 = math.log(2.0)
_MUON, _PI0 = 0.10566, 0.13498
_PHOTON = (22, 0, 0.0)
_PION, _PROTON, _NEUTRON = (211, 1, 0.13957), (2212, 1, 0.93827), (2112, 0, 0.93957)


class MaterialRecipe(KernelRecipe):
    """The tracker, and which of its effects there are."""

    field: float = Field(gt=0, description="solenoid, in tesla")
    radius: float = Field(gt=0, description="of the tracker, in cm")
    length: float = Field(gt=0, description="half length of the tracker, in cm")
    first_layer: float = Field(gt=0, description="radius of the first material, in cm")
    eta: list[float] = Field(description="|eta| at which the budgets are given")
    radiation_lengths: list[float] = Field(description="material in radiation lengths at these |eta|")
    interaction_lengths: list[float] = Field(description="the same in nuclear interaction lengths")
    decays: bool = Field(description="whether K0S, Lambda and charged pions and kaons decay")
    conversions: bool = Field(description="whether photons convert")
    bremsstrahlung: bool = Field(description="whether electrons radiate")
    nuclear_interactions: bool = Field(description="whether hadrons interact with nuclei")
    kick: float = Field(ge=0, description="momentum of nuclear secondaries beside their share, in GeV")
    lost_share: float = Field(ge=0, lt=1, description="mean energy share that a nuclear interaction loses")


def transport(particles: Rows, states: NDArray[np.uint64], material: Any) -> Rows:
    """Follow particles through the tracker.

    Parameters
    ----------
    particles
        Those of E events, of type `PARTICLE`.
    states
        Shape (E,): a random stream for each event.
    material
        Numbers of a `MaterialRecipe`.

    Returns
    -------
    All particles with what came of them; `mother` is the row in `particles`.
    """
    room = len(particles.rows) * 2 + 4096
    while True:
        counts, out = _transport(particles, states, material, room)
        if counts[-1] >= 0:
            return Rows(counts, out[: counts[-1]])
        room *= 2


@numba.njit(cache=True)
def _transport(particles, states, material, room):
    offsets = particles.offsets
    out = np.empty(room, dtype=particles.rows.dtype)
    counts = np.zeros(len(offsets), dtype=np.int64)
    state = np.empty(1, dtype=np.uint64)
    place = 0
    for event in range(len(offsets) - 1):
        state[0] = states[event]
        current = place
        if place + offsets[event + 1] - offsets[event] > room:
            counts[-1] = -1
            return counts, out
        for row in range(offsets[event], offsets[event + 1]):
            out[place] = particles.rows[row]
            place += 1
        while current < place:  # those that are added come to their turn, too
            if place + 64 > room:
                counts[-1] = -1
                return counts, out
            place = _step(out, current, place, state, material)
            current += 1
        counts[event + 1] = place
    return counts, out


@numba.njit(cache=True)
def _step(out, row, place, state, material):
    """Let happen to a particle what does; gives the place after the last particle."""
    particle = out[row]
    code = abs(particle.pdg)
    if abs(particle.eta) > 3.0 or particle.pt < 0.1 or code == 13:
        return place
    inside = abs(particle.eta) < 2.6
    if code == 22:
        if material.conversions and particle.energy > 0.2 and inside:
            thickness = material.radiation_lengths[eta_bin(particle.eta)]
            if uniform(state) > math.exp(-7.0 / 9.0 * thickness):
                return _convert(out, row, place, state, material)
        return place
    if code == 310 or code == 3122:
        return _weak_decay(out, row, place, state, material) if material.decays else place
    if code == 11:
        return _radiate(out, row, place, state, material) if material.bremsstrahlung and inside else place
    if material.nuclear_interactions and inside and particle.source != NUCLEAR:
        thickness = material.interaction_lengths[eta_bin(particle.eta)]
        if uniform(state) > math.exp(-thickness):
            return _interact(out, row, place, state, material)
    if material.decays and (code == 211 or code == 321):
        return _decay_in_flight(out, row, place, state, material)
    return place


@numba.njit(cache=True)
def _at(particle, radius, material):
    """Where a particle is and its momentum when it has gone the transverse path to about a radius."""
    path = max(radius - math.hypot(particle.x, particle.y), 0.0)
    slope = math.sinh(particle.eta)
    phi = particle.phi
    x, y = particle.x + path * math.cos(phi), particle.y + path * math.sin(phi)
    if particle.charge != 0:
        angle = path * BEND * material.field / particle.pt
        x, y, phi = turned(particle.pt, phi, particle.charge, particle.x, particle.y, material.field, angle)
    momentum = (particle.pt * math.cos(phi), particle.pt * math.sin(phi), particle.pt * slope)
    return (x, y, particle.z + path * slope), momentum


@numba.njit(cache=True)
def _add(out, place, row, kind, momentum, position, source):
    """Add a particle of a kind (PDG number, charge, mass) that comes from another; gives the next place."""
    new, mother = out[place], out[row]
    new.pdg, new.charge, new.mass = kind
    px, py, pz = momentum
    new.x, new.y, new.z = position
    pt = max(math.hypot(px, py), 1e-6)
    new.pt, new.phi, new.eta = pt, math.atan2(py, px), math.asinh(pz / pt)
    new.energy = math.sqrt(pt * pt + pz * pz + new.mass * new.mass)
    new.interaction, new.mother = mother.interaction, mother.mother
    new.end, new.source, new.reserved = np.inf, source, 0
    return place + 1


@numba.njit(cache=True)
def _scaled(momentum, share):
    return momentum[0] * share, momentum[1] * share, momentum[2] * share


@numba.njit(cache=True)
def _isotropic(state):
    cosine, azimuth = 2.0 * uniform(state) - 1.0, 2.0 * math.pi * uniform(state)
    sine = math.sqrt(1.0 - cosine * cosine)
    return sine * math.cos(azimuth), sine * math.sin(azimuth), cosine


@numba.njit(cache=True)
def _boosted(parent, parent_mass, momentum, mass, axis):
    """Momentum of a daughter of given momentum along an axis in the rest frame of a parent."""
    px, py, pz = parent
    energy = math.sqrt(px * px + py * py + pz * pz + parent_mass * parent_mass)
    own = math.sqrt(momentum * momentum + mass * mass)
    along = (px * axis[0] + py * axis[1] + pz * axis[2]) * momentum
    factor = (along / (energy + parent_mass) + own) / parent_mass
    return (
        momentum * axis[0] + px * factor,
        momentum * axis[1] + py * factor,
        momentum * axis[2] + pz * factor,
    )


@numba.njit(cache=True)
def _weak_decay(out, row, place, state, material):
    """K0S to two pions, Lambda to a nucleon and a pion, where the flight ends in the tracker."""
    parent = out[row]
    is_kaon = parent.pdg == 310
    mass, lifetime = (0.49761, 2.684) if is_kaon else (1.11568, 7.89)
    flight = exponential(state) * lifetime * parent.pt / mass
    position, momentum = _at(parent, math.hypot(parent.x, parent.y) + flight, material)
    radius = math.hypot(position[0], position[1])
    if radius > material.radius or abs(position[2]) > material.length:
        return place
    parent.end = radius
    sign = 1 if parent.pdg > 0 else -1
    charged = uniform(state) < (0.692 if is_kaon else 0.641)
    heavy = _PION if is_kaon else (_PROTON if charged else _NEUTRON)
    first, second = heavy[2], _PION[2] if charged else _PI0
    if is_kaon and not charged:
        first = _PI0
    own = math.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (2.0 * mass)
    ux, uy, uz = _isotropic(state)
    one = _boosted(momentum, mass, own, first, (ux, uy, uz))
    two = _boosted(momentum, mass, own, second, (-ux, -uy, -uz))
    if charged:
        light = (-211 * sign, -sign, _PION[2])
        place = _add(out, place, row, (heavy[0] * sign, heavy[1] * sign, first), one, position, DECAY)
        return _add(out, place, row, light, two, position, DECAY)
    if is_kaon:
        place = _add_pi0(out, place, row, one, position, state)
    else:
        place = _add(out, place, row, (heavy[0] * sign, 0, first), one, position, DECAY)
    return _add_pi0(out, place, row, two, position, state)


@numba.njit(cache=True)
def _add_pi0(out, place, row, momentum, position, state):
    """Add the two photons of a neutral pion."""
    ux, uy, uz = _isotropic(state)
    for axis in ((ux, uy, uz), (-ux, -uy, -uz)):
        photon = _boosted(momentum, _PI0, 0.5 * _PI0, 0.0, axis)
        place = _add(out, place, row, _PHOTON, photon, position, DECAY)
    return place


@numba.njit(cache=True)
def _in_tracker(particle, state, material):
    """Draw a radius in the tracker's material along the particle's way; negative if it starts outside."""
    slope = abs(math.sinh(particle.eta))
    last = min(material.radius, material.length / max(slope, 1e-6))
    first = max(material.first_layer, math.hypot(particle.x, particle.y))
    return first + (last - first) * uniform(state) if last > first else -1.0


@numba.njit(cache=True)
def _convert(out, row, place, state, material):
    photon = out[row]
    radius = _in_tracker(photon, state, material)
    if radius < 0.0:
        return place
    position, momentum = _at(photon, radius, material)
    photon.end = radius
    share = uniform(state)
    for charge, part in ((1, share), (-1, 1.0 - share)):
        kind = (-11 * charge, charge, 0.000511)
        place = _add(out, place, row, kind, _scaled(momentum, part), position, CONVERSION)
    return place


@numba.njit(cache=True)
def _radiate(out, row, place, state, material):
    """Bremsstrahlung after Bethe and Heitler: minus the log of what is left is gamma distributed.

    It leaves the tracker in two photons, of random shares, at random radii.
    """
    electron = out[row]
    radius = _in_tracker(electron, state, material)
    if radius < 0.0 or electron.pt < 0.5:
        return place
    last = min(material.radius, material.length / max(abs(math.sinh(electron.eta)), 1e-6))
    passed = max(math.hypot(electron.x, electron.y) - material.first_layer, 0.0)
    ahead = max(1.0 - passed / max(last - material.first_layer, 1.0), 0.0)
    thickness = material.radiation_lengths[eta_bin(electron.eta)] * ahead
    if thickness < 1e-3:
        return place
    left = math.exp(-gamma(state, thickness / _LN2))
    share = uniform(state)
    for part in (share, 1.0 - share):
        if electron.pt * (1.0 - left) * part < 0.05:
            continue
        position, momentum = _at(electron, radius, material)
        place = _add(out, place, row, _PHOTON, _scaled(momentum, (1.0 - left) * part), position, BREM)
        radius = _in_tracker(electron, state, material)
    electron.energy *= left
    return place


@numba.njit(cache=True)
def _interact(out, row, place, state, material):
    """Replace a hadron by several softer ones, kicked sideways; a part of its energy is lost."""
    hadron = out[row]
    radius = _in_tracker(hadron, state, material)
    if radius < 0.0:
        return place
    position, momentum = _at(hadron, radius, material)
    hadron.end = radius
    number = min(2 + poisson(state, 0.8 * math.log(1.0 + hadron.energy)), 12)
    shares = np.empty(number)
    for i in range(number):
        shares[i] = exponential(state)
    shares *= (1.0 - material.lost_share * 2.0 * uniform(state)) / shares.sum()
    for i in range(number):
        draw = uniform(state)
        kind = (211, 1, _PION[2]) if draw < 0.333 else (-211, -1, _PION[2])
        if draw > 0.833:
            kind = _NEUTRON
        elif draw > 0.667:
            kind = _PHOTON
        px, py, pz = _scaled(momentum, shares[i])
        x, y, z = material.kick * normal(state), material.kick * normal(state), material.kick * normal(state)
        place = _add(out, place, row, kind, (px + x, py + y, pz + z), position, NUCLEAR)
    return place


@numba.njit(cache=True)
def _decay_in_flight(out, row, place, state, material):
    """Let a pion or kaon become a muon on its way through the tracker."""
    hadron = out[row]
    is_kaon = abs(hadron.pdg) == 321
    mass, lifetime = (0.49368, 371.2) if is_kaon else (_PION[2], 780.4)
    length, draw = lifetime * hadron.pt / mass, uniform(state)
    if (1.0 - draw) * length > material.radius:  # 1 - x is less than -log x, and faster
        return place
    flight, slope = -math.log(draw) * length, abs(math.sinh(hadron.eta))
    if flight * max(1.0, slope * material.radius / material.length) > material.radius:
        return place
    if is_kaon and uniform(state) > 0.64:
        return place
    position, momentum = _at(hadron, math.hypot(hadron.x, hadron.y) + flight, material)
    hadron.end, hadron.reserved = math.hypot(position[0], position[1]), DECAYED
    least = (_MUON / mass) ** 2
    share = least + (1.0 - least) * uniform(state)
    kind = (-13 * hadron.charge, hadron.charge, _MUON)
    return _add(out, place, row, kind, _scaled(momentum, share), position, IN_FLIGHT)
