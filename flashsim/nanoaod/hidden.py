"""Branches of ``hidden.root``: what a detector sees and NanoAOD does not hold; see `flashsim.gen.hidden`."""

from __future__ import annotations

import numpy as np

from flashsim.nanoaod.branch import Branch

__all__ = ["HIDDEN_BRANCHES", "HIDDEN_EVENT", "HIDDEN_JET", "HIDDEN_LEPTON"]

HIDDEN_JET = {
    "nConstituents": ("int32", "number of particles in the jet"),
    "nCharged": ("int32", "number of charged ones"),
    "chHEF": ("float32", "energy fraction of charged hadrons"),
    "neHEF": ("float32", "energy fraction of neutral hadrons"),
    "chEmEF": ("float32", "energy fraction of electrons"),
    "neEmEF": ("float32", "energy fraction of photons"),
    "muEF": ("float32", "energy fraction of muons"),
    "ptD": ("float32", "sqrt(sum pT^2) / sum pT of the particles"),
    "girth": ("float32", "mean distance of the particles from the axis, weighted with pT"),
    "leading": ("float32", "pT of the hardest particle over the sum of all"),
    "neutrinoPt": ("float32", "sum of the pT of neutrinos within 0.4 of the axis, in GeV"),
    "flight": ("float32", "largest transverse distance at which a charged particle is produced, in cm"),
    "d0Second": ("float32", "second largest |d0| of the charged particles above 1 GeV, in cm"),
    "d0Third": ("float32", "third largest, in cm"),
}
HIDDEN_LEPTON = {
    "genPartIdx": ("int32", "index in GenPart"),
    "dxy": ("float32", "transverse impact parameter in cm"),
    "dz": ("float32", "longitudinal impact parameter in cm"),
    "charged03": ("float32", "sum of the pT of charged hadrons within 0.3, in GeV"),
    "neutral03": ("float32", "the same of neutral hadrons above 0.5 GeV"),
    "photon03": ("float32", "the same of photons above 0.5 GeV"),
    "charged04": ("float32", "sum of the pT of charged hadrons within 0.4, in GeV"),
    "neutral04": ("float32", "the same of neutral hadrons above 0.5 GeV"),
    "photon04": ("float32", "the same of photons above 0.5 GeV"),
}
HIDDEN_EVENT = {
    "nTracks": ("int32", "charged particles with pT > 0.5 GeV and |eta| < 2.5"),
    "nHadrons": ("int32", "charged hadrons with pT > 3 GeV and |eta| < 2.4"),
    "sumPt2": ("float32", "sum of the squared pT of the charged particles, in GeV^2"),
    "sumEt": ("float32", "sum of the pT of visible particles with |eta| < 5, in GeV"),
}

HIDDEN_BRANCHES: tuple[Branch, ...] = (
    *(
        Branch(f"Hidden{collection}_{name}", np.dtype(dtype), collection=f"Hidden{collection}", title=title)
        for collection, columns in (("Jet", HIDDEN_JET), ("Lepton", HIDDEN_LEPTON))
        for name, (dtype, title) in columns.items()
    ),
    *(
        Branch(f"HiddenEvent_{name}", np.dtype(dtype), title=title)
        for name, (dtype, title) in HIDDEN_EVENT.items()
    ),
)
"""The branches of hidden variables, with their units."""
