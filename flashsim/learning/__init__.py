"""What all trainings share: tables, the training loop, small networks, devices."""

from __future__ import annotations
