"""Conditional normalizing flows: the density model, and its exact fast sampler."""

from __future__ import annotations

from flashsim.flows.maf import ConditionalMAF
from flashsim.flows.sampler import Sampler

__all__ = ["ConditionalMAF", "Sampler"]
