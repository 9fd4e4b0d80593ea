"""Particle flow: tracks and clusters become candidates, each particle once.

The rules are CMS's (CMS, JINST 12 (2017) P10003, arXiv:1706.04965) on simpler clusters. Muons and electrons
come first. Every other track is a charged hadron, linked to the clusters that it points at. Where the linked
clusters hold more than the momenta by more than the resolution, the excess is a photon, as far as ECAL has
it, and a neutral hadron. Clusters without a track are photons, neutral hadrons, and beyond the tracker
hadrons of both calorimeters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.reference.flow.calorimeters import (
    CLUSTER,
    cell_of,
    clear,
    cluster,
    deposit,
    deposit_early,
    em_spread,
    eta_of,
    grids,
    phi_of,
)
from flashsim.reference.flow.density import tower_density
from flashsim.reference.particles.helix import reach
from flashsim.reference.particles.kernel_recipe import KernelRecipe, borrowing
from flashsim.reference.particles.particle import Rows
from flashsim.reference.particles.streams import normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.calorimeters import CalorimeterRecipe
    from flashsim.reference.particles.overlay import Interactions, Library

__all__ = ["CANDIDATE", "FlowRecipe", "Found", "particle_flow"]

CANDIDATE = np.dtype(
    [(name, "f8") for name in ("pt", "eta", "phi", "mass", "energy", "hcalFraction")]
    + [(name, "i4") for name in ("pdgId", "charge", "track", "cluster", "particle")]
)
"""See the columns of candidates in the module `flashsim.reference.flow.recorded`."""

_MASSES = (0.13957, 0.000511, 0.10566)
_CLUSTERS, _CANDIDATES = 4000, 6000  # room for what events have beside one for every particle


class FlowRecipe(KernelRecipe):
    """Rules of particle flow."""

    excess: float = Field(ge=0, description="an excess counts if it is so many resolutions")
    excess_resolution: list[float] = Field(description="of linked clusters: stochastic and constant term")
    photon_excess: float = Field(ge=0, description="least energy of a photon that is an excess, in GeV")
    hadron_excess: float = Field(ge=0, description="least energy of a neutral hadron that is one, in GeV")
    tracker: float = Field(gt=0, description="beyond this |eta| ECAL clusters before HCAL ones are theirs")
    photon_scale: float = Field(gt=0, description="calibration of photons")
    neutral_scale: float = Field(gt=0, description="calibration of neutral hadrons")
    muon_layers: int = Field(ge=0, description="tracker layers that a muon candidate needs")
    muon_chambers: int = Field(ge=1, description="muon stations that a muon candidate needs")
    electron_pt: float = Field(ge=0, description="least pT of electron candidates, in GeV")
    charged_error: float = Field(gt=0, description="largest relative pT error of a charged hadron's track")
    masked_error: float = Field(gt=0, description="pT error of tracks that may be wrong, in GeV")
    lack: float = Field(ge=0, description="they are if so many resolutions of energy are missing")


class Found(NamedTuple):
    """What particle flow finds in E events.

    Parameters
    ----------
    clusters
        ECAL clusters and the superclusters of electrons, of type `CLUSTER`.
    candidates
        Of type `CANDIDATE`.
    towers
        Shape (E,): rho of the calorimeters' cells.
    """

    clusters: Rows
    candidates: Rows
    towers: NDArray[np.float64]


class _Event(NamedTuple):
    """Rows of an event that rules of particle flow look at; candidates are added, counted in `number`."""

    tracks: Any
    clusters: Any
    towers: Any
    candidates: Any
    number: Any
    vertex_z: float
    first_track: int
    first_cluster: int
    radius: float
    length: float


def particle_flow(
    hits: Rows,
    tracks: Rows,
    vertex_z: NDArray[np.float64],
    pileup: tuple[Interactions, Library],
    states: NDArray[np.uint64],
    recipes: tuple[CalorimeterRecipe, FlowRecipe],
    field: float,
) -> Found:
    """Give the candidates of E events; `tracks` learn which clusters they are linked to.

    Parameters
    ----------
    hits, tracks
        Particles after transport, and reconstructed tracks.
    vertex_z
        Shape (E,): where the primary vertex is; neutral candidates come from there.
    pileup
        Calorimeters see other crossings, too.
    states
        Shape (E,): a random stream for each event.
    recipes, field
        Parameters; the field in tesla.
    """
    calorimeter, linking = recipes[0].numbers(), recipes[1].numbers()
    found = _particle_flow(
        hits, tracks, vertex_z, pileup, states, calorimeter, grids(recipes[0]), linking, field
    )
    return Found(Rows(*found[:2]), Rows(*found[2:4]), found[4])


@numba.njit(cache=True)
def _particle_flow(hits, tracks, vertex_z, pileup, states, calorimeter, cells, linking, field):
    events = len(states)
    clusters = np.empty(len(hits.rows) + _CLUSTERS * events, dtype=CLUSTER)
    candidates = np.empty(len(hits.rows) + _CANDIDATES * events, dtype=CANDIDATE)
    towers = np.empty(len(cells[1].cells), dtype=CLUSTER)
    cluster_counts = np.zeros(events + 1, dtype=np.int64)
    candidate_counts = np.zeros(events + 1, dtype=np.int64)
    place, density = np.zeros((len(hits.rows), 2)), np.zeros(events)
    state = np.empty(1, dtype=np.uint64)
    interactions, library = pileup
    for event in range(events):
        state[0] = states[event]
        first, last = hits.offsets[event], hits.offsets[event + 1]
        deposit(cells, first, last, hits.rows, place, state, calorimeter, field)
        deposit_early(cells, interactions, event, library, calorimeter)
        made, placed = cluster_counts[event], candidate_counts[event]
        in_ecal = cluster(cells[0], event, clusters[made:])
        in_hcal = cluster(cells[1], event, towers)
        start = tracks.offsets[event]
        own = _Event(
            tracks.rows[start : tracks.offsets[event + 1]],
            clusters[made : made + in_ecal],
            towers[:in_hcal],
            candidates[placed:],
            np.zeros(1, dtype=np.int64),
            vertex_z[event],
            start,
            made,
            calorimeter.radius,
            calorimeter.length,
        )
        _link(own, place, cells, calorimeter, field)
        masked = _masked(own, linking)
        _charged(own, masked, linking)
        _excess(own, masked, linking)
        _unlinked(own, hits.rows, cells[1], linking)
        _forward(own, cells[2], cells[3], hits.rows, calorimeter.hf_least)
        made += in_ecal
        room, span = clusters[made:], (first, last)
        made += _superclusters(own, hits.rows, span, place, state, room, event, calorimeter.em)
        _behind(clusters[cluster_counts[event] : made], cells[1])
        _electrons(own, linking)
        cluster_counts[event + 1], candidate_counts[event + 1] = made, placed + own.number[0]
        density[event] = tower_density(cells[0], cells[1], calorimeter.tower_scale)
        for grid in cells:
            clear(grid)
    found = clusters[: cluster_counts[-1]].copy(), candidates[: candidate_counts[-1]].copy()
    return cluster_counts, found[0], candidate_counts, found[1], density


@borrowing
def _label(grid, eta, phi):
    """Row of the cluster at a direction: that of the cell there or of the most energetic one beside it."""
    best, most = -1, 0.0
    for step in (0.0, -1.0, 1.0):
        for side in (0.0, -1.0, 1.0):
            place = cell_of(grid, eta + step * grid.size_eta, phi + side * grid.size_phi)
            if place < 0 or grid.cells[place].label < 0:
                continue
            if step == 0.0 and side == 0.0:
                return grid.cells[place].label
            if grid.cells[place].energy > most:
                best, most = grid.cells[place].label, grid.cells[place].energy
    return best


@borrowing
def _link(own, place, cells, calorimeter, field):
    """Link tracks to the clusters that they point at."""
    for track in own.tracks:
        eta, phi = np.nan, 0.0
        if track.hit >= 0:
            eta, phi = place[track.hit, 0], place[track.hit, 1]
        if math.isnan(eta):  # ended in the tracker, or a fake: the track is extrapolated all the same
            momentum, start = (track.pt, track.eta, track.phi), (0.0, 0.0, track.z)
            arrives, eta, phi, _ = reach(
                momentum, track.charge, start, field, own.radius, own.length, calorimeter.turns
            )
            if not arrives:
                continue
        if track.gsf:
            continue
        track.ecal = _label(cells[0], eta, phi)
        if track.ecal >= 0:
            own.clusters[track.ecal].tracks += 1
        cell = cell_of(cells[1], eta, phi)
        track.hcal = cells[1].cells[cell].label if cell >= 0 else -1
        if track.hcal >= 0:
            own.towers[track.hcal].tracks += 1


@borrowing
def _candidate(own, pdg, pt, eta, phi, mass, row, particle):
    """Add a candidate; gives it. `row` is that of its track, -1 for a neutral one."""
    new = own.candidates[own.number[0]]
    own.number[0] += 1
    new.pt, new.eta, new.phi, new.mass, new.hcalFraction = pt, eta, phi, mass, 0.0
    new.energy = math.hypot(pt * math.cosh(eta), mass)
    new.pdgId, new.charge, new.track, new.cluster, new.particle = pdg, 0, -1, -1, particle
    if row >= 0:
        track = own.tracks[row]
        new.charge, new.track = track.charge, own.first_track + row
        new.cluster = own.first_cluster + track.ecal if track.ecal >= 0 else -1
    return new


@borrowing
def _neutral(own, pdg, energy, eta, phi, particle):
    """Add a neutral candidate of an energy at a place of the calorimeters, seen from the primary vertex."""
    slope = math.sinh(eta)
    radius = min(own.radius, own.length / max(abs(slope), 1e-6))
    seen = math.asinh(slope - own.vertex_z / radius)
    new = _candidate(own, pdg, energy / math.cosh(seen), seen, phi, 0.0, -1, particle)
    new.hcalFraction = 1.0 if pdg == 130 else 0.0
    return new


@borrowing
def _of_track(own, row, kind, pt):
    """Add the candidate of a track: a hadron (0), an electron (1) or a muon (2)."""
    track = own.tracks[row]
    pdg = (211, -11, -13)[kind] * track.charge
    _candidate(own, pdg, pt, track.eta, track.phi, _MASSES[kind], row, track.particle)


@borrowing
def _momentum(track):
    """Momentum of a track that calorimeters should see."""
    return 0.0 if track.kind == 13 and track.chambers > 0 else track.pt * math.cosh(track.eta)


@numba.njit(cache=True)
def _masked(own, linking):
    """Tracks without the energy that they should leave, worst measured first: their momentum is wrong.

    JINST 12 (2017) P10003, section 4.3: in jets' cores and with few hits, a track seems far too straight.
    """
    tracks, clusters, towers = own.tracks, own.clusters, own.towers
    masked = np.zeros(len(tracks), dtype=np.bool_)
    if len(tracks) == 0 or np.max(tracks["ptErr"]) < linking.masked_error:
        return masked
    towers_at = len(clusters)  # a place for each cluster, each tower, and one for tracks that point at none
    lack, expected = np.zeros(towers_at + len(towers) + 1), np.zeros(towers_at + len(towers) + 1)
    seen = np.zeros(len(clusters), dtype=np.bool_)
    where = np.full(len(tracks), -1, dtype=np.int64)
    for row in range(len(tracks)):
        track = tracks[row]
        if track.gsf:
            continue
        where[row] = towers_at + track.hcal if track.hcal >= 0 else track.ecal
        lack[where[row]] += _momentum(track)
        expected[where[row]] += _momentum(track)
        if track.ecal >= 0 and not seen[track.ecal]:
            seen[track.ecal] = True
            lack[where[row]] -= clusters[track.ecal].energy
    for row in range(len(towers)):
        lack[towers_at + row] -= towers[row].energy
    for row in np.argsort(-tracks["ptErr"]):
        track, place = tracks[row], where[row]
        if track.ptErr < linking.masked_error:
            break
        momentum = _momentum(track)
        if track.gsf or momentum == 0.0:
            continue
        short, sum_ = (momentum, momentum) if place < 0 else (lack[place], expected[place])
        if short > linking.lack * _spread(sum_, linking):
            masked[row] = True
            lack[place] -= momentum
            expected[place] -= momentum
    return masked


@borrowing
def _charged(own, masked, linking):
    for row in range(len(own.tracks)):
        track = own.tracks[row]
        if masked[row] or track.gsf or (track.chambers < 0 and not track.quality):
            continue
        is_muon = (
            track.kind == 13
            and not track.lost
            and track.chambers >= linking.muon_chambers
            and track.layers >= linking.muon_layers
        )
        if is_muon:
            _of_track(own, row, 2, track.pt)
        elif track.ptErr < linking.charged_error * track.pt:
            _of_track(own, row, 0, track.pt)


@numba.njit(cache=True)
def _excess(own, masked, linking):
    """Energy of linked clusters beyond the momenta: by HCAL cluster, else by ECAL cluster."""
    tracks, clusters, towers = own.tracks, own.clusters, own.towers
    momentum = np.zeros(
        (len(towers), 2)
    )  # of the tracks, and the energy in the ECAL clusters that they point at
    alone = np.zeros(
        (len(clusters), 2)
    )  # momentum of tracks without an HCAL cluster, and 1 if it is taken already
    best = np.full(len(towers), -1, dtype=np.int64)
    owner = np.full(len(towers) + len(clusters), -1, dtype=np.int64)
    for row in range(len(tracks)):
        track = tracks[row]
        own_momentum = 0.0 if masked[row] else _momentum(track)
        if track.hcal < 0:
            if track.ecal >= 0:
                alone[track.ecal, 0] += own_momentum
                owner[len(towers) + track.ecal] = track.particle
            continue
        momentum[track.hcal, 0] += own_momentum
        if track.ecal >= 0 and alone[track.ecal, 1] == 0.0:
            found = clusters[track.ecal]
            alone[track.ecal, 1] = 1.0
            momentum[track.hcal, 1] += found.energy
            if best[track.hcal] < 0 or found.energy > clusters[best[track.hcal]].energy:
                best[track.hcal] = track.ecal
        owner[track.hcal] = track.particle
    for row in range(len(towers)):
        if towers[row].tracks > 0:
            over = _over(towers[row].energy + momentum[row, 1], momentum[row, 0], linking)
            photon = min(over, momentum[row, 1])
            if photon > linking.photon_excess and best[row] >= 0:
                _photon(own, best[row], photon, owner[row])
            if over - photon > linking.hadron_excess:
                _neutral(
                    own,
                    130,
                    (over - photon) * linking.neutral_scale,
                    towers[row].eta,
                    towers[row].phi,
                    owner[row],
                )
    for row in range(len(clusters)):
        if clusters[row].tracks > 0 and alone[row, 1] == 0.0:
            over = _over(clusters[row].energy, alone[row, 0], linking)
            if over > linking.photon_excess:
                _photon(own, row, over, owner[len(towers) + row])
    for track in tracks:
        own_momentum = track.pt * math.cosh(track.eta)
        if track.hcal >= 0:
            track.hcalEnergy = (
                towers[track.hcal].energy * own_momentum / max(momentum[track.hcal, 0], own_momentum)
            )
        if track.ecal >= 0:
            track.ecalEnergy = clusters[track.ecal].energy / clusters[track.ecal].tracks


@borrowing
def _over(energy, momentum, linking):
    """Energy beyond the momenta, 0 if the resolution explains it."""
    return energy - momentum if energy - momentum > linking.excess * _spread(momentum, linking) else 0.0


@borrowing
def _spread(momentum, linking):
    """Resolution of what calorimeters see of hadrons of a momentum."""
    stochastic, constant = linking.excess_resolution
    return math.sqrt(stochastic**2 * momentum + (constant * momentum) ** 2)


@borrowing
def _photon(own, row, energy, particle):
    found = own.clusters[row]
    _neutral(own, 22, energy, found.eta, found.phi, particle).cluster = own.first_cluster + row


@borrowing
def _unlinked(own, hits, hcal, linking):
    for row in range(len(own.clusters)):
        found = own.clusters[row]
        if found.tracks == 0:
            behind = _label(hcal, found.eta, found.phi)
            if abs(found.eta) > linking.tracker and behind >= 0 and own.towers[behind].tracks == 0:
                own.towers[behind].energy += found.energy  # no track could tell a charged hadron from photons
                continue
            particle = hits[found.hit].mother if found.hit >= 0 else -1
            _photon(own, row, found.energy * linking.photon_scale, particle)
    for tower in own.towers:
        if tower.tracks == 0:
            particle = hits[tower.hit].mother if tower.hit >= 0 else -1
            _neutral(own, 130, tower.energy * linking.neutral_scale, tower.eta, tower.phi, particle)


@borrowing
def _forward(own, grid, short, hits, least):
    """Candidates of HF, one a cell, at its centre: hadrons where the short fibres see anything.

    In CMS what hadrons leave is twice the energy in the short fibres (JINST 12 (2017) P10003, section 3.5).
    """
    for i in range(grid.number[0]):
        place = grid.touched[i]
        cell = grid.cells[place]
        if cell.energy >= least:
            pdg = 1 if 2.0 * short.cells[place].energy >= least else 2
            eta, phi = eta_of(grid, place), phi_of(grid, place)
            _neutral(own, pdg, cell.energy, eta, phi, hits[cell.hit].mother)


@borrowing
def _behind(clusters, hcal):
    for found in clusters:
        place = cell_of(hcal, found.eta, found.phi)
        found.hcal = hcal.cells[place].energy if place >= 0 else 0.0


@borrowing
def _superclusters(own, hits, span, place, state, clusters, event, em):
    """Sum what electrons and their radiation bring to ECAL, each with the resolution of its energy."""
    for row in range(span[0], span[1]):
        hit = hits[row]
        if hit.reserved <= 0 or math.isnan(place[row, 0]):
            continue
        track = own.tracks[hit.reserved - 1 - own.first_track]
        energy = hit.energy * max(1.0 + em_spread(hit.energy, em) * normal(state), 0.1)
        if track.superEnergy == 0.0:
            track.superEta, track.superPhi = place[row, 0], place[row, 1]
        share = energy / (track.superEnergy + energy)
        off = place[row, 1] - track.superPhi
        track.superPhi += share * (off - 2.0 * math.pi * round(off / (2.0 * math.pi)))
        track.superEta += share * (place[row, 0] - track.superEta)
        track.superEnergy += energy
    number = 0
    for track in own.tracks:
        if not track.gsf or track.superEnergy <= 0.0:
            continue
        new = clusters[number]
        new.energy, new.eta, new.phi = track.superEnergy, track.superEta, track.superPhi
        new.width, new.cells = 0.0, 9
        others = max(track.superEnergy - hits[track.hit].pt * math.cosh(hits[track.hit].eta), 0.0)
        lead = (track.superEnergy - others) * (1.0 - 0.03 * track.brem - 0.22 * track.brem**4)
        new.seed = max(lead, others)
        new.hit, new.tracks, new.event, new.seedCell = track.hit, 1, event, -1
        track.ecal, track.ecalEnergy = len(own.clusters) + number, track.superEnergy
        number += 1
    return number


@borrowing
def _electrons(own, linking):
    """Electrons: energy of supercluster and track, each with the weight of its resolution."""
    for row in range(len(own.tracks)):
        track = own.tracks[row]
        if not track.gsf:
            continue
        momentum = track.pt * math.cosh(track.eta)
        energy = momentum
        if track.superEnergy > 0.0:
            track_spread = max(track.ptErr / track.pt, 0.01)
            calo_spread = math.hypot(0.03, 0.07 / math.sqrt(track.superEnergy))
            weight = calo_spread**2 / (calo_spread**2 + track_spread**2)
            if abs(track.superEnergy - momentum) > 4.0 * momentum * math.hypot(track_spread, calo_spread):
                weight = 0.0
            energy = weight * momentum + (1.0 - weight) * track.superEnergy
        pt = energy / math.cosh(track.eta)
        if pt < linking.electron_pt or track.lost:
            _of_track(own, row, 0, track.pt)
        else:
            _of_track(own, row, 1, pt)
