"""HepMC files of any generator as a source of event records.

HepMC3: Buckley et al., Comput. Phys. Commun. 260 (2021) 107310, arXiv:1912.08005. pyhepmc reads it, and the
older HepMC2 text files (``IO_GenEvent``) as well, compressed or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

import numba
import numpy as np

from flashsim.errors import InputFileError
from flashsim.gen.hepmc.status import with_pythia_status
from flashsim.gen.hepmc.text import HepMCText
from flashsim.gen.libraries import require, stdout_captured
from flashsim.gen.pythia import CrossSection, GeneratedEvents
from flashsim.gen.record import EventRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["HepMCReader", "SingleEvent", "joined"]

# As many as of Pythia's: the same memory.
_BATCH = 250
# What CMS stores where a generator does not say.
_UNKNOWN = -1.0
_SIGNAL_VERTEX = "signal_process_vertex"


class HepMCReader:
    """A HepMC file, read once from its beginning to its end. Used as a context manager.

    Parameters
    ----------
    path
        HepMC3 or HepMC2 text, compressed or not.

    Attributes
    ----------
    weight_names
        Names of the event weights, the nominal one first; numbers where the file has no names.
    generators
        The generators that the file names, with their versions.
    cross_section
        In pb as the last event read has it; None if there is none.

    Raises
    ------
    InputFileError
        If the file is not there, is not HepMC, or holds no event.
    MissingDependencyError
        If pyhepmc is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        module = require("pyhepmc")
        self._text = HepMCText(path)
        self.path = self._text.path
        self.cross_section: CrossSection | None = None
        self._read = 0
        # What it would print is told by an exception, once.
        module.Setup.print_errors = module.Setup.print_warnings = False
        try:
            with stdout_captured():
                self._file: Any = module.open(self._text, format=self._text.format)
                first = self._required(self._next())
        except BaseException:
            self._text.close()
            raise
        self._first: SingleEvent | None = first
        run = first.run_info
        names = self._text.weight_names or (list(run.weight_names) if run is not None else [])
        self.weight_names = names if len(names) == len(first.weights) else _numbered(len(first.weights))
        tools = run.tools if run is not None else []
        self.generators = [f"{tool.name} {tool.version}".strip() for tool in tools]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    def batches(self, events: int | None = None) -> Iterator[tuple[GeneratedEvents, NDArray[np.float64]]]:
        """Read events and their weights, shape (events, number of weights).

        Parameters
        ----------
        events
            How many at most; default all.

        Raises
        ------
        InputFileError
            If the file is cut off or damaged, or events differ in their number of weights.
        """
        rest = islice(self._events(), events)
        while True:
            # The library prints what it stumbles over.
            with stdout_captured():
                batch = list(islice(rest, _BATCH))
            if not batch:
                return
            weights = np.array([event.weights for event in batch])
            yield joined(batch, weights[:, 0]), weights

    def _events(self) -> Iterator[SingleEvent]:
        event = self._first
        self._first = None
        while event is not None:
            if len(event.weights) != len(self.weight_names):
                msg = (
                    f"{self.path}: event {self._read} has {len(event.weights)} weights, expected "
                    f"{len(self.weight_names)} as in the first one; give files of one run at a time"
                )
                raise InputFileError(msg)
            yield event
            event = self._next()

    def _required(self, event: SingleEvent | None) -> SingleEvent:
        if event is None:
            msg = f"{self.path}: holds no event; give a file that the generator has filled"
            raise InputFileError(msg)
        return event

    def _next(self) -> SingleEvent | None:
        try:
            found = self._file.read()
        except RuntimeError as error:
            msg = f"{self.path}: HepMC refuses event {self._read + 1} ({error}); correct the file"
            raise InputFileError(msg) from error
        if found is None:
            self._text.check_end(self._read)
            return None
        self._read += 1
        event = SingleEvent.of(found)
        self.cross_section = event.cross_section or self.cross_section
        return event


