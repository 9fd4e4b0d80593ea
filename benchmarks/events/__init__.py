"""Whole events of the models against those of the reference simulation."""

from __future__ import annotations
