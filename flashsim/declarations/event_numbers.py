"""Limits of the run, luminosity block and event number that a user may name."""

from __future__ import annotations

__all__ = ["EVENTS_PER_LUMINOSITY_BLOCK", "MOST_BLOCK", "MOST_EVENT", "MOST_RUN"]

EVENTS_PER_LUMINOSITY_BLOCK = 1000
"""Events in one luminosity block."""
MOST_RUN = 2**31 - 1
"""The largest run: readers with signed numbers take no larger one."""
MOST_BLOCK = 2**31 - 2**20
"""The largest first block: it leaves room for the blocks of 10^9 events."""
MOST_EVENT = 2**62
"""The largest number of a first event."""
