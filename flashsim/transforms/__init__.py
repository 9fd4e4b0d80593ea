"""Between NanoAOD values and what networks see: responses to gen objects, column transforms, codecs."""

from __future__ import annotations
