"""HepMC files of any generator as gen-level NanoAOD."""

from __future__ import annotations

from flashsim.gen.hepmc.convert import convert_hepmc

__all__ = ["convert_hepmc"]
