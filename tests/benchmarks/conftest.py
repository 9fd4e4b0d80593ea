"""Benchmarks are not installed with the package: their tests find them in the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

# Last, so that the installed package is tested and not the one of the checkout.
sys.path.append(str(Path(__file__).resolve().parents[2]))
