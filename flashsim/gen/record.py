"""The event record: what any generator must provide, independent of how it stores its events."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EventRecord", "Genealogy"]


@dataclass(frozen=True)
class Genealogy:
    """Mothers and daughters of every particle, as two lists of lists over the whole batch.

    Parameters
    ----------
    mother_offsets, daughter_offsets
        Shape (N + 1,): mothers of particle i are ``mothers[mother_offsets[i]:mother_offsets[i + 1]]``.
    mothers, daughters
        Particle indices in the batch, in the generator's order.
    """

    mother_offsets: NDArray[np.int64]
    mothers: NDArray[np.int64]
    daughter_offsets: NDArray[np.int64]
    daughters: NDArray[np.int64]


@dataclass(frozen=True)
class EventRecord:
    """Generated particles of a batch of events, in HepMC's terms.

    Particles and vertices are numbered through the whole batch. Mothers of a particle are the particles
    that end in the vertex where it is produced, its daughters those produced in the vertex where it ends:
    a HepMC3 reader can fill a record as it is, and Pythia's mother numbers are translated to it
    (`flashsim.gen.pythia`).

    Parameters
    ----------
    offsets
        Shape (events + 1,): particles of event e are ``offsets[e]`` to ``offsets[e + 1] - 1``.
    pdg_id
        Shape (N,): PDG particle numbers.
    status
        Shape (N,): HepMC status: 1 final, 2 decayed hadron, muon or tau, 4 beam, else the generator's code
        (for Pythia 8 the absolute value: 21 incoming, 22 intermediate, 23 outgoing in the hard process, ...).
    production_vertex, end_vertex
        Shape (N,): vertex numbers, -1 where there is none.
    px, py, pz, energy, mass
        Shape (N,): in GeV. The mass is stored apart since it is lost in E² - p² of a fast particle.
    x, y, z
        Shape (N,): where each is produced, in mm.
    hard_process
        Shape (N,): particles of the hard process besides those that their status names, since a status of 1
        or 2 cannot say so. None for Pythia 8.

    Raises
    ------
    ValueError
        If the columns differ in length, or the offsets do not fit them.
    """

    offsets: NDArray[np.int64]
    pdg_id: NDArray[np.int32]
    status: NDArray[np.int32]
    production_vertex: NDArray[np.int64]
    end_vertex: NDArray[np.int64]
    px: NDArray[np.float64]
    py: NDArray[np.float64]
    pz: NDArray[np.float64]
    energy: NDArray[np.float64]
    mass: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    hard_process: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        columns = (
            "status",
            "production_vertex",
            "end_vertex",
            "px",
            "py",
            "pz",
            "energy",
            "mass",
            "x",
            "y",
            "z",
        )
        for name in columns:
            if len(getattr(self, name)) != len(self.pdg_id):
                msg = f"{name} has {len(getattr(self, name))} entries, expected {len(self.pdg_id)}"
                raise ValueError(msg)
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.pdg_id) or np.any(np.diff(self.offsets) < 0):
            msg = f"offsets must rise from 0 to the number of particles, {len(self.pdg_id)}"
            raise ValueError(msg)

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.offsets) - 1

    @cached_property
    def abs_pdg_id(self) -> NDArray[np.int32]:
        """Shape (N,): PDG numbers without sign."""
        return np.abs(self.pdg_id)

    @cached_property
    def event_index(self) -> NDArray[np.int64]:
        """Shape (N,): index of each particle's event in the batch."""
        return np.repeat(np.arange(self.events), np.diff(self.offsets))

    @cached_property
    def pt(self) -> NDArray[np.float64]:
        """Shape (N,): transverse momentum in GeV."""
        return np.hypot(self.px, self.py)

    @cached_property
    def genealogy(self) -> Genealogy:
        """Mothers and daughters of every particle."""
        vertices = 1 + int(max(self.production_vertex.max(initial=-1), self.end_vertex.max(initial=-1)))
        produced = _members(self.production_vertex, vertices)
        ended = _members(self.end_vertex, vertices)
        return Genealogy(
            *_lists_of(self.production_vertex, *ended),
            *_lists_of(self.end_vertex, *produced),
        )


@numba.njit(cache=True)
def _members(vertex, vertices):  # type: ignore[no-untyped-def]  # compiled by numba  # noqa: ANN001, ANN202
    """Particles of each vertex, in index order, as (offsets, particles)."""
    offsets = np.zeros(vertices + 1, dtype=np.int64)
    for v in vertex:
        if v >= 0:
            offsets[v + 1] += 1
    offsets = np.cumsum(offsets)
    place = offsets[:-1].copy()
    particles = np.empty(offsets[-1], dtype=np.int64)
    for i in range(len(vertex)):
        if vertex[i] >= 0:
            particles[place[vertex[i]]] = i
            place[vertex[i]] += 1
    return offsets, particles


@numba.njit(cache=True)
def _lists_of(vertex, offsets, particles):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Members of each particle's vertex, as (offsets, particles) over particles."""
    starts = np.zeros(len(vertex) + 1, dtype=np.int64)
    for i in range(len(vertex)):
        v = vertex[i]
        starts[i + 1] = starts[i] + (offsets[v + 1] - offsets[v] if v >= 0 else 0)
    members = np.empty(starts[-1], dtype=np.int64)
    for i in range(len(vertex)):
        v = vertex[i]
        if v >= 0:
            members[starts[i] : starts[i + 1]] = particles[offsets[v] : offsets[v + 1]]
    return starts, members
