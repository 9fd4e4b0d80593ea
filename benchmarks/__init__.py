"""Commands that measure: fidelity and speed, always beside a peer or the truth."""

from __future__ import annotations
