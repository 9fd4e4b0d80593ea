"""The reference simulation: a detector of known truth, on gen-level events of `flashsim.gen`.

It is called the reference simulation everywhere and is not CMS simulation.
"""

from __future__ import annotations

from flashsim.reference.detect import Detection, detect

__all__ = ["Detection", "detect"]
