"""The ``GenStable`` collection: the stable visible particles that a detector is hit by.

NanoAOD has no such collection; it is written to a file of its own, ``particles.root``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import awkward as ak
import numpy as np

from flashsim.gen.gen_jets import visible
from flashsim.gen.particles import pseudorapidity
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.stable import STABLE, STABLE_BRANCHES

if TYPE_CHECKING:
    from flashsim.gen.record import EventRecord

__all__ = ["MAX_ETA", "stable_particles"]

MAX_ETA = 6.0
"""Particles beyond hit no calorimeter: CMS's forward ones end at |eta| = 5.2."""

# A momentum moves by 1.2e-4 of itself at most, far less than any detector resolves; an angle by 1.2e-4, which
# moves the impact parameter of a particle produced at 1 cm by about a micrometre.
_BITS = {"pt": 12, "eta": 14, "phi": 14, "mass": 18, "vx": 12, "vy": 12, "vz": 12}
_CM_PER_MM = 0.1
_NOWHERE = 1e-5  # cm: hadrons and resonances that decay at once


def stable_particles(record: EventRecord) -> dict[str, ak.Array]:
    """``GenStable`` branches: visible final particles with |eta| below `MAX_ETA`, in the generator's order.

    Parameters
    ----------
    record
        The generator's particles.

    Returns
    -------
    One list per event under the names of `flashsim.nanoaod.stable.STABLE_BRANCHES`, with as many mantissa
    bits as matter; production vertices within 0.1 micrometres of the primary one are at 0.
    """
    chosen = np.flatnonzero(visible(record))
    eta = pseudorapidity(record.pt[chosen], record.pz[chosen])
    inside = np.abs(eta) < MAX_ETA
    chosen = chosen[inside]
    columns = {
        "pt": record.pt[chosen],
        "eta": eta[inside],
        "phi": np.arctan2(record.py[chosen], record.px[chosen]),
        "mass": record.mass[chosen],
        "pdgId": record.pdg_id[chosen],
    }
    for name in ("x", "y", "z"):
        place = getattr(record, name)[chosen] * _CM_PER_MM
        columns[f"v{name}"] = np.where(np.abs(place) < _NOWHERE, 0.0, place)
    counts = np.bincount(record.event_index[chosen], minlength=record.events)
    dtypes = {branch.field: branch.dtype for branch in STABLE_BRANCHES}
    stored = {name: values.astype(dtypes[name]) for name, values in columns.items()}
    for name, bits in _BITS.items():
        stored[name] = round_mantissa(stored[name], bits)
    return {f"{STABLE}_{name}": ak.unflatten(values, counts) for name, values in stored.items()}
