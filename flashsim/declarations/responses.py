"""Names of the ways in which a reconstructed quantity relates to that of the object it comes from."""

from __future__ import annotations

from typing import Literal

__all__ = ["RelationName"]

RelationName = Literal["none", "difference", "angle", "ratio", "product", "excess"]
"""Each is a class of `flashsim.transforms.response`."""
