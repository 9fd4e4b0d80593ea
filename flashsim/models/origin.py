"""What models were trained on, as far as their files say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flashsim.models.shipped import shipped_digests

if TYPE_CHECKING:
    from flashsim.models.object_model import ObjectModel

__all__ = ["REFERENCE", "SHIPPED", "trained_on"]

REFERENCE = "the reference simulation, which is not CMS simulation"
SHIPPED = f"{REFERENCE} (shipped model)"

_FEW = 2


def trained_on(model: ObjectModel) -> str:
    """Say what a model was trained on.

    Shipped models are of the reference simulation; other model files say whether theirs was, if they are new
    enough, and else which files the training had: no more is known of them.
    """
    if model.digest and model.digest in shipped_digests().values():
        return SHIPPED
    if model.provenance.get("reference"):
        return REFERENCE
    return _named(model.provenance.get("files"))


def _named(files: Any) -> str:
    names = [str(name) for name in files] if isinstance(files, list | tuple) else []
    if not names:
        return "files that it does not name"
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
