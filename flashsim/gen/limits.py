"""Numbers beyond which an event file is damaged."""

from __future__ import annotations

__all__ = ["LARGEST_MOMENTUM", "LARGEST_NUMBER"]

LARGEST_MOMENTUM = 1e12
"""In GeV: beyond the energies of cosmic rays."""
LARGEST_NUMBER = 2**31
"""Whole numbers are below: they have 32 bits."""
