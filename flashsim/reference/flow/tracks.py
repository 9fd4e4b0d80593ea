"""Tracks: which charged particles are reconstructed, and how well.

Resolutions have the forms of the CMS tracker paper (CMS, JINST 9 (2014) P10009, arXiv:1405.6569): momentum a
constant and a part that grows with pT, added in quadrature; impact parameters a constant and multiple scattering,
which falls with pT.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.particles.helix import closest_approach
from flashsim.reference.particles.particle import CONVERSION, IN_FLIGHT, PRIMARY
from flashsim.reference.particles.streams import exponential, gamma, normal, poisson, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TRACK", "Tracker", "TrackerRecipe", "tracks"]

TRACK = np.dtype(
    [
        ("pt", "f8"),
        ("eta", "f8"),
        ("phi", "f8"),
        ("ptErr", "f8"),
        ("d0", "f8"),
        ("d0Err", "f8"),
        ("z", "f8"),
        ("zErr", "f8"),
        ("chi2", "f8"),
        ("brem", "f8"),
        ("ecalEnergy", "f8"),
        ("hcalEnergy", "f8"),
        ("superEnergy", "f8"),
        ("superEta", "f8"),
        ("superPhi", "f8"),
        ("vertexWeight", "f8"),
        ("charge", "i4"),
        ("kind", "i4"),
        ("layers", "i4"),
        ("pixelHits", "i4"),
        ("lostInnerHits", "i4"),
        ("chambers", "i4"),
        ("hit", "i4"),
        ("particle", "i4"),
        ("ecal", "i4"),
        ("hcal", "i4"),
        ("vertex", "i4"),
        ("quality", "?"),
        ("gsf", "?"),
        ("inFlight", "?"),
    ]
)
"""See the columns of tracks in the module `flashsim.reference.flow.recorded`; `hit` is the row of the particle after
transport, -1 of a fake."""


# Of charged pions and kaons: decays to muons per cm at 1 GeV of pT, and the least share of the momentum for the muon.
_DECAYS = np.array([0.13957 / 780.4, 0.64 * 0.49368 / 371.2])
_MUON_SHARE = np.array([(0.10566 / 0.13957) ** 2, (0.10566 / 0.49368) ** 2])


class TrackerRecipe(Recipe):
    """Efficiency and resolution of tracks."""

    max_eta: float = Field(gt=0, description="|eta| up to which there are tracks")
    min_pt: float = Field(gt=0, description="in GeV")
    eta: list[float] = Field(description="|eta| at which what follows is given")
    efficiency: list[float] = Field(description="of hadrons that do not interact, well above threshold")
    turn_on: float = Field(gt=0, description="pT below which efficiency falls, in GeV")
    displaced: float = Field(
        gt=0, description="radius over which efficiency falls with that of production, in cm"
    )
    least_layers: int = Field(ge=3, description="layers that a track needs")
    constant: list[float] = Field(description="relative pT resolution, constant part")
    slope: list[float] = Field(description="the part that grows with pT, per GeV")
    electron_widening: float = Field(ge=0, description="further relative pT resolution per radiated share")
    d0: list[float] = Field(description="impact parameter resolution, constant part, in um")
    d0_scattering: list[float] = Field(description="the same at 1 GeV from scattering, in um")
    dz: list[float] = Field(description="as d0, along the beam, in um")
    dz_scattering: list[float] = Field(description="as d0_scattering, along the beam, in um")
    scattering_power: float = Field(gt=0, description="with which power of pT scattering falls")
    tails: float = Field(
        ge=0, lt=1, description="share of tracks with resolutions that the errors do not tell"
    )
    tail_width: float = Field(ge=1, description="how much wider these are")
    fakes: float = Field(ge=0, description="fake tracks per interaction")
    muon_efficiency: list[float] = Field(description="of muons' chambers, well above threshold")
    muon_momentum: float = Field(gt=0, description="momentum that muons need to reach the chambers, in GeV")
    station_efficiency: float = Field(
        gt=0, le=1, description="share of stations with a segment of fast muons"
    )
    late_decays: float = Field(
        ge=0, description="path in cm beyond the tracker on which hadrons become muons"
    )
    accidental: float = Field(ge=0, description="share of hadrons that a segment of others fits to")
    punch_through: float = Field(ge=0, description="share of hadrons with segments in chambers, per 100 GeV")
    electron_seeding: float = Field(
        gt=0, description="pT of electrons whose seeds are found half of the time, in GeV"
    )
    electron_fakes: float = Field(ge=0, le=1, description="share of hadrons above 4 GeV that look like electrons")
    electron_efficiency: list[float] = Field(description="of electrons as such, well above threshold")

    def tracker(self) -> Tracker:
        """Numbers for kernels."""
        lists = {
            name: np.array(value) for name, value in self.model_dump().items() if isinstance(value, list)
        }
        others = {name: value for name, value in self.model_dump().items() if name not in lists}
        return Tracker(**lists, **others)


class Tracker(NamedTuple):
    """A `TrackerRecipe` as kernels take it."""

    max_eta: float
    min_pt: float
    eta: NDArray[np.float64]
    efficiency: NDArray[np.float64]
    turn_on: float
    displaced: float
    least_layers: int
    constant: NDArray[np.float64]
    slope: NDArray[np.float64]
    electron_widening: float
    d0: NDArray[np.float64]
    d0_scattering: NDArray[np.float64]
    dz: NDArray[np.float64]
    dz_scattering: NDArray[np.float64]
    scattering_power: float
    tails: float
    tail_width: float
    fakes: float
    muon_efficiency: NDArray[np.float64]
    muon_momentum: float
    station_efficiency: float
    late_decays: float
    accidental: float
    punch_through: float
    electron_seeding: float
    electron_fakes: float
    electron_efficiency: NDArray[np.float64]


def tracks(
    offsets: NDArray[np.int64],
    hits: NDArray[Any],
    interactions: NDArray[np.int64],
    states: NDArray[np.uint64],
    tracker: Tracker,
    field: float,
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Reconstruct the tracks of E events.

    Parameters
    ----------
    offsets, hits
        Particles after transport; `reserved` is set for electrons that are found as such and what they radiate.
    interactions
        Shape (E,): how many interactions each event has.
    states
        Shape (E,): a random stream for each event.
    tracker, field
        The tracker, and its field in tesla.

    Returns
    -------
    Offsets, and tracks of type `TRACK`.
    """
    return _tracks(offsets, hits, np.asarray(interactions, dtype=np.int64), states, tracker, field)


