"""Analysis of generated files."""

from __future__ import annotations

from flashsim.analysis.oversampled import OversampledHistogram

__all__ = ["OversampledHistogram"]
