"""Generator-level NanoAOD from Pythia 8, or from the HepMC or LHE events of any generator."""

from __future__ import annotations

from flashsim.gen.gen_file import GenSummary
from flashsim.gen.hepmc import convert_hepmc
from flashsim.gen.lhe import shower_lhe
from flashsim.gen.make import make_gen
from flashsim.gen.pythia_events import generate_gen

__all__ = ["GenSummary", "convert_hepmc", "generate_gen", "make_gen", "shower_lhe"]
