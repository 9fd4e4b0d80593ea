"""Events of HepMC3's text format (Buckley et al., arXiv:1912.08005, appendix on Asciiv3)."""

from __future__ import annotations

import re
from itertools import count
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

__all__ = ["event_of", "generators_of", "weight_names_of"]

_KEYS = b"EUWATVP"
_PARTICLE_FIELDS = 10
_VERTEX = re.compile(rb"V\s+(-\d+)\s+(-?\d+)\s*\[([-\d,\s]*)\]\s*(?:@\s*(.*))?$")
_HARD_VERTEX = b"signal_process_vertex"


def weight_names_of(head: Sequence[bytes]) -> list[str]:
    """Names of the weights from the lines before the first event; none if they have none."""
    for line in head:
        if line.startswith(b"W "):
            return _parts(line)
    return []


def generators_of(head: Sequence[bytes]) -> list[str]:
    """Read the generators with their versions from the lines before the first event."""
    tools = (_parts(line) for line in head if line.startswith(b"T "))
    return [" ".join(tool[:2]).strip() for tool in tools]


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
    head, _, place = lines[0].partition(b"@")
    numbers = integers(head.split()[1:], "the line E")
    if len(numbers) < 3:  # number, vertices, particles
        msg = f"the line E has {len(numbers)} numbers, expected 3"
        raise EventError(msg)
    rows = [line.split() for line in by_key[ord("P")]]
    if len(rows) != numbers[2]:
        msg = f"it has {len(rows)} particles, expected {numbers[2]} as its line E says"
        raise EventError(msg)
    if any(len(row) != _PARTICLE_FIELDS for row in rows):
        wrong = next(row for row in rows if len(row) != _PARTICLE_FIELDS)
        msg = f"a line P has {len(wrong)} fields, expected {_PARTICLE_FIELDS}"
        raise EventError(msg)
    number, mother, pdg_id, status = (
        integers((row[column] for row in rows), "a line P") for column in (1, 2, 3, 9)
    )
    graph = _Graph(number, mother, by_key[ord("V")])
    attributes = _attributes(by_key[ord("A")])
    weights = [value for line in by_key[ord("W")] for value in floats(line.split()[1:], "the line W")]
    mev, cm = units_of(b" ".join(by_key[ord("U")][:1]))
    pdf = attributes.get(b"GenPdfInfo")
    event = SingleEvent(
        label=numbers[0],
        pdg_id=np.array(pdg_id, dtype=np.int64),
        status=np.array(status, dtype=np.int64),
        momentum=momenta_of(rows, 4),
        production_vertex=np.array(graph.production, dtype=np.int64),
        end_vertex=np.array(graph.end, dtype=np.int64),
        position=np.array(graph.position, dtype=np.float64).reshape(-1, 3),
        hard_vertex=graph.row(attributes.get(_HARD_VERTEX, b"0")),
        weights=tuple(weights),
        pdf=SingleEvent.pdf if pdf is None else pdf_of(pdf.split(), "GenPdfInfo"),
        cross_sections=_cross_sections(attributes.get(b"GenCrossSection")),
        start=_place(place),
    )
    return completed(event, mev=mev, cm=cm)


class _Graph:
    """Vertices of the particles.

    Those that have one incoming particle and no place of their own are not written: they are known by that
    particle, and have the numbers that the written ones leave free.
    """

    def __init__(self, number: list[int], mother: list[int], vertices: list[bytes]) -> None:
        particle = {value: row for row, value in enumerate(number)}
        if len(particle) < len(number):
            msg = "two particles have the same number"
            raise EventError(msg)
        self.position: list[tuple[float, float, float]] = []
        self.production, self.end = [-1] * len(number), [-1] * len(number)
        self._rows: dict[int, int] = {}
        for line in vertices:
            self._write(line, particle)
        free = (value for value in count(-1, -1) if value not in self._rows)
        for row, value in enumerate(mother):
            if value > 0:
                above = links_of(particle, [value], "particle")[0]
                if self.end[above] < 0:
                    self.end[above] = self._add(next(free), (0.0, 0.0, 0.0))
                self.production[row] = self.end[above]
            elif value < 0:
                self.production[row] = links_of(self._rows, [value], "vertex")[0]

    def row(self, text: bytes) -> int:
        """Row of the vertex with a number, -1 if there is none."""
        try:
            return self._rows.get(int(text), -1)
        except ValueError:
            return -1

    def _write(self, line: bytes, particle: dict[int, int]) -> None:
        match = _VERTEX.match(line)
        if match is None:
            msg = f"a line reads {line[:40].decode(errors='replace')!r}"
            raise EventError(msg)
        value = integers([match[1]], "a line V")[0]
        if value in self._rows:
            msg = f"two vertices have the number {value}"
            raise EventError(msg)
        vertex = self._add(value, _place(match[4] or b""))
        incoming = integers(match[3].replace(b",", b" ").split(), "a line V")
        for row in links_of(particle, incoming, "particle"):
            if self.end[row] >= 0:
                msg = f"particle {row + 1} ends in two vertices"
                raise EventError(msg)
            self.end[row] = vertex

    def _add(self, number: int, place: tuple[float, float, float]) -> int:
        self._rows[number] = len(self.position)
        self.position.append(place)
        return self._rows[number]


def _parts(line: bytes) -> list[str]:
    texts = line[2:].split(rb"\|")
    return [text.replace(rb"\\", b"\\").decode(errors="replace") for text in texts]


def _attributes(lines: list[bytes]) -> dict[bytes, bytes]:
    """Read the attributes of the event as a whole: name and text."""
    found = {}
    for line in lines:
        parts = line.split(None, 3)
        if len(parts) == 4 and parts[1] == b"0":  # A, of what, name, text
            found[parts[2]] = parts[3]
    return found


def _place(text: bytes) -> tuple[float, float, float]:
    values = floats(text.split(), "the place of a vertex")
    if not values:
        return 0.0, 0.0, 0.0
    if len(values) < 3:  # x, y, z
        msg = f"the place of a vertex has {len(values)} numbers, expected 4"
        raise EventError(msg)
    return values[0], values[1], values[2]


def _cross_sections(text: bytes | None) -> CrossSections | None:
    """Value and error of the first weight, events accepted and tried, then those of each further weight."""
    if text is None:
        return None
    values = floats(text.split(), "GenCrossSection")
    if len(values) < 2:  # value and error
        msg = "GenCrossSection has no error"
        raise EventError(msg)
    more = values[4:]
    tried = values[3] if len(values) > 3 else 0.0
    return CrossSections(
        values=(values[0], *more[0::2]),
        errors=(values[1], *more[1::2]),
        tried=int(tried) if 0 < tried < 2**62 else 0,
    )
