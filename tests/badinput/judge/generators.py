"""Small valid files of generators, as text: a Drell-Yan event with two jets in HepMC, one without in LHE."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NAMES", "hepmc2", "hepmc3", "lhe", "small_events"]

NAMES = ("MUR=2 MUF=1", "Weight", "MUR=0.5 MUF=1")
"""Of the weights; the nominal one is not the first."""

_BEAM, _MUON, _PION = 6500.0, 0.10566, 0.13957


@dataclass(frozen=True)
class Vertex:
    """What goes in, by place in the event, and what comes out: PDG number, status, momentum, mass."""

    incoming: tuple[int, ...]
    outgoing: tuple[tuple[int, int, tuple[float, float, float], float], ...]
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Event:
    """Beam particles come first; particles count from 1 through all vertices."""

    vertices: tuple[Vertex, ...]
    weights: tuple[float, float, float]


def small_events(number: int, seed: int = 1) -> list[Event]:
    """Make events q q -> Z q, Z -> mu mu, in which quarks end in pions and a B meson that decays."""
    rng = np.random.default_rng(seed)
    return [_event(rng) for _ in range(number)]


def _event(rng: np.random.Generator) -> Event:
    def spray(pt: float, phi: float, eta: float, pions: int) -> list[tuple[float, float, float]]:
        share = rng.dirichlet(np.ones(pions)) * pt
        phis, etas = phi + rng.normal(0, 0.08, pions), eta + rng.normal(0, 0.08, pions)
        return [
            (p * np.cos(f), p * np.sin(f), p * np.sinh(e)) for p, f, e in zip(share, phis, etas, strict=True)
        ]

    pt, phi = rng.uniform(30, 80), rng.uniform(-3, 3)
    z = (pt * np.cos(phi), pt * np.sin(phi), rng.uniform(-50, 50))
    jets = [(rng.uniform(25, 70), rng.uniform(-3, 3), rng.uniform(-2, 2)) for _ in range(2)]
    quarks = [(p * np.cos(f), p * np.sin(f), p * np.sinh(e)) for p, f, e in jets]
    lepton = rng.uniform(15, 45, 3)
    other = tuple(np.subtract(z, lepton))
    light = spray(*jets[0], 8)
    heavy = spray(*jets[1], 6)
    b_meson = (-511, 2, heavy[0], 5.28)
    decay = [
        tuple(0.5 * np.array(heavy[0])),
        tuple(0.3 * np.array(heavy[0])),
        tuple(0.2 * np.array(heavy[0])),
    ]
    pions = [(int(rng.choice([211, -211])), 1, p, _PION) for p in (*light, *heavy[1:])]
    place = tuple(rng.normal(0, 1, 3) * (0.01, 0.01, 30.0))
    vertices = (
        Vertex((), ((2212, 4, (0, 0, _BEAM), 0.938), (2212, 4, (0, 0, -_BEAM), 0.938))),
        Vertex((1,), ((2, 21, (0, 0, 400.0), 0.0), (2101, 1, (0, 0, _BEAM - 400.0), 0.58))),
        Vertex((2,), ((21, 21, (0, 0, -150.0), 0.0), (2203, 1, (0, 0, 150.0 - _BEAM), 0.77))),
        Vertex((3, 5), ((23, 22, z, 91.19), (2, 23, quarks[0], 0.33), (-5, 23, quarks[1], 4.8)), place),
        Vertex((7,), ((13, 1, tuple(lepton), _MUON), (-13, 1, other, _MUON)), place),
        Vertex((8, 9), (b_meson, *pions), place),
        Vertex((12,), ((-13, 1, decay[0], _MUON), (14, 1, decay[1], 0.0), (-411, 1, decay[2], 1.87)), place),
    )
    nominal = float(rng.choice([1.0, 1.0, -1.0]) * rng.uniform(0.5, 2.0))
    return Event(vertices, (1.1 * nominal, nominal, 0.9 * nominal))


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{v:.10e}" for v in values)


def _energy(momentum: tuple[float, float, float], mass: float) -> float:
    return float(np.sqrt(np.dot(momentum, momentum) + mass**2))


def hepmc3(events: list[Event], names: tuple[str, ...] = NAMES) -> str:
    """Give events as HepMC3's text."""
    head = ["HepMC::Version 3.02.06", "HepMC::Asciiv3-START_EVENT_LISTING", "W " + "\\|".join(names)]
    lines = [*head, "T Toy\\|1.0\\|made for a test"]
    for number, event in enumerate(events, 1):
        number_of = sum(len(v.outgoing) for v in event.vertices)
        lines += [
            f"E {number} {len(event.vertices) - 1} {number_of}",
            "U GEV MM",
            f"W {_numbers(event.weights)}",
            f"A 0 GenCrossSection {40.0 + number} 2.0 {number} {number}",
        ]
        ids = count(1)
        for k, vertex in enumerate(event.vertices):
            if vertex.incoming:
                ends = ",".join(map(str, vertex.incoming))
                lines.append(f"V {-k} 0 [{ends}] @ {_numbers((*vertex.position, 0.0))}")
            for pdg_id, status, momentum, mass in vertex.outgoing:
                four = _numbers((*momentum, _energy(momentum, mass), mass))
                lines.append(f"P {next(ids)} {-k} {pdg_id} {four} {status}")
    return "\n".join([*lines, "HepMC::Asciiv3-END_EVENT_LISTING", ""])


