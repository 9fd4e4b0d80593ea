"""Recorded events: what the detector makes of particles, before objects are built of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.flow.calorimeters import CalorimeterRecipe
from flashsim.reference.flow.candidates import FlowRecipe, Found, particle_flow
from flashsim.reference.flow.density import densities
from flashsim.reference.flow.puppi import PuppiRecipe, puppi_weights
from flashsim.reference.flow.tracks import TrackerRecipe, tracks
from flashsim.reference.flow.vertices import VertexRecipe, vertices
from flashsim.reference.particles.overlay import PileupRecipe, choose, overlay
from flashsim.reference.particles.streams import Streams
from flashsim.reference.particles.transport import MaterialRecipe, transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.particles.overlay import Library
    from flashsim.reference.particles.particle import Rows

__all__ = ["Recorded", "RecordingRecipe", "record"]

_OF_PARTICLES = ("pt", "eta", "phi", "mass", "pdg", "charge", "x", "y", "z", "interaction")
_LEAST_NDOF = 4.0


class RecordingRecipe(Recipe):
    """The detector up to particle-flow candidates."""

    pileup: PileupRecipe = Field(description="pileup and the beam")
    material: MaterialRecipe = Field(description="the tracker's material and what happens in it")
    tracker: TrackerRecipe = Field(description="tracks")
    calorimeters: CalorimeterRecipe = Field(description="calorimeters")
    flow: FlowRecipe = Field(description="particle flow")
    vertices: VertexRecipe = Field(description="primary vertices")
    puppi: PuppiRecipe = Field(description="PUPPI weights")


@dataclass(frozen=True)
class Recorded:
    """E events as the detector records them; rows refer to the flat columns of each other's collections.

    Parameters
    ----------
    gen
        Branches of the generator.
    keys
        Shape (E,): keys of the events' random numbers.
    streams
        The random numbers of the detector and draw.
    particles
        What is there before the detector: pt, eta, phi, mass, pdg, charge, x, y, z, interaction (0 is the
        hard event).
    tracks
        pt, eta, phi (at the point of closest approach to the beam line), charge, ptErr; d0, d0Err, z, zErr
        there, in cm; layers (with hits), pixelHits, lostInnerHits, chi2 (per degree of freedom), quality
        (high purity); particle (row, -1 of a fake), kind (11, 13 or 211: what it behaves as), inFlight (a
        decay in flight), lost (a soft lepton that particle flow takes for a hadron); chambers (muon stations
        with segments, -1 of a muon that lost them to another); ecal (row in clusters), ecalEnergy and
        hcalEnergy (linked to it); brem (energy share that is radiated), gsf (found as an electron),
        superEnergy, superEta, superPhi; vertex (row) and vertexWeight (in its fit, 0 if it is not used).
    clusters
        Of ECAL: energy, eta, phi (from the origin), width, seed (energy of the hardest cell), cells, tracks
        (that point at it), particle (row, -1), candidate (row, -1).
    vertices
        By falling score: x, y, z, xErr, zErr in cm, ndof, chi2 (per degree of freedom), score, tracks,
        interaction.
    candidates
        pt, eta, phi, mass, energy; pdgId (211, 11, 13 with sign, 22, 130, HF: 1 hadronic, 2 electromagnetic),
        charge; track, cluster, particle, vertex (rows, -1); fromPV (3 used in the fit of the primary vertex,
        2 nearest to it, 1 nearest to another one, 0 used there); dxy, dz, dxyErr, dzErr to the primary
        vertex; puppi, puppiNoLep; hcalFraction.
    rho
        ``fixedGridRho`` variants by the rest of their name, shape (E,) each.
    """

    gen: Mapping[str, Any]
    keys: NDArray[np.uint64]
    streams: Streams
    particles: Collection
    tracks: Collection
    clusters: Collection
    vertices: Collection
    candidates: Collection
    rho: dict[str, NDArray[np.float64]]


def record(
    hard: Collection,
    gen: Mapping[str, Any],
    keys: NDArray[np.uint64],
    streams: Streams,
    library: Library,
    recipe: RecordingRecipe,
) -> Recorded:
    """Record E events.

    Parameters
    ----------
    hard
        Stable particles of the hard events: pt, eta, phi, mass, pdgId, vx, vy, vz.
    gen
        Branches of the generator; ``Pileup_nPU``, ``Pileup_nTrueInt`` and ``GenVtx_x, y, z`` are needed.
    keys
        Shape (E,): keys of the events' random numbers.
    streams
        The random numbers of a detector and draw; which pileup there is does not depend on the detector.
    library
        Minimum-bias interactions.
    recipe
        The detector.
    """
    shared = Streams(streams.seed, "", streams.draw)
    field = recipe.material.field
    interactions = choose(gen, keys, shared, library, recipe.pileup)
    particles = overlay(hard, interactions, library)
    hits = transport(particles, streams.states(keys, "material"), recipe.material.numbers())
    tracker = recipe.tracker.numbers()
    found = tracks(hits, interactions.in_time, streams.states(keys, "tracks"), tracker, field)
    states = streams.states(keys, "vertices")
    primary = vertices(found, hits, interactions, states, recipe.vertices.numbers())
    flow = particle_flow(
        hits,
        found,
        primary.rows["z"][primary.offsets[:-1]].copy(),
        (interactions, library),
        streams.states(keys, "calorimeters"),
        (recipe.calorimeters, recipe.flow),
        field,
    )
    return _recorded(gen, keys, streams, (particles, hits, found, primary), flow, recipe)


def _recorded(
    gen: Mapping[str, Any],
    keys: NDArray[np.uint64],
    streams: Streams,
    rows: tuple[Rows, Rows, Rows, Rows],
    flow: Found,
    recipe: RecordingRecipe,
) -> Recorded:
    """Columns of what was recorded, with rows that refer to each other."""
    particles, hits, found, primary = rows
    vertex, tracks, clusters = _collection(primary), _collection(found), _collection(flow.clusters)
    first_cluster, first_vertex = (
        np.repeat(other.offsets[:-1], tracks.counts).astype(np.int32) for other in (clusters, vertex)
    )
    tracks.columns["ecal"] += np.where(tracks["ecal"] >= 0, first_cluster, 0)
    tracks.columns["vertex"] += first_vertex
    candidates = _candidates(flow, tracks, vertex, recipe)
    hit = clusters["hit"]
    clusters.columns["particle"] = np.where(hit >= 0, hits.rows["mother"][hit], -1)
    clusters.columns["candidate"] = _candidate_rows(candidates, len(hit))
    rho = densities(candidates.offsets, candidates.columns, vertex.offsets[:-1])
    return Recorded(
        gen=gen,
        keys=keys,
        streams=streams,
        particles=Collection(particles.offsets, {name: particles.rows[name] for name in _OF_PARTICLES}),
        tracks=tracks,
        clusters=clusters,
        vertices=vertex,
        candidates=candidates,
        rho={**rho, "FastjetCentralCalo": flow.towers},
    )


def _collection(found: Rows) -> Collection:
    """Contiguous columns of records."""
    names = found.rows.dtype.names or ()
    return Collection(found.offsets, {name: np.ascontiguousarray(found.rows[name]) for name in names})


def _candidates(flow: Found, tracks: Collection, vertices: Collection, recipe: RecordingRecipe) -> Collection:
    """Candidates in order of events, with what they have from tracks and vertices."""
    candidates = _collection(flow.candidates)
    columns = candidates.columns
    first = np.repeat(vertices.offsets[:-1], candidates.counts)
    charged = np.flatnonzero(columns["track"] >= 0)
    rows = columns["track"][charged]
    primary, own = first[charged], tracks["vertex"][rows]
    columns["vertex"] = first.copy()
    columns["vertex"][charged] = own
    columns["fromPV"] = np.ones(len(first), dtype=np.int8)
    columns["fromPV"][charged] = _association(
        columns["pdgId"][charged], own == primary, tracks["vertexWeight"][rows], vertices["ndof"][own]
    )
    x, y, z = (vertices[axis][primary] for axis in "xyz")
    eta, phi = columns["eta"][charged], columns["phi"][charged]
    sine, cosine = np.sin(phi), np.cos(phi)
    values = {
        "dxy": tracks["d0"][rows] + x * sine - y * cosine,
        "dz": tracks["z"][rows] - z + (x * cosine + y * sine) * np.sinh(eta),
        "dxyErr": tracks["d0Err"][rows],
        "dzErr": tracks["zErr"][rows],
    }
    for name, value in values.items():
        columns[name] = np.zeros(len(first))
        columns[name][charged] = value
    good = np.bincount(vertices.event_rows[vertices["ndof"] >= _LEAST_NDOF], minlength=vertices.events)
    ranked = columns | {"rank": columns["vertex"] - first}
    weights = puppi_weights(candidates.offsets, ranked, good, recipe.puppi.numbers())
    columns["puppi"], columns["puppiNoLep"] = weights
    return candidates


def _association(
    pdg_id: NDArray[np.integer],
    primary: NDArray[np.bool_],
    weight: NDArray[np.float64],
    ndof: NDArray[np.float64],
) -> NDArray[np.int8]:
    """Give MiniAOD's ``fromPV``: leptons are never loose, and vertices of few tracks take nothing away.

    Another vertex takes the tracks of any weight in its fit, the primary one is sure of those above 0.5.
    """
    lepton = np.isin(np.abs(pdg_id), (11, 13))
    other = np.where(lepton, 2, np.where((weight > 0.0) & (ndof >= _LEAST_NDOF), 0, 1))
    return np.where(primary, np.where(weight > 0.5, 3, 2), other).astype(np.int8)


def _candidate_rows(candidates: Collection, clusters: int) -> NDArray[np.int64]:
    """Row of the photon or electron candidate of each cluster, -1 without one."""
    rows = np.full(clusters, -1, dtype=np.int64)
    has = (candidates["cluster"] >= 0) & np.isin(np.abs(candidates["pdgId"]), (11, 22))
    rows[candidates["cluster"][has]] = np.flatnonzero(has)
    return rows
