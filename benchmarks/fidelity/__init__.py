"""Fidelity: generated objects against held-out ones of the reference simulation, and other networks."""

from __future__ import annotations