def hepmc2(events: list[Event], names: tuple[str, ...] = NAMES) -> str:
    """Give events as HepMC2's text."""
    lines = ["", "HepMC::Version 2.06.09", "HepMC::IO_GenEvent-START_EVENT_LISTING"]
    quoted = " ".join(f'"{name}"' for name in names)
    for number, event in enumerate(events, 1):
        ends = {i: -k for k, vertex in enumerate(event.vertices) for i in vertex.incoming}
        inner = [v for v in event.vertices if v.incoming]
        lines += [
            f"E {number} -1 91.2 0.118 0.0078 20 -3 {len(inner)} 1 2 0 3 {_numbers(event.weights)}",
            f"N 3 {quoted}",
            "U GEV MM",
            f"C {40.0 + number:.6e} 2.0e+00",
        ]
        ids, beams = count(1), []
        for k, vertex in enumerate(event.vertices):
            rows = []
            for pdg_id, status, momentum, mass in vertex.outgoing:
                i = next(ids)
                four = _numbers((*momentum, _energy(momentum, mass), mass))
                rows.append(f"P {i} {pdg_id} {four} {status} 0 0 {ends.get(i, 0)} 0")
            if not vertex.incoming:
                beams = rows
                continue
            orphans = [beams[i - 1] for i in vertex.incoming if i <= len(beams)]
            place = _numbers((*vertex.position, 0.0))
            lines.append(f"V {-k} 0 {place} {len(orphans)} {len(vertex.outgoing)} 0")
            lines += orphans + rows
    return "\n".join([*lines, "HepMC::IO_GenEvent-END_EVENT_LISTING", ""])


def lhe(number: int, seed: int = 1, change: Callable[[list[str]], list[str]] = lambda lines: lines) -> str:
    """Give events u ubar -> Z -> mu mu at leading order as LHE, with two weights by name.

    Parameters
    ----------
    number
        Of events.
    seed
        Of their random numbers.
    change
        Gives the lines of all events in another form.
    """
    rng = np.random.default_rng(seed)
    head = [
        '<LesHouchesEvents version="3.0">',
        "<header>",
        "<initrwgt>",
        '<weightgroup name="scale variation" combine="envelope">',
        '<weight id="1001"> muR=0.5 muF=0.5 </weight>',
        '<weight id="1002"> muR=2 muF=2 </weight>',
        "</weightgroup>",
        "</initrwgt>",
        "</header>",
        "<init>",
        f" 2212 2212 {_BEAM:.6e} {_BEAM:.6e} 0 0 247000 247000 -4 1",
        " 1.2e+03 1.7e+00 1.2e+03 1",
        "</init>",
    ]
    lines: list[str] = []
    for _ in range(number):
        lines += _les_houches(rng)
    return "\n".join([*head, *change(lines), "</LesHouchesEvents>", ""])


def _les_houches(rng: np.random.Generator) -> list[str]:
    mass, y = 91.19, float(rng.uniform(-1.5, 1.5))
    cosine, phi = float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-3, 3))
    e = mass / 2
    p = np.sqrt(e**2 - _MUON**2)
    pt, pz = p * np.sqrt(1 - cosine**2), p * cosine
    rows = [
        (2, -1, 0, 0, 501, 0, 0.0, 0.0, e * np.exp(y), e * np.exp(y), 0.0),
        (-2, -1, 0, 0, 0, 501, 0.0, 0.0, -e * np.exp(-y), e * np.exp(-y), 0.0),
        (23, 2, 1, 2, 0, 0, 0.0, 0.0, mass * np.sinh(y), mass * np.cosh(y), mass),
    ]
    for sign, pdg_id in ((1, 13), (-1, -13)):
        along = np.sinh(y) * e + np.cosh(y) * sign * pz
        energy = np.cosh(y) * e + np.sinh(y) * sign * pz
        x, across = sign * pt * np.cos(phi), sign * pt * np.sin(phi)
        rows.append((pdg_id, 1, 3, 3, 0, 0, x, across, along, energy, _MUON))
    weight = 1.2e3 * float(rng.choice([1, 1, 1, -1]))
    text = [" ".join([*map(str, row[:6]), *(f"{v:.10e}" for v in row[6:]), "0.0 9.0"]) for row in rows]
    return [
        "<event>",
        f" 5 1 {weight:.6e} 9.119e+01 7.8e-03 1.18e-01",
        *text,
        "<rwgt>",
        f'<wgt id="1001"> {1.1 * weight:.6e} </wgt>',
        f'<wgt id="1002"> {0.9 * weight:.6e} </wgt>',
        "</rwgt>",
        "</event>",
    ]
