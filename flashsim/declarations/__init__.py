"""What physicists declare in YAML: objects, trainings, refinements, outputs. Data only, no computing."""

from __future__ import annotations
