"""The kinds of flows by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashsim.flows.spline_maf import SplineMAF

if TYPE_CHECKING:
    from flashsim.flows.protocol import FlowKind

__all__ = ["KINDS", "kind_of"]

KINDS: dict[str, FlowKind] = {"spline_maf": SplineMAF()}


def kind_of(name: str) -> FlowKind:
    """Give the kind of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in KINDS:
        msg = f"there is no kind of flow '{name}', only {', '.join(sorted(KINDS))}"
        raise ValueError(msg)
    return KINDS[name]
