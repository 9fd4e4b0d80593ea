"""Training: tables in, one model file an object out."""

from __future__ import annotations
