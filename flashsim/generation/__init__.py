"""Generation: gen-level NanoAOD in, simulated NanoAOD out."""

from __future__ import annotations
