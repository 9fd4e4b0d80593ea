"""Preprocessing: NanoAOD in, training tables out."""

from __future__ import annotations
