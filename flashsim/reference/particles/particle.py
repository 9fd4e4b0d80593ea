"""What the detector is hit by: the record of a particle, and charges by PDG number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BREM", "CONVERSION", "DECAY", "IN_FLIGHT", "NUCLEAR", "PARTICLE", "PRIMARY", "charges"]

PARTICLE = np.dtype(
    [
        ("pt", "f8"),
        ("eta", "f8"),
        ("phi", "f8"),
        ("mass", "f8"),
        ("energy", "f8"),
        ("x", "f8"),
        ("y", "f8"),
        ("z", "f8"),
        ("end", "f8"),
        ("pdg", "i4"),
        ("charge", "i4"),
        ("interaction", "i4"),
        ("mother", "i4"),
        ("source", "i4"),
        ("reserved", "i4"),
    ]
)
"""GeV, cm and radians; `x`, `y`, `z` where it begins and `end` the radius where its path ends; `interaction` 0 is
the hard event; `mother` the row of the particle of the generator that it comes from, `source` how; `reserved`
marks what an electron's supercluster takes."""

PRIMARY, DECAY, CONVERSION, NUCLEAR, BREM, IN_FLIGHT = range(6)
"""Values of `source`."""


def charges(pdg_id: NDArray[np.integer]) -> NDArray[np.int32]:
    """Electric charge of leptons and hadrons by PDG number, shape (N,): from their quark content."""
    number = np.asarray(pdg_id, dtype=np.int64)
    code = np.abs(number)
    first, second, third = code // 1000 % 10, code // 100 % 10, code // 10 % 10

    def thirds(quark: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(quark == 0, 0, np.where(quark % 2 == 0, 2, -1))

    # The heavier quark of a meson's number is the quark, unless it is of down type: then the antiquark.
    meson = (thirds(second) - thirds(third)) * np.where(second % 2 == 0, 1, -1)
    baryon = thirds(first) + thirds(second) + thirds(third)
    hadron = np.where(first == 0, meson, baryon) // 3
    charge = np.where(code > 100, hadron, np.where(np.isin(code, (11, 13, 15)), -1, 0))
    return (charge * np.sign(number)).astype(np.int32)