@numba.njit(cache=True)
def _tracks(offsets, hits, interactions, states, tracker, field):
    events = len(offsets) - 1
    room = 1024 + len(hits)
    out = np.zeros(room, dtype=TRACK)
    counts = np.zeros(events + 1, dtype=np.int64)
    state = np.empty(1, dtype=np.uint64)
    place = 0
    for event in range(events):
        state[0] = states[event]
        for row in range(offsets[event], offsets[event + 1]):
            hit = hits[row]
            if hit.charge != 0 and hit.pt > tracker.min_pt and abs(hit.eta) < tracker.max_eta + 0.2:
                place += _track(out, place, hits, row, state, tracker, field)
        for _ in range(min(poisson(state, tracker.fakes * (1 + interactions[event])), room - place - 8)):
            _fake(out[place], state, tracker)
            place += 1
        _reserve(hits, offsets[event], offsets[event + 1], out, counts[event], place)
        counts[event + 1] = place
    return counts, out[:place].copy()


@numba.njit(cache=True)
def _track(out, place, hits, row, state, tracker, field):
    """Reconstruct the track of a particle if it has one; gives 1 or 0."""
    hit = hits[row]
    code = abs(hit.pdg)
    radius = math.hypot(hit.x, hit.y)
    eta = abs(hit.eta)
    layers = _layers(radius, hit.end, eta)
    efficiency = np.interp(eta, tracker.eta, tracker.efficiency)
    if code == 13:
        efficiency = 1.0 - 0.15 * (1.0 - efficiency)
    elif code == 11:
        efficiency = 1.0 - 0.8 * (1.0 - efficiency)
    efficiency *= 1.0 - math.exp(-((hit.pt / tracker.turn_on) ** 2))
    efficiency *= math.exp(-radius / tracker.displaced)
    if layers < tracker.least_layers or uniform(state) > efficiency:
        return 0
    track = out[place]
    d0, phi, turn = closest_approach(hit.pt, hit.phi, hit.charge, hit.x, hit.y, field)
    slope = math.sinh(hit.eta)
    z = hit.z - turn * hit.pt / (0.00299792458 * field) * slope
    width = tracker.tail_width if uniform(state) < tracker.tails else 1.0
    lever = max(12.0 / layers, 1.0)  # short tracks measure curvature less well
    relative = (
        math.hypot(
            np.interp(eta, tracker.eta, tracker.constant), hit.pt * np.interp(eta, tracker.eta, tracker.slope)
        )
        * lever
    )
    spread = relative * math.exp(0.15 * normal(state))
    bias = 1.0
    if code == 11 and hit.source == PRIMARY:
        track.brem = 1.0 - hit.energy / max(hit.pt * math.cosh(hit.eta), 1e-9)
        spread = math.hypot(spread, tracker.electron_widening * track.brem)
        bias = 1.0 - 0.3 * track.brem * uniform(state)
    measured = hit.charge / hit.pt / bias * (1.0 + width * spread * normal(state))
    track.charge = 1 if measured > 0.0 else -1
    track.pt = min(1.0 / max(abs(measured), 1e-5), 2.0e4)
    track.ptErr = spread * track.pt
    _place(track, hit, eta, d0, phi, z, slope, width, state, tracker)
    track.layers = min(max(int(layers + 1.4 * normal(state)), tracker.least_layers), 19)
    track.lostInnerHits = _lost_hits(radius, state)
    track.pixelHits = max(4 - track.lostInnerHits, 0) if radius < 14.0 else 0
    track.chi2 = gamma(state, layers) / layers * (1.0 + 0.6 * (width > 1.0))
    track.quality = layers >= 6 or uniform(state) < 0.5
    track.kind = 211
    track.hit, track.particle = row, hit.mother
    track.ecal, track.hcal, track.vertex = -1, -1, -1
    track.inFlight = hit.source == IN_FLIGHT
    _chambers(track, hit, code, eta, state, tracker)
    if code == 11:
        _electron(track, hit, eta, state, tracker)
    elif code > 100 and hit.pt > 4.0 and hit.end > 108.0 and uniform(state) < tracker.electron_fakes:
        # Charge exchange early in ECAL: all energy is there, and the track looks like an electron's.
        track.kind, track.gsf, track.chambers = 11, True, 0
        track.brem = min(0.25 * exponential(state), 0.9)
    return 1


