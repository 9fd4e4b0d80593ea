"""The command line: the only place that reads arguments, prints, and ends with an exit status."""

from __future__ import annotations
