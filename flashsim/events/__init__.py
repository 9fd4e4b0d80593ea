"""Events as columns: collections, gen view, matching, conditioning, MET recoil, random numbers."""

from __future__ import annotations
