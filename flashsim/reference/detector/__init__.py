"""Parametrised detectors: from gen-level events and their hidden variables to reconstructed objects.

``reference/full.yaml`` and ``reference/fast.yaml`` hold the parameters of the two that the project ships.
They are no simulation of CMS: forms and sizes of the responses are those that CMS publishes, see each module.
"""

from __future__ import annotations

__all__: list[str] = []
