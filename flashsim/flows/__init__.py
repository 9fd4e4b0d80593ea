"""Conditional normalizing flows: kinds of density models, and their samplers."""

from __future__ import annotations

from flashsim.flows.flow import Flow

__all__ = ["Flow"]
