"""The monitor of trainings: a live web page of all that write their log below a folder."""

from __future__ import annotations