@dataclass(frozen=True)
class SingleEvent:
    """One event, taken out of the library's objects, in GeV and mm.

    Parameters
    ----------
    particles
        Shape (N,): structured, with fields pid, status, px, py, pz, e and mass.
    production_vertex, end_vertex
        Shape (N,): vertex numbers in the event, -1 where there is none.
    position
        Shape (vertices, 3): in mm from the collision.
    hard_vertex
        Number of the vertex of the hard process, -1 if the generator names none.
    weights
        All event weights.
    pdf
        Scale in GeV, and for both incoming partons PDG number, x and x f(x), in this order; -1 if unknown.
    cross_section
        In pb, None if unknown.
    run_info
        The library's description of the run, None if there is none.
    """

    particles: NDArray[Any]
    production_vertex: NDArray[np.int64]
    end_vertex: NDArray[np.int64]
    position: NDArray[np.float64]
    hard_vertex: int
    weights: NDArray[np.float64]
    pdf: tuple[float, ...]
    cross_section: CrossSection | None
    run_info: Any

    @classmethod
    def of(cls, event: Any) -> SingleEvent:
        """Take what is needed from a ``pyhepmc.GenEvent``."""
        module = require("pyhepmc")
        data = module._core.GenEventData()  # noqa: SLF001  # the event as arrays, in one call
        event.write_data(data)
        particles = _in_gev(data.particles, event.momentum_unit == module.Units.MEV)
        vertices = data.vertices
        # A file may number them in another order than it lists them.
        row = _Rows(event.numpy.particles.id, event.numpy.vertices.id)
        production, end = _links(data.links1, data.links2, row)
        position = np.stack([vertices["x"], vertices["y"], vertices["z"]], axis=1)
        start = np.array([event.event_pos().x, event.event_pos().y, event.event_pos().z])
        _inherit(position, start, production, _first_incoming(end, len(vertices)))
        hard = _hard_vertex(event, row)
        origin = _origin(hard, production, end)
        if origin >= 0:
            position = position - position[origin]
        if event.length_unit == module.Units.CM:
            position = position * 10.0
        return cls(
            particles=particles,
            production_vertex=production,
            end_vertex=end,
            position=position,
            hard_vertex=hard,
            weights=np.array(data.weights) if len(data.weights) else np.ones(1),
            pdf=_pdf(event.pdf_info),
            cross_section=_cross_section(event.cross_section),
            run_info=event.run_info,
        )


def joined(events: list[SingleEvent], weight: NDArray[np.float64]) -> GeneratedEvents:
    """Events as one batch, with the status codes that CMS rules know.

    Parameters
    ----------
    events
        At least one.
    weight
        Shape (events,): the weight of each.
    """
    counts = [len(event.particles) for event in events]
    vertices = [len(event.position) for event in events]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    first_vertex = np.cumsum(vertices) - vertices
    particles = np.concatenate([event.particles for event in events])

    def numbered(name: str) -> NDArray[np.int64]:
        own = np.concatenate([getattr(event, name) for event in events])
        return np.where(own >= 0, own + np.repeat(first_vertex, counts), -1)

    production = numbered("production_vertex")
    # The last row is for particles that have no production vertex.
    position = np.concatenate([*(event.position for event in events), np.zeros((1, 3))])
    x, y, z = position[production].T
    record = EventRecord(
        offsets=offsets,
        pdg_id=particles["pid"].astype(np.int32),
        status=particles["status"].astype(np.int32),
        production_vertex=production,
        end_vertex=numbered("end_vertex"),
        px=particles["px"].copy(),
        py=particles["py"].copy(),
        pz=particles["pz"].copy(),
        energy=particles["e"].copy(),
        mass=particles["mass"].copy(),
        x=x.copy(),
        y=y.copy(),
        z=z.copy(),
    )
    hard = np.array([event.hard_vertex for event in events], dtype=np.int64)
    scale, id1, id2, x1, x2, xpdf1, xpdf2 = np.array([event.pdf for event in events]).T
    return GeneratedEvents(
        record=with_pythia_status(record, np.where(hard >= 0, hard + first_vertex, -1)),
        weight=weight,
        scale_pdf=scale,
        pt_hat=np.full(len(events), _UNKNOWN),
        id1=id1.astype(np.int32),
        id2=id2.astype(np.int32),
        x1=x1,
        x2=x2,
        xpdf1=xpdf1,
        xpdf2=xpdf2,
    )


