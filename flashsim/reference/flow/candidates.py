"""Particle flow: tracks and clusters become candidates, each particle once.

The rules are CMS's (CMS, JINST 12 (2017) P10003, arXiv:1706.04965) on simpler clusters. Muons and electrons come
first. Every other track is a charged hadron, linked to the clusters that it points at. Where the linked clusters
hold more than the momenta by more than the resolution, the excess is a photon, as far as ECAL has it, and a neutral
hadron. Clusters without a track are photons, neutral hadrons, and beyond the tracker hadrons of both calorimeters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.flow.calorimeters import (
    CLUSTER,
    cell_of,
    clear,
    cluster,
    deposit,
    deposit_early,
    grids,
)
from flashsim.reference.particles.helix import reach
from flashsim.reference.particles.streams import normal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.calorimeters import Calorimeter
    from flashsim.reference.particles.overlay import Interactions, Library

__all__ = ["CANDIDATE", "FlowRecipe", "Found", "Linking", "particle_flow"]

CANDIDATE = np.dtype(
    [
        ("pt", "f8"),
        ("eta", "f8"),
        ("phi", "f8"),
        ("mass", "f8"),
        ("energy", "f8"),
        ("hcalFraction", "f8"),
        ("pdgId", "i4"),
        ("charge", "i4"),
        ("track", "i4"),
        ("cluster", "i4"),
        ("particle", "i4"),
    ]
)
"""See the columns of candidates in the module `flashsim.reference.flow.recorded`."""

_PION, _MUON, _ELECTRON, _KAON_LONG = 0.13957, 0.10566, 0.000511, 0.0


class FlowRecipe(Recipe):
    """Rules of particle flow."""

    excess: float = Field(ge=0, description="an excess counts if it is so many resolutions")
    neutral_scale: float = Field(gt=0, description="calibration of neutral hadrons")
    muon_layers: int = Field(ge=0, description="tracker layers that a muon candidate needs")
    muon_chambers: int = Field(ge=1, description="muon stations that a muon candidate needs")
    electron_pt: float = Field(ge=0, description="least pT of electron candidates, in GeV")
    charged_error: float = Field(gt=0, description="largest relative pT error of a charged hadron's track")

    def linking(self) -> Linking:
        """Numbers for kernels."""
        return Linking(**self.model_dump())


class Linking(NamedTuple):
    """A `FlowRecipe` as kernels take it."""

    excess: float
    neutral_scale: float
    muon_layers: int
    muon_chambers: int
    electron_pt: float
    charged_error: float


class Found(NamedTuple):
    """What particle flow finds in E events.

    Parameters
    ----------
    cluster_offsets, clusters
        ECAL clusters and the superclusters of electrons, of type `CLUSTER`.
    candidate_offsets, candidates
        Of type `CANDIDATE`.
    """

    cluster_offsets: NDArray[np.int64]
    clusters: NDArray[Any]
    candidate_offsets: NDArray[np.int64]
    candidates: NDArray[Any]


def particle_flow(
    hit_offsets: NDArray[np.int64],
    hits: NDArray[Any],
    track_offsets: NDArray[np.int64],
    tracks: NDArray[Any],
    vertex_z: NDArray[np.float64],
    interactions: Interactions,
    library: Library,
    states: NDArray[np.uint64],
    *,
    calorimeter: Calorimeter,
    linking: Linking,
    field: float,
) -> Found:
    """Give the candidates of E events; `tracks` learn which clusters they are linked to.

    Parameters
    ----------
    hit_offsets, hits
        Particles after transport.
    track_offsets, tracks
        Reconstructed tracks.
    vertex_z
        Shape (E,): where the primary vertex is; neutral candidates come from there.
    interactions, library
        The pileup: calorimeters see other crossings, too.
    states
        Shape (E,): a random stream for each event.
    calorimeter, linking, field
        Parameters; the field in tesla.
    """
    return Found(
        *_particle_flow(
            hit_offsets,
            hits,
            track_offsets,
            tracks,
            vertex_z,
            interactions,
            library.offsets,
            library.particles,
            states,
            calorimeter,
            grids(calorimeter),
            linking,
            field,
        )
    )


@numba.njit(cache=True)
def _particle_flow(
    hit_offsets,
    hits,
    track_offsets,
    tracks,
    vertex_z,
    interactions,
    library_offsets,
    library,
    states,
    calorimeter,
    cells,
    linking,
    field,
):
    events = len(states)
    ecal, hcal, hf_em, hf_had = cells
    room = len(hits) + 2000 * events
    clusters, towers = np.zeros(room, dtype=CLUSTER), np.zeros(room, dtype=CLUSTER)
    candidates = np.zeros(len(tracks) + 2 * room, dtype=CANDIDATE)
    cluster_counts = np.zeros(events + 1, dtype=np.int64)
    candidate_counts = np.zeros(events + 1, dtype=np.int64)
    calo_eta, calo_phi = np.empty(len(hits)), np.empty(len(hits))
    state = np.empty(1, dtype=np.uint64)
    made = placed = 0
    for event in range(events):
        state[0] = states[event]
        deposit(
            cells,
            hit_offsets[event],
            hit_offsets[event + 1],
            hits,
            calo_eta,
            calo_phi,
            state,
            calorimeter,
            field,
        )
        first_other = interactions.offsets[event] + interactions.in_time[event]
        deposit_early(
            cells,
            interactions,
            first_other,
            interactions.offsets[event + 1],
            library_offsets,
            library,
            calorimeter,
        )
        first = made
        made = cluster(
            ecal, event, calorimeter.ecal_seed, calorimeter.ecal_least, calorimeter.eta, clusters, made
        )
        number = cluster(
            hcal, event, calorimeter.hcal_seed, calorimeter.hcal_least, calorimeter.eta, towers, 0
        )
        linked = _link(
            tracks,
            track_offsets[event],
            track_offsets[event + 1],
            hits,
            calo_eta,
            calo_phi,
            cells,
            clusters,
            towers,
            calorimeter,
            field,
        )
        placed = _charged(tracks, track_offsets[event], track_offsets[event + 1], candidates, placed, linking)
        placed = _excess(
            tracks,
            track_offsets[event],
            track_offsets[event + 1],
            clusters,
            towers,
            number,
            vertex_z[event],
            candidates,
            placed,
            calorimeter,
            linking,
            linked,
        )
        placed = _unlinked(
            clusters,
            first,
            made,
            towers,
            number,
            hits,
            vertex_z[event],
            candidates,
            placed,
            calorimeter,
            linking,
        )
        placed = _forward(hf_em, hf_had, hits, vertex_z[event], candidates, placed, calorimeter)
        made = _superclusters(
            tracks,
            track_offsets[event],
            track_offsets[event + 1],
            hits,
            hit_offsets[event],
            hit_offsets[event + 1],
            calo_eta,
            calo_phi,
            state,
            event,
            clusters,
            made,
            calorimeter,
        )
        placed = _electrons(
            tracks, track_offsets[event], track_offsets[event + 1], candidates, placed, linking
        )
        cluster_counts[event + 1], candidate_counts[event + 1] = made, placed
        for grid in cells:
            clear(grid)
    return cluster_counts, clusters[:made].copy(), candidate_counts, candidates[:placed].copy()


@numba.njit(cache=True)
def _link(tracks, first, last, hits, calo_eta, calo_phi, cells, clusters, towers, calorimeter, field):
    """Link tracks to the clusters that they point at; gives the momenta that point at each ECAL cluster."""
    for i in range(first, last):
        track = tracks[i]
        track.ecal = track.hcal = -1
        eta, phi = np.nan, 0.0
        if track.hit >= 0:
            eta, phi = calo_eta[track.hit], calo_phi[track.hit]
        if math.isnan(eta):  # ended in the tracker, or a fake: the track is extrapolated all the same
            arrives, eta, phi, _ = reach(
                track.pt,
                track.eta,
                track.phi,
                track.charge,
                0.0,
                0.0,
                track.z,
                field,
                calorimeter.radius,
                calorimeter.length,
                calorimeter.turns,
            )
            if not arrives:
                continue
        if track.gsf:
            continue
        cell = cell_of(cells[0], eta, phi)
        if cell >= 0 and cells[0].label[cell] >= 0:
            track.ecal = cells[0].label[cell]
            clusters[track.ecal].tracks += 1
        cell = cell_of(cells[1], eta, phi)
        if cell >= 0 and cells[1].label[cell] >= 0:
            track.hcal = cells[1].label[cell]
            towers[track.hcal].tracks += 1
    return 0


@numba.njit(cache=True)
def _candidate(candidates, placed, pdg, pt, eta, phi, mass, charge, track, cluster_row, particle):
    new = candidates[placed]
    new.pt, new.eta, new.phi, new.mass = pt, eta, phi, mass
    new.energy = math.hypot(pt * math.cosh(eta), mass)
    new.hcalFraction = 0.0
    new.pdgId, new.charge = pdg, charge
    new.track, new.cluster, new.particle = track, cluster_row, particle
    return placed + 1


@numba.njit(cache=True)
def _neutral(candidates, placed, pdg, energy, eta, phi, vertex_z, cluster_row, particle, calorimeter):
    """Neutral candidate of an energy at a place of the calorimeters, seen from the primary vertex."""
    slope = math.sinh(eta)
    radius = min(calorimeter.radius, calorimeter.length / max(abs(slope), 1e-6))
    seen = math.asinh((radius * slope - vertex_z) / radius)
    return _candidate(
        candidates, placed, pdg, energy / math.cosh(seen), seen, phi, 0.0, 0, -1, cluster_row, particle
    )


@numba.njit(cache=True)
def _is_muon(track, linking):
    return (
        track.chambers >= linking.muon_chambers and track.layers >= linking.muon_layers and (track.kind == 13)
    )


@numba.njit(cache=True)
def _charged(tracks, first, last, candidates, placed, linking):
    for i in range(first, last):
        track = tracks[i]
        if track.gsf:
            continue
        if _is_muon(track, linking):
            placed = _candidate(
                candidates,
                placed,
                -13 * track.charge,
                track.pt,
                track.eta,
                track.phi,
                _MUON,
                track.charge,
                i,
                -1,
                track.particle,
            )
        elif track.ptErr < linking.charged_error * track.pt:
            placed = _candidate(
                candidates,
                placed,
                211 * track.charge,
                track.pt,
                track.eta,
                track.phi,
                _PION,
                track.charge,
                i,
                track.ecal,
                track.particle,
            )
    return placed


@numba.njit(cache=True)
def _excess(
    tracks, first, last, clusters, towers, number, vertex_z, candidates, placed, calorimeter, linking, _linked
):
    """Energy of linked clusters beyond the momenta: by HCAL cluster, else by ECAL cluster."""
    stochastic, constant = calorimeter.hadronic
    momentum = np.zeros(number)
    for i in range(first, last):
        track = tracks[i]
        if track.hcal >= 0 and not (track.kind == 13 and track.chambers > 0):
            momentum[track.hcal] += track.pt * math.cosh(track.eta)
    in_ecal = np.zeros(number)
    best = np.full(number, -1, dtype=np.int64)
    owner = np.full(number, -1, dtype=np.int64)
    for i in range(first, last):
        track = tracks[i]
        if track.hcal < 0 or track.ecal < 0:
            continue
        found = clusters[track.ecal]
        if found.tracks > 0:  # counts once, at the first track: the sign marks it as taken
            found.tracks = -found.tracks
            in_ecal[track.hcal] += found.energy
            if best[track.hcal] < 0 or found.energy > clusters[best[track.hcal]].energy:
                best[track.hcal] = track.ecal
            owner[track.hcal] = track.particle
    for row in range(number):
        tower = towers[row]
        if tower.tracks == 0:
            continue
        total = tower.energy + in_ecal[row]
        over = total - momentum[row]
        spread = math.sqrt(stochastic**2 * momentum[row] + (constant * momentum[row]) ** 2)
        if over > linking.excess * spread and over > 0.5:
            photon = min(over, in_ecal[row])
            if photon > 0.3 and best[row] >= 0:
                found = clusters[best[row]]
                placed = _neutral(
                    candidates,
                    placed,
                    22,
                    photon,
                    found.eta,
                    found.phi,
                    vertex_z,
                    best[row],
                    owner[row],
                    calorimeter,
                )
            if over - photon > 1.0:
                placed = _neutral(
                    candidates,
                    placed,
                    130,
                    (over - photon) * linking.neutral_scale,
                    tower.eta,
                    tower.phi,
                    vertex_z,
                    -1,
                    owner[row],
                    calorimeter,
                )
                candidates[placed - 1].hcalFraction = 1.0
    return _ecal_excess(
        tracks, first, last, clusters, towers, momentum, vertex_z, candidates, placed, calorimeter, linking
    )


@numba.njit(cache=True)
def _ecal_excess(
    tracks, first, last, clusters, towers, momentum, vertex_z, candidates, placed, calorimeter, linking
):
    """Shares of energy for each track, and excess in ECAL clusters whose tracks have no HCAL cluster."""
    for i in range(first, last):
        track = tracks[i]
        own = track.pt * math.cosh(track.eta)
        if track.hcal >= 0:
            track.hcalEnergy = towers[track.hcal].energy * own / max(momentum[track.hcal], own)
        if track.ecal < 0:
            continue
        found = clusters[track.ecal]
        track.ecalEnergy = found.energy / max(abs(found.tracks), 1)
        if found.tracks <= 0:
            continue
        total = 0.0
        for j in range(first, last):
            if tracks[j].ecal == track.ecal:
                total += tracks[j].pt * math.cosh(tracks[j].eta)
        spread = calorimeter.hadronic[0] * math.sqrt(total)
        over = found.energy - total
        found.tracks = -found.tracks
        if over > linking.excess * spread and over > 0.3:
            placed = _neutral(
                candidates,
                placed,
                22,
                over,
                found.eta,
                found.phi,
                vertex_z,
                track.ecal,
                track.particle,
                calorimeter,
            )
    for i in range(first, last):
        if tracks[i].ecal >= 0:
            clusters[tracks[i].ecal].tracks = abs(clusters[tracks[i].ecal].tracks)
    return placed


@numba.njit(cache=True)
def _unlinked(
    clusters, first, made, towers, number, hits, vertex_z, candidates, placed, calorimeter, linking
):
    for row in range(first, made):
        found = clusters[row]
        if found.tracks == 0:
            particle = hits[found.hit].mother if found.hit >= 0 else -1
            placed = _neutral(
                candidates,
                placed,
                22,
                found.energy,
                found.eta,
                found.phi,
                vertex_z,
                row,
                particle,
                calorimeter,
            )
    for row in range(number):
        tower = towers[row]
        if tower.tracks == 0:
            particle = hits[tower.hit].mother if tower.hit >= 0 else -1
            placed = _neutral(
                candidates,
                placed,
                130,
                tower.energy * linking.neutral_scale,
                tower.eta,
                tower.phi,
                vertex_z,
                -1,
                particle,
                calorimeter,
            )
            candidates[placed - 1].hcalFraction = 1.0
    return placed


@numba.njit(cache=True)
def _forward(em, had, hits, vertex_z, candidates, placed, calorimeter):
    for grid, pdg in ((em, 2), (had, 1)):
        for i in range(grid.number[0]):
            cell = grid.touched[i]
            energy = grid.energy[cell]
            eta = grid.eta[cell] / energy
            if energy < calorimeter.hf_least * math.cosh(eta):
                continue
            centre = ((cell % grid.columns) + 0.5) / grid.columns * 2.0 * math.pi - math.pi
            particle = hits[grid.hit[cell]].mother if grid.hit[cell] >= 0 else -1
            placed = _neutral(
                candidates,
                placed,
                pdg,
                energy,
                eta,
                centre + grid.phi[cell] / energy,
                vertex_z,
                -1,
                particle,
                calorimeter,
            )
    return placed


@numba.njit(cache=True)
def _superclusters(
    tracks,
    first,
    last,
    hits,
    first_hit,
    last_hit,
    calo_eta,
    calo_phi,
    state,
    event,
    clusters,
    made,
    calorimeter,
):
    """Sum what electrons and their radiation bring to ECAL, each with the resolution of its energy."""
    for row in range(first_hit, last_hit):
        hit = hits[row]
        if hit.reserved <= 0 or math.isnan(calo_eta[row]):
            continue
        track = tracks[hit.reserved - 1]
        stochastic, noise, constant = calorimeter.em
        spread = math.sqrt(stochastic**2 / hit.energy + (noise / hit.energy) ** 2 + constant**2)
        energy = hit.energy * max(1.0 + spread * normal(state), 0.1)
        if track.superEnergy == 0.0:
            track.superEta, track.superPhi = calo_eta[row], calo_phi[row]
        else:
            share = energy / (track.superEnergy + energy)
            off = calo_phi[row] - track.superPhi
            track.superPhi += share * (off - 2.0 * math.pi * round(off / (2.0 * math.pi)))
            track.superEta += share * (calo_eta[row] - track.superEta)
        track.superEnergy += energy
    for i in range(first, last):
        track = tracks[i]
        if not track.gsf or track.superEnergy <= 0.0:
            continue
        new = clusters[made]
        new.energy, new.eta, new.phi = track.superEnergy, track.superEta, track.superPhi
        new.width, new.cells = 0.0, 9
        new.seed = track.superEnergy * (1.0 - 0.08 * track.brem - 0.3 * track.brem**4)
        new.hit, new.tracks, new.event, new.seedCell = track.hit, 1, event, -1
        track.ecal = made
        track.ecalEnergy = track.superEnergy
        made += 1
    return made


@numba.njit(cache=True)
def _electrons(tracks, first, last, candidates, placed, linking):
    """Electrons: energy of supercluster and track, each with the weight of its resolution."""
    for i in range(first, last):
        track = tracks[i]
        if not track.gsf:
            continue
        momentum = track.pt * math.cosh(track.eta)
        energy = momentum
        if track.superEnergy > 0.0:
            track_spread = max(track.ptErr / track.pt, 0.01)
            calo_spread = math.hypot(0.03, 0.35 / math.sqrt(track.superEnergy) * 0.2)
            weight = calo_spread**2 / (calo_spread**2 + track_spread**2)
            if abs(track.superEnergy - momentum) > 4.0 * momentum * math.hypot(track_spread, calo_spread):
                weight = 0.0
            energy = weight * momentum + (1.0 - weight) * track.superEnergy
        pt = energy / math.cosh(track.eta)
        if pt < linking.electron_pt:
            placed = _candidate(
                candidates,
                placed,
                211 * track.charge,
                track.pt,
                track.eta,
                track.phi,
                _PION,
                track.charge,
                i,
                track.ecal,
                track.particle,
            )
        else:
            placed = _candidate(
                candidates,
                placed,
                -11 * track.charge,
                pt,
                track.eta,
                track.phi,
                _ELECTRON,
                track.charge,
                i,
                track.ecal,
                track.particle,
            )
    return placed
