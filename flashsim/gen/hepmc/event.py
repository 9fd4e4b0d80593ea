"""One event of a HepMC file as arrays, checked before anything is computed from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

import numba
import numpy as np

from flashsim.gen.hepmc.graph import continued, has_loop
from flashsim.gen.limits import LARGEST_MOMENTUM, LARGEST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "UNKNOWN",
    "CrossSections",
    "EventError",
    "SingleEvent",
    "completed",
    "floats",
    "integers",
    "lines_by_key",
    "links_of",
    "momenta_of",
    "pdf_of",
    "units_of",
]

UNKNOWN = -1.0
"""What CMS stores where a generator does not say."""

# In mm: beyond the flight of any particle.
_LARGEST_DISTANCE = 1e25
_UNITS = (b"GEV", b"MEV", b"MM", b"CM")
# Below this part of its momentum, no rounding explains the energy of a final particle.
_LEAST_ENERGY = 0.9
_MOMENTUM = ("px", "py", "pz", "energy", "mass")
_PDF_FIELDS = 7


class EventError(Exception):
    """An event cannot be used; the text says why and leaves file and event to the reader.

    Parameters
    ----------
    text
        What is wrong, without a full stop.
    content
        Whether the numbers are at fault, in place of the form of the lines.
    """

    def __init__(self, text: str, *, content: bool = False) -> None:
        super().__init__(text)
        self.content = content


@dataclass(frozen=True)
class CrossSections:
    """Cross sections of a run, one for every weight or a single one.

    Parameters
    ----------
    values, errors
        In pb.
    tried
        How many phase-space points they rest on, 0 if unknown.
    """

    values: tuple[float, ...]
    errors: tuple[float, ...]
    tried: int


@dataclass(frozen=True)
class SingleEvent:
    """One event, in GeV and mm.

    Parameters
    ----------
    label
        The generator's own number of it.
    pdg_id, status
        Shape (N,): PDG number and the generator's status; 4 for particles that the event names as beams.
    momentum
        Shape (N, 5): px, py, pz, energy and mass.
    production_vertex, end_vertex
        Shape (N,): rows of `position`, -1 where there is none.
    position
        Shape (vertices, 3): where each is.
    hard_vertex
        Row of the vertex of the hard process, -1 if the generator names none.
    weights
        All event weights; none if the event has none.
    names
        Names of the weights as this event has them; HepMC3 has them once for all events.
    pdf
        Scale in GeV, and for both incoming partons PDG number, x and x f(x), in this order; -1 if unknown.
    cross_sections
        None if unknown.
    """

    label: int
    pdg_id: NDArray[np.int64]
    status: NDArray[np.int64]
    momentum: NDArray[np.float64]
    production_vertex: NDArray[np.int64]
    end_vertex: NDArray[np.int64]
    position: NDArray[np.float64]
    hard_vertex: int = -1
    weights: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    pdf: tuple[float, ...] = (UNKNOWN,) * 7
    cross_sections: CrossSections | None = None
    start: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0), repr=False)

    def __len__(self) -> int:
        return len(self.pdg_id)


def completed(event: SingleEvent, *, mev: bool, cm: bool) -> SingleEvent:
    """Check an event as it was read, and bring it to GeV, to mm, and to its own origin.

    Parameters
    ----------
    event
        In the units of the file.
    mev, cm
        Whether these are MeV and cm.

    Raises
    ------
    EventError
        If a momentum, position or number cannot be true, or a particle descends from itself and no named
        hard process tells where to cut.
    """
    momentum = event.momentum / 1000.0 if mev else event.momentum
    event = replace(event, momentum=momentum)
    _check_numbers(event)
    event = _linked(_without_loops(event))
    position = event.position.copy()
    _inherit(
        position,
        np.array(event.start, dtype=np.float64),
        event.production_vertex,
        _first_incoming(event.end_vertex, len(position)),
    )
    origin = _origin(event)
    if origin >= 0:
        position -= position[origin]
    return replace(event, position=position * 10.0 if cm else position)


def lines_by_key(lines: Sequence[bytes], keys: bytes) -> dict[int, list[bytes]]:
    """Sort lines by their first letter; a letter that none has, has none.

    Raises
    ------
    EventError
        If a line begins with anything else.
    """
    by_key: dict[int, list[bytes]] = {key: [] for key in keys}
    for line in lines:
        if line[0] not in by_key or line[1:2].strip():
            msg = f"a line begins with {line[:20].decode(errors='replace')!r}"
            raise EventError(msg)
        by_key[line[0]].append(line)
    return by_key


def pdf_of(fields: Sequence[bytes], what: str) -> tuple[float, ...]:
    """Read the incoming partons, in the order of `SingleEvent.pdf`.

    Both formats have PDG number and x of both, scale, x f(x) of both, and the numbers of two PDF sets.

    Raises
    ------
    EventError
        If a number is missing or is none.
    """
    values = floats(fields, what)
    if len(values) < _PDF_FIELDS:
        msg = f"{what} has {len(values)} numbers, expected 9"
        raise EventError(msg)
    id1, id2, x1, x2, scale, xf1, xf2 = values[:_PDF_FIELDS]
    return scale, id1, id2, x1, x2, xf1, xf2


def units_of(line: bytes) -> tuple[bool, bool]:
    """Whether momenta are in MeV, and lengths in cm, by the line U; GeV and mm where it says nothing.

    Raises
    ------
    EventError
        If it names another unit.
    """
    units = line.split()[1:]
    if unknown := [unit.decode(errors="replace") for unit in units if unit not in _UNITS]:
        msg = f"the line U has the unit {unknown[0]!r}, expected GEV or MEV and MM or CM"
        raise EventError(msg)
    return b"MEV" in units, b"CM" in units


def floats(fields: Iterable[bytes], what: str) -> list[float]:
    """Read numbers.

    Raises
    ------
    EventError
        If one is none.
    """
    try:
        return list(map(float, fields))
    except ValueError as error:
        raise _no_number(what, error) from None


def integers(fields: Iterable[bytes], what: str) -> list[int]:
    """Read whole numbers of 32 bits.

    Raises
    ------
    EventError
        If one is none.
    """
    try:
        values = list(map(int, fields))
    except ValueError as error:
        raise _no_number(what, error) from None
    if values and not -LARGEST_NUMBER < min(values) <= max(values) < LARGEST_NUMBER:
        msg = f"{what} holds a number above {LARGEST_NUMBER}"
        raise EventError(msg)
    return values


def momenta_of(rows: Sequence[Sequence[bytes]], first: int) -> NDArray[np.float64]:
    """Five columns from `first` on, of the lines of the particles: shape (N, 5)."""
    flat = floats((value for row in rows for value in row[first : first + 5]), "a line P")
    return np.array(flat, dtype=np.float64).reshape(-1, 5)


def links_of(rows: dict[int, int], numbers: Iterable[int], what: str) -> list[int]:
    """Rows of the particles or vertices with some numbers.

    Raises
    ------
    EventError
        If there is none with one of the numbers.
    """
    try:
        return [rows[number] for number in numbers]
    except KeyError as error:
        msg = f"there is no {what} {error.args[0]}"
        raise EventError(msg) from None


def _no_number(what: str, error: ValueError) -> EventError:
    found = str(error).rpartition(": ")[2].removeprefix("b")[:40]
    return EventError(f"{what} holds {found} in place of a number")


def _check_numbers(event: SingleEvent) -> None:
    size = np.abs(event.momentum)
    # What is not a number compares as false.
    wrong = ~(size <= LARGEST_MOMENTUM)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        _refuse(event, row, f"{_MOMENTUM[column]} {event.momentum[row, column]:g} GeV")
    far = ~(np.abs(event.position) <= _LARGEST_DISTANCE)
    if far.any():
        row, column = np.argwhere(far)[0]
        msg = f"vertex {row + 1} is at {'xyz'[column]} = {event.position[row, column]:g}"
        raise EventError(msg, content=True)
    energy = event.momentum[:, 3]
    total = np.sqrt(np.square(event.momentum[:, :3]).sum(axis=1))
    impossible = (event.status == 1) & ((energy < _LEAST_ENERGY * total) | (energy < 0))
    if impossible.any():
        row = int(np.flatnonzero(impossible)[0])
        _refuse(event, row, f"energy {energy[row]:g} GeV at a momentum of {total[row]:g} GeV")


def _refuse(event: SingleEvent, row: int, found: str) -> NoReturn:
    msg = f"particle {row + 1} (PDG number {event.pdg_id[row]}) has {found}"
    raise EventError(msg, content=True)


def _without_loops(event: SingleEvent) -> SingleEvent:
    """Cut loops at the hard process: the incoming partons lose their mothers, as Sherpa 2 writes them."""
    vertices = len(event.position)
    if not has_loop(event.production_vertex, event.end_vertex, vertices):
        return event
    enters = (event.end_vertex == event.hard_vertex) & (event.hard_vertex >= 0)
    production = np.where(enters, -1, event.production_vertex)
    if has_loop(production, event.end_vertex, vertices):
        msg = "its vertices form a loop, so that a particle descends from itself"
        raise EventError(msg, content=True)
    return replace(event, production_vertex=production)


def _linked(event: SingleEvent) -> SingleEvent:
    """Give each particle of the hard process that ends nowhere a vertex of its own, where it goes on."""
    pairs = continued(
        event.pdg_id,
        event.status,
        event.momentum[:, :3],
        event.production_vertex,
        event.end_vertex,
        event.hard_vertex,
    )
    production, end = event.production_vertex.copy(), event.end_vertex.copy()
    for vertex, (leaf, other) in enumerate(pairs, start=len(event.position)):
        end[leaf] = production[other] = vertex
    places = np.concatenate([event.position, event.position[[event.hard_vertex] * len(pairs)]])
    if not pairs or has_loop(production, end, len(places)):
        return event
    return replace(event, production_vertex=production, end_vertex=end, position=places)


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
        while ancestor >= 0 and unset[ancestor]:
            mother = first_incoming[ancestor]
            ancestor = production[mother] if mother >= 0 else -1
        place = position[ancestor].copy() if ancestor >= 0 else start
        # All on the way have the same place, and are not walked again.
        on_the_way = vertex
        while on_the_way >= 0 and unset[on_the_way]:
            position[on_the_way] = place
            unset[on_the_way] = False
            mother = first_incoming[on_the_way]
            on_the_way = production[mother] if mother >= 0 else -1


def _origin(event: SingleEvent) -> int:
    """Vertex where the beams collide: that of the hard process, else where the first beam ends."""
    if event.hard_vertex >= 0:
        return event.hard_vertex
    beams = np.flatnonzero((event.production_vertex < 0) & (event.end_vertex >= 0))
    return int(event.end_vertex[beams[0]]) if len(beams) else -1
