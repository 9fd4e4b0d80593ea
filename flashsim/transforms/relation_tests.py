"""Whether declared relations hold in training files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.transforms.codec import stored_bits
from flashsim.transforms.layout import relation_block

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["LEAST_SHARE", "RelationTest", "RelationTests"]

LEAST_SHARE = 0.99
"""Share of the objects in which a relation must hold, after rounding, to be taken as exact."""


@dataclass
class RelationTest:
    """Test of one relation.

    Parameters
    ----------
    title
        Kind and branches of the relation.
    rows
        Objects that were tested.
    held
        Objects in which it holds within the rounding of stored values.
    largest
        Largest deviation where it does not hold, in the unit of the branches.
    """

    title: str
    rows: int = 0
    held: int = 0
    largest: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether it is exact as far as can be told."""
        return self.held >= LEAST_SHARE * self.rows

    def sentence(self) -> str:
        """Say what was found."""
        share = self.held / max(self.rows, 1)
        return (
            f"relation '{self.title}': holds in {share:.2%} of {self.rows} objects after rounding, elsewhere "
            f"within {self.largest:.3g}"
        )


@dataclass
class RelationTests:
    """Tests of all relations of a declaration, chunk by chunk.

    Parameters
    ----------
    declaration
        With the targets that the files have.
    version
        Their NanoAOD version, for the precision of stored values.
    """

    declaration: ObjectDeclaration
    version: str
    tests: list[RelationTest] = field(default_factory=list)

    def __post_init__(self) -> None:
        d = self.declaration
        self._blocks = [relation_block(relation, d.targets) for relation in d.relations]
        kept = stored_bits(d.targets, d.collection, self.version)
        self._bits = {target.branch: bits for target, bits in zip(d.targets, kept, strict=True)}
        self.tests = [RelationTest(relation.title) for relation in d.relations]

    def add(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Test objects: columns of shape (N,) by branch, ``gen.FIELD`` and ``conditioning.NAME``.

        Objects with a value that is not finite are left out.
        """
        if not self.tests:
            return
        good = np.all([np.isfinite(column) for column in columns.values()], axis=0)
        some = {name: np.asarray(column[good], dtype=np.float64) for name, column in columns.items()}
        if not (rows := int(np.count_nonzero(good))):
            return
        for block, test in zip(self._blocks, self.tests, strict=True):
            holds, deviation = block.check(some, self._bits)
            test.rows += rows
            test.held += int(np.count_nonzero(holds))
            test.largest = max(test.largest, float(deviation[~holds].max(initial=0.0)))

    def report(self, log: logging.Logger) -> None:
        """Say which relations do not hold, and what becomes of their branches."""
        made = {branch for relation in self.tested().relations for branch in relation.branches}
        for relation, test in zip(self.declaration.relations, self.tests, strict=True):
            if not test.holds and made.issuperset(relation.branches):
                log.info("%s: left out, others are in its place", test.sentence())
            elif not test.holds:
                log.warning("%s: left out, the branches are drawn by themselves", test.sentence())

    def tested(self) -> ObjectDeclaration:
        """Give the declaration with the relations that hold."""
        pairs = zip(self.declaration.relations, self.tests, strict=True)
        return self.declaration.model_copy(update={"relations": [r for r, test in pairs if test.holds]})
