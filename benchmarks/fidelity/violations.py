"""Values that a branch cannot have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.transforms.codec import allows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target

__all__ = ["violations"]


def violations(
    targets: Sequence[Target], columns: Mapping[str, NDArray[np.float64]]
) -> dict[str, dict[str, int]]:
    """Count values by target: all that were checked, those not allowed, and those that should be integers.

    Parameters
    ----------
    targets
        The declarations. A discrete one without a list of its values must be an integer.
    columns
        NanoAOD values by branch, shape (N,), of objects that exist: NaN is a violation.
    """
    found = {}
    for target in targets:
        values = columns[target.branch]
        count = {"checked": len(values), "not_allowed": int(np.count_nonzero(~allows(target, values)))}
        if target.discrete and target.values is None:
            count["not_integer"] = int(np.count_nonzero(values != np.rint(values)))
        found[target.branch] = count
    return found
