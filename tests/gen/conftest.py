"""Event records written by hand, and small files generated once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from flashsim.gen.record import EventRecord


@dataclass(frozen=True)
class Line:
    """A particle; its mothers are indices in the event."""

    pdg_id: int
    status: int
    mothers: tuple[int, ...] = ()
    px: float = 20.0
    py: float = 0.0
    pz: float = 0.0
    mass: float = 0.0
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


def _record_of(*events):
    lines = [line for event in events for line in event]
    offsets = np.concatenate([[0], np.cumsum([len(event) for event in events])]).astype(np.int64)
    production = np.full(len(lines), -1, dtype=np.int64)
    end = np.full(len(lines), -1, dtype=np.int64)
    vertices = 0
    for start, event in zip(offsets, events, strict=False):
        for i, line in enumerate(event):
            if not line.mothers:
                continue
            mothers = start + np.array(line.mothers)
            known = end[mothers][end[mothers] >= 0]
            vertex = known[0] if len(known) else vertices
            vertices += not len(known)
            production[start + i] = vertex
            end[mothers[end[mothers] < 0]] = vertex
    p = {
        name: np.array([getattr(line, name) for line in lines], dtype=np.float64)
        for name in ("px", "py", "pz", "mass", "x", "y", "z")
    }
    return EventRecord(
        offsets=offsets,
        pdg_id=np.array([line.pdg_id for line in lines], dtype=np.int32),
        status=np.array([line.status for line in lines], dtype=np.int32),
        production_vertex=production,
        end_vertex=end,
        energy=np.sqrt(p["px"] ** 2 + p["py"] ** 2 + p["pz"] ** 2 + p["mass"] ** 2),
        **p,
    )


@pytest.fixture(scope="session")
def line():
    """A particle of a record: pdg_id, status, mothers, momentum."""
    return Line


@pytest.fixture(scope="session")
def record_of():
    """Make a record of lists of lines, one list an event; particles that share a mother share its end."""
    return _record_of


@pytest.fixture(scope="session")
def drell_yan():
    """q qbar -> Z -> mu- mu+, where the mu- radiates a photon; places of the particles by name."""
    lines = {
        "beam 1": Line(2212, 4, px=0, pz=6500),
        "beam 2": Line(2212, 4, px=0, pz=-6500),
        "u": Line(2, 21, (0,), px=0, pz=200),
        "ubar": Line(-2, 21, (1,), px=0, pz=-20),
        "Z": Line(23, 22, (2, 3), mass=91),
        "Z last": Line(23, 62, (4,), mass=91),
        "mu-": Line(13, 23, (5,), px=30, mass=0.106),
        "mu+": Line(-13, 1, (5,), px=-30, mass=0.106),
        "mu- last": Line(13, 1, (6,), px=20, mass=0.106),
        "photon": Line(22, 1, (6,), px=10),
    }
    return list(lines.values()), {name: i for i, name in enumerate(lines)}


@pytest.fixture(scope="session")
def b_decays():
    """A b quark whose hadron decays to muons directly, by a D, and by a tau."""
    lines = {
        "beam 1": Line(2212, 4, px=0, pz=6500),
        "gluon": Line(21, 21, (0,), px=0, pz=100),
        "b": Line(5, 23, (1,), px=60),
        "b last": Line(5, 71, (2,), px=60),
        "B*": Line(-513, 2, (3,), px=60, mass=5.32),
        "B": Line(-511, 2, (4,), px=59, mass=5.28),
        "photon": Line(22, 1, (4,), px=1),
        "mu from B": Line(13, 1, (5,), px=12, mass=0.106),
        "D": Line(411, 2, (5,), px=30, mass=1.87),
        "tau": Line(15, 2, (5,), px=14, mass=1.78),
        "nu": Line(-16, 1, (5,), px=3),
        "mu from D": Line(-13, 1, (8,), px=20, mass=0.106),
        "K from D": Line(310, 1, (8,), px=10, mass=0.498),
        "mu from tau": Line(13, 1, (9,), px=8, mass=0.106),
        "nu from tau": Line(16, 1, (9,), px=6),
    }
    return list(lines.values()), {name: i for i, name in enumerate(lines)}


@pytest.fixture(scope="session")
def tau_decay():
    """A tau from the hard process that decays to a muon, and to a rho in the other event half."""
    lines = {
        "beam 1": Line(2212, 4, px=0, pz=6500),
        "u": Line(2, 21, (0,), px=0, pz=100),
        "H": Line(25, 22, (1,), mass=125),
        "tau": Line(15, 23, (2,), px=50, mass=1.78),
        "tau last": Line(15, 2, (3,), px=45, mass=1.78),
        "photon": Line(22, 1, (3,), px=5),
        "mu": Line(13, 1, (4,), px=20, mass=0.106),
        "nu": Line(16, 1, (4,), px=20),
        "antitau": Line(-15, 2, (2,), px=-50, mass=1.78),
        "rho": Line(213, 2, (8,), px=-40, mass=0.77),
        "pi0": Line(111, 2, (9,), px=-20, mass=0.135),
        "pi": Line(211, 1, (9,), px=-20, mass=0.14),
    }
    return list(lines.values()), {name: i for i, name in enumerate(lines)}
