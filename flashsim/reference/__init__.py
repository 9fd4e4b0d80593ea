"""The reference simulation: a detector of known truth, on gen-level events and particles of `flashsim.gen`.

It is called the reference simulation everywhere and is not CMS simulation.
"""

from __future__ import annotations
