"""Validation: NanoAOD against a reference, with a number and an error on each variable."""

from __future__ import annotations

from flashsim.analysis.validation.recipe import load_validation
from flashsim.analysis.validation.report import Report, validate

__all__ = ["Report", "load_validation", "validate"]