@numba.njit(cache=True)
def _layers(start, end, eta):
    """Tracker layers between two radii: four of pixels, then ten, fewer at the edge."""
    full = 14.0 - 3.0 * max(eta - 2.0, 0.0) / 0.5
    return int(full * max(min(end, 108.0) - max(start, 2.9) + 4.0, 0.0) / 109.0 + 0.5)


@numba.njit(cache=True)
def _place(track, hit, eta, d0, phi, z, slope, width, state, tracker):
    """Measure direction and place of a track."""
    soft = hit.pt**-tracker.scattering_power
    d0_spread = (
        math.hypot(
            np.interp(eta, tracker.eta, tracker.d0), np.interp(eta, tracker.eta, tracker.d0_scattering) * soft
        )
        * 1e-4
    )
    z_spread = (
        math.hypot(
            np.interp(eta, tracker.eta, tracker.dz), np.interp(eta, tracker.eta, tracker.dz_scattering) * soft
        )
        * 1e-4
    )
    far = 1.0 + math.hypot(hit.x, hit.y) / 8.0  # without the inner layers
    if abs(hit.pdg) == 11:  # kinks where it radiated
        kinks = 1.3 * (1.0 + 0.25 * track.brem / (1.05 - track.brem))
        d0_spread, z_spread = d0_spread * kinks, z_spread * math.sqrt(kinks)
    track.d0Err = d0_spread * far * math.exp(0.12 * normal(state))
    track.zErr = z_spread * far * math.exp(0.12 * normal(state))
    track.d0 = d0 + width * track.d0Err * normal(state)
    track.z = z + width * track.zErr * normal(state)
    phi += width * track.d0Err / 10.0 * normal(state)
    track.phi = phi - 2.0 * math.pi * math.floor((phi + math.pi) / (2.0 * math.pi))
    track.eta = math.asinh(slope) + width * track.zErr / 10.0 / math.cosh(hit.eta) * normal(state)


