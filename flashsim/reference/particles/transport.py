"""What happens to particles in the tracker's material and to those that decay in it.

K0S, Lambda, pions and kaons decay; photons convert to electron pairs; electrons radiate; hadrons interact with
nuclei and give several softer ones. All that comes of it goes on as particles of their own: displaced, softer and
spread, which makes the tails of tracks, fake photons and electrons, and energy that leaves jets.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.particles.helix import BEND, turned
from flashsim.reference.particles.particle import BREM, CONVERSION, DECAY, IN_FLIGHT, NUCLEAR
from flashsim.reference.particles.streams import exponential, gamma, normal, poisson, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Material", "MaterialRecipe", "transport"]

_LN2 = math.log(2.0)
_PION, _KAON, _PROTON, _PI0, _NEUTRON, _MUON, _ELECTRON = (
    0.13957,
    0.49368,
    0.93827,
    0.13498,
    0.93957,
    0.10566,
    0.000511,
)


class MaterialRecipe(Recipe):
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
    kick: float = Field(
        ge=0, description="transverse momentum of nuclear secondaries to their mother, in GeV"
    )
    lost_share: float = Field(ge=0, lt=1, description="mean energy share that a nuclear interaction loses")

    def material(self) -> Material:
        """Numbers for kernels."""
        return Material(
            self.field,
            self.radius,
            self.length,
            self.first_layer,
            np.array(self.eta),
            np.array(self.radiation_lengths),
            np.array(self.interaction_lengths),
            self.decays,
            self.conversions,
            self.bremsstrahlung,
            self.nuclear_interactions,
            self.kick,
            self.lost_share,
        )


class Material(NamedTuple):
    """A `MaterialRecipe` as kernels take it."""

    field: float
    radius: float
    length: float
    first_layer: float
    eta: NDArray[np.float64]
    radiation: NDArray[np.float64]
    interaction: NDArray[np.float64]
    decays: bool
    conversions: bool
    bremsstrahlung: bool
    nuclear: bool
    kick: float
    lost_share: float


def transport(
    offsets: NDArray[np.int64], particles: NDArray[Any], states: NDArray[np.uint64], material: Material
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Follow particles through the tracker.

    Parameters
    ----------
    offsets, particles
        Those of E events, of type `PARTICLE`.
    states
        Shape (E,): a random stream for each event.
    material
        The tracker.

    Returns
    -------
    Offsets, and all particles with what came of them; `mother` is the row in `particles`.
    """
    room = len(particles) * 2 + 4096
    while True:
        counts, out = _transport(offsets, particles, states, material, room)
        if counts[-1] >= 0:
            return counts, out[: counts[-1]]
        room *= 2


@numba.njit(cache=True)
def _transport(offsets, particles, states, material, room):
    out = np.empty(room, dtype=particles.dtype)
    counts = np.zeros(len(offsets), dtype=np.int64)
    state = np.empty(1, dtype=np.uint64)
    place = 0
    for event in range(len(offsets) - 1):
        state[0] = states[event]
        first = place
        if place + offsets[event + 1] - offsets[event] > room:
            counts[-1] = -1
            return counts, out
        for row in range(offsets[event], offsets[event + 1]):
            out[place] = particles[row]
            out[place].mother = row
            place += 1
        current = first
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
    eta = abs(particle.eta)
    if eta > 3.0 or particle.source == IN_FLIGHT:
        return place
    if code == 310 or code == 3122:
        return _weak_decay(out, row, place, state, material) if material.decays else place
    if code == 22:
        if material.conversions and particle.energy > 0.2 and eta < 2.6:
            thickness = np.interp(eta, material.eta, material.radiation)
            if uniform(state) > math.exp(-7.0 / 9.0 * thickness):
                return _convert(out, row, place, state, material)
        return place
    if code == 11:
        if material.bremsstrahlung and particle.pt > 0.5 and eta < 2.6:
            return _radiate(out, row, place, state, material)
        return place
    if code == 13 or particle.pt < 0.1:
        return place
    if material.nuclear and eta < 2.6 and particle.source != NUCLEAR:
        thickness = np.interp(eta, material.eta, material.interaction)
        if uniform(state) > math.exp(-thickness):
            return _interact(out, row, place, state, material)
    if material.decays and (code == 211 or code == 321):
        return _decay_in_flight(out, row, place, state, material)
    return place


