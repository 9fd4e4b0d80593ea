"""Whole events: how their objects hang together, and whether that tells two simulations apart."""

from __future__ import annotations
