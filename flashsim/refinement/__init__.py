"""Refinement: objects of a fast simulation are moved so that they look like those of the full one."""

from __future__ import annotations