@numba.njit(cache=True)
def _at(particle, radius, material):
    """Where a particle is, and its direction, when it has gone the transverse path to about a radius."""
    start = math.hypot(particle.x, particle.y)
    path = max(radius - start, 0.0)
    z = particle.z + path * math.sinh(particle.eta)
    if particle.charge == 0:
        cosine, sine = math.cos(particle.phi), math.sin(particle.phi)
        return particle.x + path * cosine, particle.y + path * sine, z, particle.phi
    angle = path * BEND * material.field / particle.pt
    x, y, phi = turned(
        particle.pt, particle.phi, particle.charge, particle.x, particle.y, material.field, angle
    )
    return x, y, z, phi


@numba.njit(cache=True)
def _add(out, place, mother, pdg, charge, px, py, pz, mass, x, y, z, source):
    new = out[place]
    pt = max(math.hypot(px, py), 1e-6)
    new.pt, new.phi, new.eta = pt, math.atan2(py, px), math.asinh(pz / pt)
    new.mass = mass
    new.energy = math.sqrt(px * px + py * py + pz * pz + mass * mass)
    new.x, new.y, new.z, new.end = x, y, z, np.inf
    new.pdg, new.charge = pdg, charge
    new.interaction, new.mother = mother.interaction, mother.mother
    new.source, new.reserved = source, 0
    return place + 1


@numba.njit(cache=True)
def _isotropic(state):
    cosine, azimuth = 2.0 * uniform(state) - 1.0, 2.0 * math.pi * uniform(state)
    sine = math.sqrt(1.0 - cosine * cosine)
    return sine * math.cos(azimuth), sine * math.sin(azimuth), cosine


@numba.njit(cache=True)
def _boosted(px, py, pz, energy, momentum, mass, ux, uy, uz):
    """Momentum of a daughter of given momentum and direction in the rest frame of (px, py, pz, energy)."""
    parent_mass = math.sqrt(max(energy * energy - px * px - py * py - pz * pz, 1e-9))
    own = math.sqrt(momentum * momentum + mass * mass)
    along = (px * ux + py * uy + pz * uz) * momentum
    factor = (along / (energy + parent_mass) + own) / parent_mass
    return momentum * ux + px * factor, momentum * uy + py * factor, momentum * uz + pz * factor


@numba.njit(cache=True)
def _weak_decay(out, row, place, state, material):
    """K0S to two pions, Lambda to a nucleon and a pion, where the flight ends in the tracker."""
    parent = out[row]
    is_kaon = parent.pdg == 310
    mass, lifetime = (0.49761, 2.684) if is_kaon else (1.11568, 7.89)
    flight = exponential(state) * lifetime * parent.pt / mass
    x, y, z, phi = _at(parent, math.hypot(parent.x, parent.y) + flight, material)
    if math.hypot(x, y) > material.radius or abs(z) > material.length:
        return place
    parent.end = math.hypot(x, y)
    sign = 1 if parent.pdg > 0 else -1
    charged = uniform(state) < (0.692 if is_kaon else 0.641)
    if is_kaon:
        heavy, light = (_PION, _PION) if charged else (_PI0, _PI0)
        codes, charge = (211, -211) if charged else (111, 111), 1 if charged else 0
    else:
        heavy, light = (_PROTON, _PION) if charged else (_NEUTRON, _PI0)
        codes, charge = (2212 * sign, -211 * sign) if charged else (2112 * sign, 111), sign if charged else 0
    momentum = math.sqrt((mass**2 - (heavy + light) ** 2) * (mass**2 - (heavy - light) ** 2)) / (2.0 * mass)
    px, py, pz = parent.pt * math.cos(phi), parent.pt * math.sin(phi), parent.pt * math.sinh(parent.eta)
    energy = math.sqrt(px * px + py * py + pz * pz + mass * mass)
    ux, uy, uz = _isotropic(state)
    for pdg, own_charge, own_mass, way in ((codes[0], charge, heavy, 1.0), (codes[1], -charge, light, -1.0)):
        dx, dy, dz = _boosted(px, py, pz, energy, momentum, own_mass, way * ux, way * uy, way * uz)
        if pdg != 111:
            place = _add(out, place, parent, pdg, own_charge, dx, dy, dz, own_mass, x, y, z, DECAY)
            continue
        own_energy = math.sqrt(dx * dx + dy * dy + dz * dz + own_mass * own_mass)
        vx, vy, vz = _isotropic(state)
        for turn in (1.0, -1.0):
            gx, gy, gz = _boosted(dx, dy, dz, own_energy, 0.5 * _PI0, 0.0, turn * vx, turn * vy, turn * vz)
            place = _add(out, place, parent, 22, 0, gx, gy, gz, 0.0, x, y, z, DECAY)
    return place


