"""Recorded events: what the detector makes of particles, before objects are built of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.flow.calorimeters import CalorimeterRecipe
from flashsim.reference.flow.candidates import FlowRecipe, particle_flow
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

__all__ = ["Recorded", "RecordingRecipe", "record"]


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
        What is there before the detector: pt, eta, phi, mass, pdg, charge, x, y, z, interaction (0 is the hard event).
    tracks
        pt, eta, phi (at the point of closest approach to the beam line), charge, ptErr; d0, d0Err, z, zErr there, in
        cm; layers (with hits), pixelHits, lostInnerHits, chi2 (per degree of freedom), quality (high purity);
        particle (row, -1 of a fake), kind (11, 13 or 211: what it behaves as), inFlight (a decay in flight);
        chambers (muon stations with segments); ecal (row in clusters), ecalEnergy and hcalEnergy (linked to it); brem
        (energy share that is radiated), gsf (found as an electron), superEnergy, superEta, superPhi; vertex (row) and
        vertexWeight (in its fit, 0 if it is not used).
    clusters
        Of ECAL: energy, eta, phi (from the origin), width, seed (energy of the hardest cell), cells, tracks (that
        point at it), particle (row, -1), candidate (row, -1).
    vertices
        By falling score: x, y, z, xErr, zErr in cm, ndof, chi2 (per degree of freedom), score, tracks, interaction.
    candidates
        pt, eta, phi, mass, energy; pdgId (211, 11, 13 with sign, 22, 130, HF: 1 hadronic, 2 electromagnetic), charge;
        track, cluster, particle, vertex (rows, -1); fromPV (3 used in the fit of the primary vertex, 2 nearest to it,
        1 nearest to another one, 0 used there); dxy, dz, dxyErr, dzErr to the primary vertex; puppi, puppiNoLep;
        hcalFraction.
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
    interactions = choose(gen, keys, shared, library, recipe.pileup)
    offsets, particles = overlay(hard, gen, interactions, library, recipe.pileup)
    material = recipe.material.material()
    hit_offsets, hits = transport(offsets, particles, streams.states(keys, "material"), material)
    track_offsets, found = tracks(
        hit_offsets,
        hits,
        interactions.in_time,
        streams.states(keys, "tracks"),
        recipe.tracker.tracker(),
        material.field,
    )
    vertex_offsets, primary = vertices(
        track_offsets, found, hits, streams.states(keys, "vertices"), recipe.vertices.vertexing()
    )
    flow = particle_flow(
        hit_offsets,
        hits,
        track_offsets,
        found,
        primary["z"][vertex_offsets[:-1]].copy(),
        interactions,
        library,
        streams.states(keys, "calorimeters"),
        calorimeter=recipe.calorimeters.calorimeter(),
        linking=recipe.flow.linking(),
        field=material.field,
    )
    vertex = Collection(vertex_offsets, _columns(primary))
    candidates = _candidates(flow, track_offsets, found, vertex, recipe)
    clusters = _columns(flow.clusters)
    clusters["particle"] = np.where(clusters["hit"] >= 0, hits["mother"][clusters["hit"]], -1)
    clusters["candidate"] = _candidate_rows(candidates, len(flow.clusters))
    track_columns = _columns(found)
    rows = np.repeat(vertex_offsets[:-1], np.diff(track_offsets))
    track_columns["vertex"] = track_columns["vertex"] + rows
    return Recorded(
        gen=gen,
        keys=keys,
        streams=streams,
        particles=Collection(offsets, _columns(particles)),
        tracks=Collection(track_offsets, track_columns),
        clusters=Collection(flow.cluster_offsets, clusters),
        vertices=vertex,
        candidates=candidates,
        rho=densities(candidates.offsets, candidates.columns),
    )


def _columns(rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Columns of an array of records, each contiguous."""
    return {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}


def _candidates(
    flow: Any,
    track_offsets: NDArray[np.int64],
    tracks: NDArray[Any],
    vertices: Collection,
    recipe: RecordingRecipe,
) -> Collection:
    """Candidates in order of events, with what they have from tracks and vertices."""
    columns = _columns(flow.candidates)
    offsets = flow.candidate_offsets
    event = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    rows = columns["track"]
    has = rows >= 0
    track = tracks[np.where(has, rows, 0)] if len(tracks) else np.zeros(len(rows), dtype=tracks.dtype)
    primary = {name: vertices[name][vertices.offsets[:-1]][event] for name in ("x", "y", "z")}
    own = np.where(has, track["vertex"], 0)
    used = has & (track["vertexWeight"] > 0.5)
    columns["vertex"] = own + vertices.offsets[:-1][event]
    columns["fromPV"] = np.where(
        ~has, 1, np.where(own == 0, np.where(used, 3, 2), np.where(used, 0, 1))
    ).astype(np.int8)
    sine, cosine = np.sin(columns["phi"]), np.cos(columns["phi"])
    along = primary["x"] * cosine + primary["y"] * sine
    columns["dxy"] = np.where(has, track["d0"] + primary["x"] * sine - primary["y"] * cosine, 0.0)
    columns["dz"] = np.where(has, track["z"] - primary["z"] + along * np.sinh(columns["eta"]), 0.0)
    for name, source in (("dxyErr", "d0Err"), ("dzErr", "zErr")):
        columns[name] = np.where(has, track[source], 0.0)
    puppi = recipe.puppi.puppi()
    columns["puppi"] = puppi_weights(offsets, columns, vertices.counts, puppi, leptons=True)
    columns["puppiNoLep"] = puppi_weights(offsets, columns, vertices.counts, puppi, leptons=False)
    return Collection(offsets, columns)


def _candidate_rows(candidates: Collection, clusters: int) -> NDArray[np.int64]:
    """Row of the photon or electron candidate of each cluster, -1 without one."""
    rows = np.full(clusters, -1, dtype=np.int64)
    has = (candidates["cluster"] >= 0) & np.isin(np.abs(candidates["pdgId"]), (11, 22))
    rows[candidates["cluster"][has]] = np.flatnonzero(has)
    return rows
