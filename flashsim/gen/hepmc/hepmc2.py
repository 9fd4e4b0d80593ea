"""Events of HepMC2's text format ``IO_GenEvent`` (HepMC 2 user manual, section 4.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from flashsim.gen.hepmc.event import (
    CrossSections,
    EventError,
    SingleEvent,
    completed,
    floats,
    integers,
    lines_by_key,
    links_of,
    momenta_of,
    pdf_of,
    units_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["event_of"]

_KEYS = b"EUNCHFVP"
# Up to the number of weights of a vertex, and of colour lines of a particle (two numbers each), which follow.
_VERTEX_COUNTER, _PARTICLE_COUNTER = 9, 12
_PER_WEIGHT, _PER_LINE = 1, 2
_NAME = re.compile(rb'"([^"]*)"')
_BEAM = 4


def event_of(lines: Sequence[bytes]) -> SingleEvent:
    """Read one event.

    Parameters
    ----------
    lines
        From the line E on.

    Raises
    ------
    EventError
        If they are not as the format has them, or what they hold cannot be true.
    """
    by_key = lines_by_key(lines, _KEYS)
    head = _Head(lines[0])
    graph = _Graph([line for line in lines if line[0] in b"VP"])
    if len(graph.position) != head.vertices:
        msg = f"it has {len(graph.position)} vertices, expected {head.vertices} as its line E says"
        raise EventError(msg)
    rows = graph.particles
    pdg_id, status = (integers((row[column] for row in rows), "a line P") for column in (2, 8))
    for number in head.beams:
        if number in graph.particle_rows:
            status[graph.particle_rows[number]] = _BEAM
    mev, cm = units_of(b" ".join(by_key[ord("U")][:1]))
    pdf = by_key[ord("F")]
    event = SingleEvent(
        label=head.number,
        pdg_id=np.array(pdg_id, dtype=np.int64),
        status=np.array(status, dtype=np.int64),
        momentum=momenta_of(rows, 3),
        production_vertex=np.array(graph.production, dtype=np.int64),
        end_vertex=np.array(graph.end(), dtype=np.int64),
        position=np.array(graph.position, dtype=np.float64).reshape(-1, 3),
        hard_vertex=graph.vertex_rows.get(head.hard_vertex, -1),
        weights=tuple(head.weights),
        names=_names(by_key[ord("N")]),
        pdf=pdf_of(pdf[0].split()[1:], "the line F") if pdf else SingleEvent.pdf,
        cross_sections=_cross_sections(by_key[ord("C")]),
    )
    return completed(event, mev=mev, cm=cm)


class _Head:
    """The line E: numbers of the event, of vertices and beams, random states, weights."""

    def __init__(self, line: bytes) -> None:
        fields = line.split()
        if len(fields) < 12:  # up to the number of random states
            msg = f"the line E has {len(fields)} fields, expected at least 12"
            raise EventError(msg)
        self.number, self.hard_vertex, self.vertices, *self.beams = integers(
            (fields[1], *fields[7:11]), "the line E"
        )
        states = self._count(fields[11])
        rest = fields[12 + states :]
        if not rest or len(rest) - 1 != self._count(rest[0]):
            msg = "the line E has another number of weights than it says"
            raise EventError(msg)
        self.weights = floats(rest[1:], "the line E")

    @staticmethod
    def _count(text: bytes) -> int:
        count = integers([text], "the line E")[0]
        if count < 0:
            msg = f"the line E has the count {count}"
            raise EventError(msg)
        return count


class _Graph:
    """Vertices, each with the particles that begin in it; particles say where they end."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self.position: list[list[float]] = []
        self.vertex_rows: dict[int, int] = {}
        self.particles: list[list[bytes]] = []
        self.production: list[int] = []
        orphans = produced = 0
        for line in lines:
            fields = line.split()
            if line[0] == ord("V"):
                self._expect_none(orphans + produced)
                orphans, produced = self._vertex(fields)
                continue
            _check_length(fields, _PARTICLE_COUNTER, _PER_LINE)
            if not orphans + produced:
                msg = "a vertex has more particles than its line V says"
                raise EventError(msg)
            self.production.append(-1 if orphans else len(self.position) - 1)
            self.particles.append(fields)
            orphans, produced = (orphans - 1, produced) if orphans else (0, produced - 1)
        self._expect_none(orphans + produced)
        numbers = integers((row[1] for row in self.particles), "a line P")
        self.particle_rows = {number: row for row, number in enumerate(numbers)}
        if len(self.particle_rows) < len(numbers) or len(self.vertex_rows) < len(self.position):
            msg = "two particles or vertices have the same number"
            raise EventError(msg)

    def end(self) -> list[int]:
        """Row of the vertex where each particle ends, -1 if it does not."""
        numbers = integers((row[11] for row in self.particles), "a line P")
        return links_of(self.vertex_rows | {0: -1}, numbers, "vertex")

    def _vertex(self, fields: list[bytes]) -> tuple[int, int]:
        _check_length(fields, _VERTEX_COUNTER, _PER_WEIGHT)
        number, orphans, produced = integers((fields[1], *fields[7:9]), "a line V")
        if orphans < 0 or produced < 0 or not number:
            msg = f"the line V of vertex {number} has the counts {orphans} and {produced}"
            raise EventError(msg)
        self.vertex_rows[number] = len(self.position)
        self.position.append(floats(fields[3:6], "a line V"))
        return orphans, produced

    @staticmethod
    def _expect_none(missing: int) -> None:
        if missing:
            msg = f"a vertex lacks {missing} of the particles that its line V announces"
            raise EventError(msg)


def _check_length(fields: list[bytes], counter: int, each: int) -> None:
    """Raise if a line is not as long as the counter in it says."""
    key, expected = fields[0].decode(), counter + 1
    if len(fields) >= expected:
        expected += each * integers([fields[counter]], f"a line {key}")[0]
    if len(fields) != expected:
        msg = f"a line {key} has {len(fields)} fields, expected {expected}"
        raise EventError(msg)


def _names(lines: list[bytes]) -> tuple[str, ...]:
    if not lines:
        return ()
    return tuple(name.decode(errors="replace") for name in _NAME.findall(lines[0]))


def _cross_sections(lines: list[bytes]) -> CrossSections | None:
    if not lines:
        return None
    values = floats(lines[0].split()[1:], "the line C")
    if len(values) < 2:  # value and error
        msg = "the line C has no error"
        raise EventError(msg)
    return CrossSections((values[0],), (values[1],), 0)
