"""The folder and log that a training writes, and what reads them."""

from __future__ import annotations
