"""Training: tables in, one model file per object out."""

from __future__ import annotations
