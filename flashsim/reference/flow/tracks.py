"""Tracks: which charged particles are reconstructed, and how well.

Resolutions have the forms of the CMS tracker paper (CMS, JINST 9 (2014) P10009, arXiv:1405.6569): momentum a
constant and a part that grows with pT, added in quadrature; impact parameters a constant and multiple
scattering, which falls with pT.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from pydantic import Field

from flashsim.reference.particles.helix import BEND, closest_approach
from flashsim.reference.particles.kernel_recipe import KernelRecipe, eta_bin
from flashsim.reference.particles.particle import CONVERSION, DECAYED, IN_FLIGHT, PRIMARY, Rows
from flashsim.reference.particles.streams import exponential, gamma, normal, poisson, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TRACK", "TrackerRecipe", "tracks"]

_FLOATS = (
    "pt eta phi ptErr d0 d0Err z zErr chi2 brem ecalEnergy hcalEnergy superEnergy superEta superPhi "
    "vertexWeight"
)
_INTEGERS = "charge kind layers pixelHits lostInnerHits chambers hit particle ecal hcal vertex"
TRACK = np.dtype(
    [(name, "f8") for name in _FLOATS.split()]
    + [(name, "i4") for name in _INTEGERS.split()]
    + [(name, "?") for name in ("quality", "gsf", "lost", "inFlight")]
)
"""See the columns of tracks in the module `flashsim.reference.flow.recorded`; `hit` is the row of the
particle after transport, -1 of a fake."""

_EMPTY = np.zeros(1, dtype=TRACK)
for _name in ("hit", "particle", "ecal", "hcal", "vertex"):
    _EMPTY[_name] = -1


_BEAM_PIPE, _FIRST_LAYER = 2.0, 2.9  # cm: tracks from inside of them have all hits
_SAME_VERTEX = 0.2  # cm along the beam, of tracks that isolation counts (CMSSW, electronTrackIsolation)
_WINDOW = (0.03, 0.1)  # in eta and phi, of photons that superclusters take
_TURN = 0.735  # GeV: half of the radius of ECAL's face over that of a track of 1 GeV in 3.8 T

# Charged pions and kaons: decays to muons per cm at 1 GeV of pT, and the muon's least share of the momentum.
_DECAYS = np.array([0.13957 / 780.4, 0.64 * 0.49368 / 371.2])
_MUON_SHARE = np.array([(0.10566 / 0.13957) ** 2, (0.10566 / 0.49368) ** 2])


class TrackerRecipe(KernelRecipe):
    """Efficiency and resolution of tracks."""

    max_eta: float = Field(gt=0, description="|eta| up to which there are tracks")
    min_pt: float = Field(gt=0, description="in GeV")
    eta: list[float] = Field(description="|eta| at which what follows is given")
    efficiency: list[float] = Field(description="of hadrons that do not interact, well above threshold")
    turn_on: list[float] = Field(description="pT below which efficiency falls, in GeV")
    displaced: float = Field(gt=0, description="radius over which efficiency falls, turn_on doubles, in cm")
    least_layers: int = Field(ge=3, description="layers that a track needs")
    constant: list[float] = Field(description="relative pT resolution, constant part")
    slope: list[float] = Field(description="the part that grows with pT, per GeV")
    electron_widening: float = Field(ge=0, description="further relative pT resolution per radiated share")
    d0: list[float] = Field(description="impact parameter resolution, constant part, in um")
    d0_scattering: list[float] = Field(description="the same at 1 GeV from scattering, in um")
    dz: list[float] = Field(description="as d0, along the beam, in um")
    dz_scattering: list[float] = Field(description="as d0_scattering, along the beam, in um")
    scattering_power: float = Field(gt=0, description="with which power of pT scattering falls")
    lever: float = Field(gt=0, description="impact parameter over angle resolution, in cm")
    tails: float = Field(ge=0, lt=1, description="share of tracks that are worse than their errors")
    tail_width: float = Field(ge=1, description="how much wider these are")
    fakes: float = Field(ge=0, description="fake tracks per interaction")
    muon_efficiency: list[float] = Field(description="of muons' chambers, well above threshold")
    muon_momentum: float = Field(gt=0, description="momentum that muons need to reach the chambers, in GeV")
    station_efficiency: float = Field(
        gt=0, le=1, description="share of stations with a segment of fast muons"
    )
    late_decays: float = Field(ge=0, description="cm beyond the tracker on which hadrons become muons")
    accidental: float = Field(ge=0, description="share of hadrons of 1 GeV that a segment of others fits to")
    muon_loss: tuple[float, float] = Field(
        description="share of soft muons that particle flow takes for hadrons, and pT where it is a half"
    )
    shared_segments: tuple[float, float] = Field(
        description="share of tracks near a muon that its hits fit to, too, and the distance that is near"
    )
    seeded_fakes: float = Field(
        ge=0, description="fake tracks that a search from its segments adds to a muon"
    )
    punch_through: float = Field(ge=0, description="share of hadrons with segments in chambers, per 100 GeV")
    electron_seeding: float = Field(gt=0, description="pT at which half of the electrons have a seed, in GeV")
    electron_fakes: float = Field(ge=0, le=1, description="share of hadrons above 4 GeV like electrons")
    electron_isolation: tuple[float, float] = Field(
        description="pT of tracks around that halves their share: of hadrons in GeV, of electrons times pT"
    )
    electron_loss: tuple[float, float] = Field(
        description="share of soft electrons that particle flow takes for hadrons, and pT where it is a half"
    )
    electron_efficiency: list[float] = Field(description="of electrons as such, well above threshold")


def tracks(
    hits: Rows, interactions: NDArray[np.int64], states: NDArray[np.uint64], tracker: Any, field: float
) -> Rows:
    """Reconstruct the tracks of E events, of type `TRACK`.

    Parameters
    ----------
    hits
        Particles after transport; `reserved` is set for electrons that are found as such and what they
        radiate.
    interactions
        Shape (E,): how many pileup interactions each event has.
    states
        Shape (E,): a random stream for each event.
    tracker, field
        Numbers of a `TrackerRecipe`, and the field in tesla.
    """
    return Rows(*_tracks(hits, interactions, states, tracker, field))


@numba.njit(cache=True)
def _tracks(hits, interactions, states, tracker, field):
    events = len(states)
    fakes = int(2.0 * tracker.fakes * interactions.sum()) + 100 * events
    out = np.empty(len(hits.rows) + fakes, dtype=TRACK)
    counts = np.zeros(events + 1, dtype=np.int64)
    state = np.empty(1, dtype=np.uint64)
    place = 0
    for event in range(events):
        state[0] = states[event]
        first, last = hits.offsets[event], hits.offsets[event + 1]
        for row in range(first, last):
            hit = hits.rows[row]
            if hit.charge != 0 and hit.pt > tracker.min_pt and abs(hit.eta) < tracker.max_eta:
                place += _track(out, place, hit, row, state, tracker, field)
        for _ in range(min(poisson(state, tracker.fakes * (1 + interactions[event])), len(out) - place)):
            _fake(out, place, state, tracker)
            place += 1
        place = _near_muons(out, counts[event], place, state, tracker)
        found = out[counts[event] : place]
        _isolate(found, hits.rows, state, tracker)
        _reserve(hits.rows, first, last, found, counts[event])
        counts[event + 1] = place
    return counts, out[:place].copy()


@numba.njit(cache=True)
def _track(out, place, hit, row, state, tracker, field):
    """Reconstruct the track of a particle if it has one; gives 1 or 0."""
    code, decayed = abs(hit.pdg), hit.reserved == DECAYED
    if hit.source == IN_FLIGHT:  # its hits are those of its mother's track
        return 0
    radius = math.hypot(hit.x, hit.y)
    at = eta_bin(hit.eta)
    layers = _layers(radius, np.inf if decayed else hit.end, abs(hit.eta))
    efficiency = tracker.efficiency[at]
    if code == 13:
        efficiency = 1.0 - 0.08 * (1.0 - efficiency)
    elif code == 11:
        efficiency = 1.0 - 0.4 * (1.0 - efficiency)
    threshold = tracker.turn_on[at]
    if radius > _BEAM_PIPE:  # found in later iterations, which take harder tracks only
        efficiency *= math.exp(-(radius - _BEAM_PIPE) / tracker.displaced)
        threshold *= 1.0 + radius / tracker.displaced
    efficiency *= 1.0 - math.exp(-((hit.pt / threshold) ** 2))
    if layers < tracker.least_layers or uniform(state) > efficiency:
        return 0
    out[place] = _EMPTY[0]
    track = out[place]
    width = tracker.tail_width if decayed or uniform(state) < tracker.tails else 1.0
    relative = math.hypot(tracker.constant[at], hit.pt * tracker.slope[at])
    relative *= max(12.0 / layers, 1.0) * math.exp(
        0.15 * normal(state)
    )  # short tracks measure curvature less well
    bias = 1.0
    if code == 11 and hit.source == PRIMARY:
        track.brem = 1.0 - hit.energy / max(hit.pt * math.cosh(hit.eta), 1e-9)
        relative = math.hypot(relative, tracker.electron_widening * track.brem)
        bias = 1.0 - 0.1 * track.brem * uniform(state)
    measured = hit.charge / hit.pt / bias * (1.0 + width * relative * normal(state))
    track.charge = 1 if measured > 0.0 else -1
    track.pt = min(1.0 / max(abs(measured), 1e-5), 2.0e4)
    track.ptErr = relative * track.pt
    far = 1.0 + max(radius - _FIRST_LAYER, 0.0) / 8.0  # without the inner layers it is a longer way back
    _place(track, hit, at, far, width, state, tracker, field)
    track.layers = min(max(int(layers + 1.4 * normal(state)), tracker.least_layers), 19)
    track.lostInnerHits = _lost_hits(radius, state)
    track.pixelHits = max(4 - track.lostInnerHits, 0) if radius < 14.0 else 0
    track.chi2 = gamma(state, layers) / layers * (1.0 + 0.6 * (width > 1.0))
    track.quality = layers >= 6 or uniform(state) < 0.5
    track.kind, track.hit, track.particle = 211, row, hit.mother
    _chambers(track, hit, code, at, state, tracker)
    if code == 11:
        _electron(track, hit, at, state, tracker)
    elif (
        code > 100
        and hit.pt > 4.0
        and hit.end > 108.0
        and tracker.electron_efficiency[at] > 0.5
        and uniform(state) < tracker.electron_fakes
    ):
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
def _place(track, hit, at, far, width, state, tracker, field):
    """Measure direction and place of a track."""
    d0, phi, turn = closest_approach(hit.pt, hit.phi, hit.charge, hit.x, hit.y, field)
    z = hit.z - turn * hit.pt / (BEND * field) * math.sinh(hit.eta)
    soft = hit.pt**-tracker.scattering_power
    track.d0Err = math.hypot(tracker.d0[at], tracker.d0_scattering[at] * soft) * 1e-4 * far
    track.zErr = math.hypot(tracker.dz[at], tracker.dz_scattering[at] * soft) * 1e-4 * far
    if abs(hit.pdg) == 11:  # kinks where it radiated
        track.d0Err *= 1.3 * (1.0 + 0.25 * track.brem / (1.05 - track.brem))
    common = math.exp(0.12 * normal(state))
    track.d0Err *= common
    track.zErr *= common
    track.d0 = d0 + width * track.d0Err * normal(state)
    track.z = z + width * track.zErr * normal(state)
    phi += width * track.d0Err / tracker.lever * normal(state)
    track.phi = phi - 2.0 * math.pi * math.floor((phi + math.pi) / (2.0 * math.pi))
    track.eta = hit.eta + width * track.zErr / tracker.lever / math.cosh(hit.eta) * normal(state)


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
def _chambers(track, hit, code, at, state, tracker):
    """Segments in the muon chambers: of muons that reach them, of decays in flight, and of some hadrons."""
    if code == 13:
        track.kind = 13
    if abs(hit.eta) > 2.4:
        return
    momentum = hit.pt * max(math.cosh(hit.eta) / math.cosh(1.2), 1.0)
    least = 1.0
    if code == 211 or code == 321:
        kind = 1 if code == 321 else 0
        least = _MUON_SHARE[kind]
        chance = tracker.late_decays * _DECAYS[kind] / hit.pt
        track.inFlight = hit.reserved == DECAYED or (hit.end > 108.0 and uniform(state) < chance)
    if code == 13 or track.inFlight:
        track.kind = 13
        momentum *= least + (1.0 - least) * uniform(state)
        passed = 1.0 / (1.0 + math.exp(-(momentum / tracker.muon_momentum - 1.0) / 0.12))
        if uniform(state) < passed * tracker.muon_efficiency[at]:
            reach = tracker.station_efficiency * (1.0 - math.exp(-momentum / (0.5 * tracker.muon_momentum)))
            if track.inFlight and uniform(state) < 0.8:  # the kink makes segments miss
                reach *= 0.45
            for _ in range(4):
                track.chambers += uniform(state) < reach
            track.chambers = max(track.chambers, 1)
        if hit.reserved == DECAYED:  # one track through a kink
            track.d0 += 0.1 * normal(state) * exponential(state)
            track.z += 0.3 * normal(state) * exponential(state)
            track.quality = uniform(state) < 0.4
        most, half = tracker.muon_loss
        track.lost = uniform(state) < most / (1.0 + (hit.pt / half) ** 2)
        return
    chance = tracker.accidental / hit.pt + tracker.punch_through * min(momentum, 100.0) / 100.0
    if uniform(state) < chance:
        track.chambers = 1 + (uniform(state) < 0.1)


@numba.njit(cache=True)
def _electron(track, hit, at, state, tracker):
    """Whether electron seeding finds it: better at high pT, worse where displaced."""
    track.kind = 11
    efficiency = tracker.electron_efficiency[at] / (1.0 + (tracker.electron_seeding / hit.pt) ** 3)
    if hit.source == CONVERSION:  # seeds need hits in the pixels
        efficiency *= 0.7 if track.lostInnerHits < 2 else 0.02
    track.gsf = uniform(state) < efficiency
    most, half = tracker.electron_loss
    track.lost = uniform(state) < most / (1.0 + (hit.pt / half) ** 2)


@numba.njit(cache=True)
def _fake(out, place, state, tracker):
    """Add a track of hits that do not belong together."""
    out[place] = _EMPTY[0]
    track = out[place]
    track.pt = tracker.min_pt * (1.0 + 2.0 * exponential(state))
    if uniform(state) < 0.05:
        track.pt *= 1.0 + 4.0 * exponential(state)
    track.eta = tracker.max_eta * (2.0 * uniform(state) - 1.0)
    track.phi = math.pi * (2.0 * uniform(state) - 1.0)
    track.charge = 1 if uniform(state) < 0.5 else -1
    track.ptErr = track.pt * (0.02 + 0.05 * exponential(state))
    track.d0Err, track.zErr = 0.01 * (1.0 + exponential(state)), 0.02 * (1.0 + exponential(state))
    track.d0, track.z = 0.3 * normal(state) * exponential(state), 5.0 * normal(state)
    track.chi2, track.layers = 1.5 + exponential(state), 5 + int(4.0 * uniform(state))
    track.lostInnerHits, track.pixelHits = int(3.0 * uniform(state)), 2
    track.quality, track.kind = uniform(state) < 0.3, 211


@numba.njit(cache=True)
def _near_muons(out, first, place, state, tracker):
    """Let tracks near muons seem muons, and add fake ones that muons seed; gives where the tracks end.

    Segments go to one track; others that lose them stay muons without any (`chambers` -1).
    """
    share, near = tracker.shared_segments
    last = place
    for m in range(first, last):
        if out[m].kind != 13 or out[m].chambers < 1 or out[m].pt < 3.0:
            continue
        for i in range(first, last):
            track = out[i]
            if track.chambers == 0 and track.pt > 3.0 and abs(track.eta - out[m].eta) < near:
                turn = track.phi - out[m].phi
                turn -= 2.0 * math.pi * round(turn / (2.0 * math.pi))
                if math.hypot(track.eta - out[m].eta, turn) < near and uniform(state) < share:
                    track.chambers = 1 if uniform(state) < 0.3 else -1
        if place < len(out) and uniform(state) < tracker.seeded_fakes:
            _fake(out, place, state, tracker)
            track = out[place]
            track.charge, track.chambers = out[m].charge, -1
            track.pt = out[m].pt * math.exp(0.3 * normal(state))
            track.ptErr = track.pt * (0.01 + 0.02 * exponential(state))
            track.eta, track.phi = out[m].eta + 0.02 * normal(state), out[m].phi + 0.02 * normal(state)
            track.z = out[m].z + 12.0 * normal(state)
            track.layers, track.pixelHits, track.quality = 5 + int(3.0 * uniform(state)), 0, False
            place += 1
    return place


@numba.njit(cache=True)
def _near(track, eta, phi, most_eta, most_phi):
    turn = phi - track.phi
    turn -= 2.0 * math.pi * round(turn / (2.0 * math.pi))
    return abs(eta - track.eta) < most_eta and abs(turn) < most_phi


@numba.njit(cache=True)
def _isolate(tracks, hits, state, tracker):
    """Lose electrons where many tracks are near, fakes more than others: particle flow asks for isolation."""
    least, relative = tracker.electron_isolation
    for track in tracks:
        if not track.gsf:
            continue
        around = -track.pt
        for other in tracks:
            if abs(other.z - track.z) < _SAME_VERTEX and _near(track, other.eta, other.phi, 0.3, 0.3):
                around += other.pt
        electron = abs(hits[track.hit].pdg) == 11
        scale = relative * track.pt if electron else least
        if uniform(state) * (1.0 + around / scale) > 1.0:
            track.gsf = False
            if not electron:
                track.kind, track.brem = 211, 0.0


@numba.njit(cache=True)
def _reserve(hits, first, last, tracks, first_track):
    """Mark what superclusters of electrons take: their radiation, and photons where they arrive."""
    for i, track in enumerate(tracks):
        if track.gsf:
            hits[track.hit].reserved = first_track + i + 1
    for i, track in enumerate(tracks):
        if not track.gsf or hits[track.hit].source != PRIMARY:
            continue
        turn = track.charge * _TURN / track.pt
        for row in range(first, last):
            hit = hits[row]
            if hit.reserved != 0 or (hit.pdg != 22 and abs(hit.pdg) != 11):
                continue
            near = hit.pdg == 22 and _near(track, hit.eta, hit.phi + turn, *_WINDOW)
            if near or hit.mother == track.particle:
                hit.reserved = first_track + i + 1
