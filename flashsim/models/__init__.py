"""Model files, and the models that the package ships."""

from __future__ import annotations
