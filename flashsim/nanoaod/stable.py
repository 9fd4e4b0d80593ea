"""Branches of ``particles.root``: the stable visible particles that a detector is hit by."""

from __future__ import annotations

import numpy as np

from flashsim.nanoaod.branch import Branch

__all__ = ["STABLE", "STABLE_BRANCHES"]

STABLE = "GenStable"
"""Name of the collection."""

STABLE_BRANCHES: tuple[Branch, ...] = tuple(
    Branch(f"{STABLE}_{name}", np.dtype(dtype), collection=STABLE, title=title)
    for name, dtype, title in (
        ("pt", "float32", "pT in GeV"),
        ("eta", "float32", "pseudorapidity where the particle is produced"),
        ("phi", "float32", "azimuth where the particle is produced"),
        ("mass", "float32", "mass in GeV"),
        ("pdgId", "int32", "PDG number"),
        ("vx", "float32", "x of the production vertex relative to the primary vertex, in cm"),
        ("vy", "float32", "y of the production vertex relative to the primary vertex, in cm"),
        ("vz", "float32", "z of the production vertex relative to the primary vertex, in cm"),
    )
)
"""Its branches, with their units."""
