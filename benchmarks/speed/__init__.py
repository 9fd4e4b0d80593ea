"""Speed of everything, side by side: ``python -m benchmarks.speed``."""

from __future__ import annotations
