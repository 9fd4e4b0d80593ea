"""Tests of flashsim.nanoaod."""

from __future__ import annotations
