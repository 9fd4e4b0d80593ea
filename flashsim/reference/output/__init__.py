"""From reconstructed collections to NanoAOD: matching to gen, cross references, branches, files."""

from __future__ import annotations
