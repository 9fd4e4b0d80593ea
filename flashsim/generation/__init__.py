"""Generation: gen-level NanoAOD in, simulated NanoAOD out."""

from __future__ import annotations

PRELOAD = ("flashsim.generation.settings", "flashsim.generation.workers")
"""What processes that simulate import before anything else."""
