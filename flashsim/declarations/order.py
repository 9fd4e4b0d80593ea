"""The order in which collections are drawn: each after those that its declaration is conditioned on."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["drawing_order"]


def drawing_order(declarations: Sequence[ObjectDeclaration]) -> list[int]:
    """Give positions of declarations in the order in which their collections are drawn.

    Those that do not depend on each other keep the order of their collections' names.

    Raises
    ------
    RecipeError
        If some depend on each other in a circle.
    """
    position = {declaration.collection: row for row, declaration in enumerate(declarations)}
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for declaration in declarations:
        sorter.add(declaration.collection, *(name for name in declaration.needs() if name in position))
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        msg = (
            f"collections are conditioned on each other in a circle: {circle}; take 'of: reco.NAME' out "
            "of the conditioning of one of them"
        )
        raise RecipeError(msg) from error
    order: list[int] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += [position[name] for name in ready]
        sorter.done(*ready)
    return order
