"""The reference simulation: generator-level events from Pythia 8 or HepMC, in NanoAOD form.

It is called the reference simulation everywhere and is not CMS simulation.
"""

from __future__ import annotations

from flashsim.reference.detect import Detection, detect
from flashsim.reference.events import generate_gen
from flashsim.reference.gen import make_gen
from flashsim.reference.genfile import GenSummary
from flashsim.reference.hepmc import convert_hepmc, is_hepmc
from flashsim.reference.simulate import Simulation, simulate

__all__ = [
    "Detection",
    "GenSummary",
    "Simulation",
    "convert_hepmc",
    "detect",
    "generate_gen",
    "is_hepmc",
    "make_gen",
    "simulate",
]
