"""What the detector is hit by: the record of a particle, and charges by PDG number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BREM",
    "CONVERSION",
    "DECAY",
    "DECAYED",
    "IN_FLIGHT",
    "NUCLEAR",
    "PARTICLE",
    "PRIMARY",
    "Rows",
    "charges",
]

PARTICLE = np.dtype(
    [(name, "f8") for name in ("pt", "eta", "phi", "mass", "energy", "x", "y", "z", "end")]
    + [(name, "i4") for name in ("pdg", "charge", "interaction", "mother", "source", "reserved")]
)
"""GeV, cm and radians; `x`, `y`, `z` where it begins and `end` the radius where its path ends; `interaction`
0 is the hard event; `mother` the row of the particle of the generator that it comes from, `source` how;
`reserved` marks what an electron's supercluster takes, and hadrons that `DECAYED` to a muon in flight."""

PRIMARY, DECAY, CONVERSION, NUCLEAR, BREM, IN_FLIGHT = range(6)
"""Values of `source`."""

DECAYED = -1


class Rows(NamedTuple):
    """Records of E events.

    Parameters
    ----------
    offsets
        Shape (E + 1,).
    rows
        Shape (N,).
    """

    offsets: NDArray[np.int64]
    rows: NDArray[Any]


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