@numba.njit(cache=True)
def _in_tracker(particle, state, material):
    """Draw a radius in the tracker's material, seen along the particle's direction; negative if it starts outside."""
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
    x, y, z, phi = _at(photon, radius, material)
    photon.end = radius
    share = uniform(state)
    for charge, part in ((1, share), (-1, 1.0 - share)):
        pt = photon.pt * part
        px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(photon.eta)
        place = _add(out, place, photon, -11 * charge, charge, px, py, pz, _ELECTRON, x, y, z, CONVERSION)
    return place


@numba.njit(cache=True)
def _radiate(out, row, place, state, material):
    """Bremsstrahlung after Bethe and Heitler: minus the log of what is left is gamma distributed.

    It leaves the tracker in two photons, of random shares, at random radii.
    """
    electron = out[row]
    radius = _in_tracker(electron, state, material)
    if radius < 0.0:
        return place
    thickness = np.interp(abs(electron.eta), material.eta, material.radiation)
    last = min(material.radius, material.length / max(abs(math.sinh(electron.eta)), 1e-6))
    passed = max(math.hypot(electron.x, electron.y) - material.first_layer, 0.0)
    thickness *= max(1.0 - passed / max(last - material.first_layer, 1.0), 0.0)
    if thickness < 1e-3:
        return place
    left = math.exp(-gamma(state, thickness / _LN2))
    radiated = electron.pt * (1.0 - left)
    share = uniform(state)
    for part in (share, 1.0 - share):
        pt = radiated * part
        if pt < 0.05:
            continue
        x, y, z, phi = _at(electron, radius, material)
        px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(electron.eta)
        place = _add(out, place, electron, 22, 0, px, py, pz, 0.0, x, y, z, BREM)
        radius = _in_tracker(electron, state, material)
    electron.energy *= left
    return place


@numba.njit(cache=True)
def _interact(out, row, place, state, material):
    """A hadron gives several softer ones, kicked sideways, and loses a part of its energy."""
    hadron = out[row]
    radius = _in_tracker(hadron, state, material)
    if radius < 0.0:
        return place
    x, y, z, phi = _at(hadron, radius, material)
    hadron.end = radius
    number = min(2 + poisson(state, 0.8 * math.log(1.0 + hadron.energy)), 12)
    shares = np.empty(number)
    for i in range(number):
        shares[i] = exponential(state)
    shares *= (1.0 - material.lost_share * 2.0 * uniform(state)) / shares.sum()
    px, py, pz = hadron.pt * math.cos(phi), hadron.pt * math.sin(phi), hadron.pt * math.sinh(hadron.eta)
    for i in range(number):
        kind = uniform(state)
        pdg, charge, mass = 211, 1, _PION
        if kind < 0.333:
            pdg, charge = -211, -1
        elif kind > 0.833:
            pdg, charge, mass = 2112, 0, _NEUTRON
        elif kind > 0.667:
            pdg, charge, mass = 22, 0, 0.0
        kx, ky, kz = (
            material.kick * normal(state),
            material.kick * normal(state),
            material.kick * normal(state),
        )
        sx, sy, sz = shares[i] * px + kx, shares[i] * py + ky, shares[i] * pz + kz
        place = _add(out, place, hadron, pdg, charge, sx, sy, sz, mass, x, y, z, NUCLEAR)
    return place


@numba.njit(cache=True)
def _decay_in_flight(out, row, place, state, material):
    """A pion or kaon becomes a muon on its way through the tracker."""
    hadron = out[row]
    is_kaon = abs(hadron.pdg) == 321
    mass, lifetime = (_KAON, 371.2) if is_kaon else (_PION, 780.4)
    flight = exponential(state) * lifetime * hadron.pt / mass
    if flight > material.radius or abs(flight * math.sinh(hadron.eta)) > material.length:
        return place
    if is_kaon and uniform(state) > 0.64:
        return place
    x, y, z, phi = _at(hadron, math.hypot(hadron.x, hadron.y) + flight, material)
    hadron.end, hadron.source = math.hypot(x, y), IN_FLIGHT
    least = (_MUON / mass) ** 2
    pt = hadron.pt * (least + (1.0 - least) * uniform(state))
    px, py, pz = pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(hadron.eta)
    return _add(out, place, hadron, -13 * hadron.charge, hadron.charge, px, py, pz, _MUON, x, y, z, IN_FLIGHT)
