"""Which blocks encode the targets of a declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashsim.declarations.relations import Conditional, Formula, Nested, Probabilities, Simplex, arranged
from flashsim.transforms.blocks import Block, PlainBlock, RelationBlock
from flashsim.transforms.conditional import ConditionalBlock
from flashsim.transforms.formula import FormulaBlock
from flashsim.transforms.nested import NestedBlock
from flashsim.transforms.probabilities import ProbabilitiesBlock
from flashsim.transforms.simplex import SimplexBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import ExactRelation, Group

__all__ = ["blocks_of", "relation_block"]


def blocks_of(targets: Sequence[Target], relations: Sequence[ExactRelation] = ()) -> list[Block]:
    """Blocks of targets, in an order in which each is computed from those before."""
    return [_block(group, targets) for group in arranged(targets, relations)]


def relation_block(relation: ExactRelation, targets: Sequence[Target]) -> RelationBlock:
    """Block of one relation among targets."""
    known = {target.branch: target for target in targets}
    own = tuple(known[name] for name in relation.branches)
    match relation:
        case Simplex():
            return SimplexBlock(own, relation.rest, relation.floors, relation.precision)
        case Nested():
            return NestedBlock(own)
        case Probabilities():
            return ProbabilitiesBlock(relation, own)
        case Conditional():
            return ConditionalBlock(relation, own[0])
        case Formula():
            inputs = tuple(known[name] for name in relation.needs.branches)
            return FormulaBlock(relation, own[0], inputs)


def _block(group: Group, targets: Sequence[Target]) -> Block:
    if group.relation is None:
        return PlainBlock(group.targets[0])
    return relation_block(group.relation, targets)
