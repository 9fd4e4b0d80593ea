"""Preprocessing: NanoAOD in, training tables out; and the gen-level view that generation shares with it."""

from __future__ import annotations
