"""Reading and writing NanoAOD: branches, chunks, schemas per version, reduced mantissas."""

from __future__ import annotations
