"""HepMC text written from records, by the formats' descriptions and not by a library."""

from __future__ import annotations

import numpy as np
import pytest

FORMATS = ("hepmc3", "hepmc2")
_HEADS = {
    "hepmc3": ("HepMC::Version 3.03.00", "HepMC::Asciiv3-START_EVENT_LISTING"),
    "hepmc2": ("", "HepMC::Version 2.06.11", "HepMC::IO_GenEvent-START_EVENT_LISTING"),
}
_ENDS = {"hepmc3": "HepMC::Asciiv3-END_EVENT_LISTING", "hepmc2": "HepMC::IO_GenEvent-END_EVENT_LISTING"}


def _momentum(record, i):
    values = (record.px[i], record.py[i], record.pz[i], record.energy[i], record.mass[i])
    return " ".join(f"{value:.16e}" for value in values)


def _vertices(record, start, stop):
    """Numbers of the vertices of an event, in the order of their first particle."""
    numbers = [*record.production_vertex[start:stop], *record.end_vertex[start:stop]]
    return list(dict.fromkeys(int(number) for number in numbers if number >= 0))


def _event3(record, number, start, stop, weights, hard, cross_section):
    vertices = _vertices(record, start, stop)
    code = {vertex: -1 - place for place, vertex in enumerate(vertices)} | {-1: 0}
    lines = [f"E {number} {len(vertices)} {stop - start}", "U GEV MM"]
    if weights:
        lines.append("W " + " ".join(f"{weight:.16e}" for weight in weights))
    if hard >= 0:
        lines.append(f"A 0 signal_process_vertex {code[hard]}")
    if cross_section is not None:
        pairs = [f"{value!r} {error!r}" for value, error in cross_section]
        lines.append(" ".join(["A 0 GenCrossSection", pairs[0], "10 20", *pairs[1:]]))
    for vertex in vertices:
        incoming = np.flatnonzero(record.end_vertex[start:stop] == vertex) + 1
        first = np.flatnonzero(record.production_vertex[start:stop] == vertex)[:1] + start
        place = " ".join(f"{getattr(record, axis)[i]:.16e}" for i in first for axis in "xyz")
        lines.append(
            f"V {code[vertex]} 0 [{','.join(map(str, incoming))}]" + (f" @ {place} 0" if place else "")
        )
    for i in range(start, stop):
        mother = code[int(record.production_vertex[i])]
        lines.append(
            f"P {i - start + 1} {mother} {record.pdg_id[i]} {_momentum(record, i)} {record.status[i]}"
        )
    return lines


def _event2(record, number, start, stop, weights, names, hard, cross_section):
    vertices = _vertices(record, start, stop)
    code = {vertex: -1 - place for place, vertex in enumerate(vertices)} | {-1: 0}
    values = " ".join([str(len(weights)), *(f"{weight:.16e}" for weight in weights)])
    lines = [f"E {number} -1 -1 -1 -1 0 {code[hard]} {len(vertices)} 0 0 0 {values}"]
    if names:
        lines.append(f"N {len(names)} " + " ".join(f'"{name}"' for name in names))
    lines.append("U GEV MM")
    if cross_section is not None:
        lines.append(f"C {cross_section[0][0]!r} {cross_section[0][1]!r}")
    every = np.arange(start, stop)
    for vertex in vertices:
        own = (record.end_vertex[every] == vertex) & (record.production_vertex[every] < 0)
        orphans, made = every[own], every[record.production_vertex[every] == vertex]
        place = [getattr(record, axis)[made[0]] if len(made) else 0.0 for axis in "xyz"]
        lines.append(
            f"V {code[vertex]} 0 {' '.join(f'{x:.16e}' for x in place)} 0 {len(orphans)} {len(made)} 0"
        )
        lines += [
            f"P {10001 + i - start} {record.pdg_id[i]} {_momentum(record, i)} {record.status[i]} 0 0 "
            f"{code[int(record.end_vertex[i])]} 0"
            for i in (*orphans, *made)
        ]
    return lines


@pytest.fixture(scope="session")
def hepmc_text():
    """Text of a record: `text(record, version, weights=, names=, hard=, cross_section=)`.

    `weights` has a list for each event, `hard` the number of the vertex of its hard process, `cross_section`
    pairs of a cross section and its error.
    """

    def text(record, version="hepmc3", *, weights=None, names=None, hard=None, cross_section=None):
        lines = list(_HEADS[version])
        if names and version == "hepmc3":
            lines.append("W " + "\\|".join(names))
        for event, (start, stop) in enumerate(zip(record.offsets[:-1], record.offsets[1:], strict=True)):
            own = (weights or [[1.0]] * record.events)[event]
            vertex = -1 if hard is None else int(hard[event])
            if version == "hepmc3":
                lines += _event3(record, event, start, stop, own, vertex, cross_section)
            else:
                lines += _event2(record, event, start, stop, own, names, vertex, cross_section)
        return "\n".join([*lines, _ENDS[version], ""])

    return text


@pytest.fixture(params=FORMATS)
def version(request):
    """Each of the two text formats."""
    return request.param
