"""The kinds of flows by name; others can be added."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from flashsim.declarations.flows import load_kinds_of_others

if TYPE_CHECKING:
    from flashsim.flows.protocol import FlowKind

__all__ = ["is_own", "kind_of", "register"]

_OWN = {"spline_maf": "flashsim.flows.spline_maf", "flow_matching": "flashsim.flows.flow_matching"}
"""Modules, imported when their kind is needed, with a `KIND` each."""

_others: dict[str, FlowKind] = {}


def register(kind: FlowKind) -> None:
    """Add a kind, under the name that its recipe has.

    Another package registers its kind in a module that it names as an entry point of the group
    ``flashsim.flows``; then all commands know it.
    """
    from flashsim.declarations.training import add_flow_recipe  # noqa: PLC0415  # generating needs none

    add_flow_recipe(kind.recipe)
    _others[kind.recipe.model_fields["kind"].default] = kind


def is_own(name: str) -> bool:
    """Whether a kind is one of this package."""
    return name in _OWN


def kind_of(name: str) -> FlowKind:
    """Give the kind of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name in _OWN:
        return cast("FlowKind", import_module(_OWN[name]).KIND)
    if name not in _others:
        load_kinds_of_others()
    if name not in _others:
        msg = f"there is no kind of flow '{name}', only {', '.join(sorted({*_OWN, *_others}))}"
        raise ValueError(msg)
    return _others[name]