def _numbered(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _in_gev(particles: NDArray[Any], from_mev: bool) -> NDArray[Any]:
    particles = particles.copy()
    names = ("px", "py", "pz", "e")
    missing = ~particles["is_mass_set"]
    squared = particles["e"] ** 2 - particles["px"] ** 2 - particles["py"] ** 2 - particles["pz"] ** 2
    particles["mass"][missing] = np.sqrt(np.maximum(squared[missing], 0.0))
    if from_mev:
        for name in (*names, "mass"):
            particles[name] /= 1000.0
    return particles


class _Rows:
    """Where the particles (numbered 1, 2, ...) and vertices (-1, -2, ...) of an event stand in its lists."""

    def __init__(self, particles: NDArray[np.int32], vertices: NDArray[np.int32]) -> None:
        self.particles = np.full(particles.max(initial=0) + 1, -1, dtype=np.int64)
        self.particles[particles] = np.arange(len(particles))
        self.vertices = np.full(-vertices.min(initial=0) + 1, -1, dtype=np.int64)
        self.vertices[-vertices] = np.arange(len(vertices))


def _links(
    start: NDArray[np.int32], stop: NDArray[np.int32], row: _Rows
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Vertices where particles begin and end; a link goes from a particle to a vertex or back."""
    production = np.full(np.count_nonzero(row.particles >= 0), -1, dtype=np.int64)
    end = production.copy()
    ending = start > 0
    end[row.particles[start[ending]]] = row.vertices[-stop[ending]]
    production[row.particles[stop[~ending]]] = row.vertices[-start[~ending]]
    return production, end


def _first_incoming(end: NDArray[np.int64], vertices: int) -> NDArray[np.int64]:
    """First particle that ends in each vertex, -1 if none does."""
    first = np.full(vertices, -1, dtype=np.int64)
    ending = np.flatnonzero(end >= 0)[::-1]
    first[end[ending]] = ending
    return first


@numba.njit(cache=True)
def _inherit(position, start, production, first_incoming):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Give vertices without position that of their nearest ancestor, and at last that of the event."""
    unset = np.array([(row == 0.0).all() for row in position])
    for vertex in range(len(position)):
        ancestor = vertex
        for _ in range(len(position)):
            if ancestor < 0 or not unset[ancestor]:
                break
            mother = first_incoming[ancestor]
            ancestor = production[mother] if mother >= 0 else -1
        if unset[vertex]:
            position[vertex] = position[ancestor] if ancestor >= 0 and not unset[ancestor] else start


def _hard_vertex(event: Any, row: _Rows) -> int:
    """Vertex of the hard process, as Herwig and Sherpa name it; numbers of vertices are negative."""
    if _SIGNAL_VERTEX not in event.attributes:
        return -1
    attribute = event.attributes[_SIGNAL_VERTEX]
    try:
        # Attributes read from a file have no type before they are asked for one.
        number = int(attribute.astype(int) if hasattr(attribute, "astype") else attribute)
    except (RuntimeError, TypeError, ValueError):
        return -1
    return int(row.vertices[-number]) if -len(row.vertices) < number < 0 else -1


def _origin(hard: int, production: NDArray[np.int64], end: NDArray[np.int64]) -> int:
    """Vertex where the protons collide: that of the hard process, else where the first beam ends."""
    if hard >= 0:
        return hard
    beams = np.flatnonzero((production < 0) & (end >= 0))
    return int(end[beams[0]]) if len(beams) else -1


def _pdf(info: Any) -> tuple[float, ...]:
    if info is None:
        return (_UNKNOWN,) * 7
    return (info.scale, info.parton_id1, info.parton_id2, info.x1, info.x2, info.xf1, info.xf2)


def _cross_section(section: Any) -> CrossSection | None:
    if section is None:
        return None
    value, error = section.xsec(), section.xsec_err()
    if not math.isfinite(value):
        return None
    return CrossSection(value, error, max(section.attempted_events, 0))
