"""How near refined objects of the reference simulation come to its full detector, on held-out events."""

from __future__ import annotations
