"""The reference simulation: generator-level events from Pythia 8, in NanoAOD form.

It is called the reference simulation everywhere and is not CMS simulation.
"""

from __future__ import annotations

from flashsim.reference.events import generate_gen
from flashsim.reference.genfile import GenSummary

__all__ = ["GenSummary", "generate_gen"]
