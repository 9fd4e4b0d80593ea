"""Realism of the reference simulation: its reconstructed objects against those of CMS's full simulation."""

from __future__ import annotations

__all__: list[str] = []