@numba.njit(cache=True)
def _lost_hits(radius, state):
    """Layers inside of the first hit that should have one; -1 in CMS is a hit in the innermost layer."""
    lost = 0
    for layer in (2.9, 6.8, 10.9, 16.0):
        if radius > layer or (lost > 0 and uniform(state) < 0.2) or uniform(state) < 0.06:
            lost += 1
        else:
            break
    return lost


@numba.njit(cache=True)
def _chambers(track, hit, code, eta, state, tracker):
    """Segments in the muon chambers: of muons that reach them, of decays in flight, and of some hadrons."""
    if code == 13:
        track.kind = 13
    if eta > 2.4:
        return
    momentum = hit.pt * (1.0 if eta < 1.2 else math.cosh(hit.eta) / math.cosh(1.2))
    least = 1.0
    if code == 211 or code == 321:
        kind = 1 if code == 321 else 0
        least = _MUON_SHARE[kind]
        chance = tracker.late_decays * _DECAYS[kind] / hit.pt
        track.inFlight = hit.source == IN_FLIGHT or (hit.end > 108.0 and uniform(state) < chance)
    if code == 13 or track.inFlight:
        track.kind = 13
        momentum *= least + (1.0 - least) * uniform(state)
        passed = 1.0 / (1.0 + math.exp(-(momentum - tracker.muon_momentum) / (0.12 * tracker.muon_momentum)))
        if uniform(state) < passed * np.interp(eta, tracker.eta, tracker.muon_efficiency):
            reach = tracker.station_efficiency * (1.0 - math.exp(-momentum / (0.5 * tracker.muon_momentum)))
            for _ in range(4):
                track.chambers += uniform(state) < reach
            track.chambers = max(track.chambers, 1)
    elif uniform(state) < tracker.accidental + tracker.punch_through * min(momentum, 100.0) / 100.0:
        track.chambers = 1 + (uniform(state) < 0.25)


@numba.njit(cache=True)
def _electron(track, hit, eta, state, tracker):
    """Whether electron seeding finds it: better at high pT, worse the more it radiated and where displaced."""
    track.kind = 11
    efficiency = np.interp(eta, tracker.eta, tracker.electron_efficiency)
    efficiency /= 1.0 + (tracker.electron_seeding / hit.pt) ** 3
    if hit.source == CONVERSION:  # seeds need hits in the pixels
        efficiency *= 0.7 if track.lostInnerHits < 2 else 0.02
    track.gsf = uniform(state) < efficiency


@numba.njit(cache=True)
def _fake(track, state, tracker):
    """A track of hits that do not belong together."""
    track.pt = tracker.min_pt * (1.0 + 2.0 * exponential(state))
    if uniform(state) < 0.05:
        track.pt *= 1.0 + 4.0 * exponential(state)
    track.eta = tracker.max_eta * (2.0 * uniform(state) - 1.0)
    track.phi = math.pi * (2.0 * uniform(state) - 1.0)
    track.charge = 1 if uniform(state) < 0.5 else -1
    track.ptErr = track.pt * (0.02 + 0.05 * exponential(state))
    track.d0Err, track.zErr = 0.01 * (1.0 + exponential(state)), 0.02 * (1.0 + exponential(state))
    track.d0 = 0.3 * normal(state) * exponential(state)
    track.z = 5.0 * normal(state)
    track.chi2 = 1.5 + exponential(state)
    track.layers = 5 + int(4.0 * uniform(state))
    track.lostInnerHits, track.pixelHits = int(3.0 * uniform(state)), 2
    track.quality = uniform(state) < 0.3
    track.kind, track.hit, track.particle = 211, -1, -1
    track.ecal, track.hcal, track.vertex = -1, -1, -1


@numba.njit(cache=True)
def _reserve(hits, first, last, out, first_track, last_track):
    """Mark electrons that are found, and their radiation: their superclusters take the energy."""
    for i in range(first_track, last_track):
        if out[i].gsf and out[i].hit >= 0:
            hits[out[i].hit].reserved = i + 1
    for i in range(first_track, last_track):
        if out[i].gsf and out[i].hit >= 0 and hits[out[i].hit].source == PRIMARY:
            mother = out[i].particle
            for row in range(first, last):
                hit = hits[row]
                if hit.mother == mother and hit.reserved == 0 and (hit.pdg == 22 or abs(hit.pdg) == 11):
                    hit.reserved = i + 1
