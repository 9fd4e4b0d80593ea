"""Grids: one recipe with several values of some keys, each combination a training."""

from __future__ import annotations
