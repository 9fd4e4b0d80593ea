"""How files say that FlashSim made them: a text (TObjString) of JSON, which ``hadd`` keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import uproot

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GEN", "GENERATION", "REFERENCE", "REFINEMENT", "read_provenance"]

GENERATION, GEN = "flashsim", "flashsim_gen"
REFERENCE, REFINEMENT = "flashsim_reference", "flashsim_refinement"
"""Names of the texts that each stage writes."""


def read_provenance(path: str | Path, name: str) -> dict[str, Any] | None:
    """Read what a file says under a name; none where it says nothing that can be read."""
    try:
        with uproot.open({str(path): None}) as file:
            if file.classnames(recursive=False, cycle=False).get(name) != "TObjString":
                return None
            content = json.loads(str(file[name]))
    except Exception:  # noqa: BLE001  # damaged bytes surface as almost any exception
        return None
    return content if isinstance(content, dict) else None
