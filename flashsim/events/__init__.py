"""Events as columns: collections, gen view, matching, conditioning, momentum balance, random numbers."""

from __future__ import annotations
