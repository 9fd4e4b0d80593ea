"""Flags of which each implies the next, as the number of those that are set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flashsim.transforms.blocks import Bits, Cells, Column, Environment, Floats, RelationBlock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target

__all__ = ["NestedBlock"]


@dataclass(frozen=True)
class NestedBlock(RelationBlock):
    """Flags, from the tightest to the loosest."""

    targets: tuple[Target, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """How many are set."""
        return (Column(" in ".join(target.branch for target in self.targets), discrete=True),)

    def cells(self, values: Environment, bits: Bits) -> list[Cells]:  # noqa: ARG002  # flags are exact
        """Give the number of flags that are set."""
        level = np.sum(self._flags(values), axis=0).astype(np.float64)
        return [Cells(level, level, level)]

    def decode(self, drawn: Sequence[Floats], made: Environment) -> dict[str, Floats]:  # noqa: ARG002
        """Set the loosest so many flags."""
        most = len(self.targets)
        return {
            target.branch: (drawn[0] >= most - number - 0.5).astype(np.float64)
            for number, target in enumerate(self.targets)
        }

    def check(self, values: Environment, bits: Bits) -> tuple[NDArray[np.bool_], Floats]:  # noqa: ARG002
        """Tell where each stored flag implies the next, and how many do not."""
        flags = self._flags(values)
        wrong = np.sum(flags[:-1] & ~flags[1:], axis=0).astype(np.float64)
        return wrong == 0.0, wrong

    def _flags(self, values: Environment) -> NDArray[np.bool_]:
        return np.stack([np.asarray(values[target.branch]) != 0 for target in self.targets])
