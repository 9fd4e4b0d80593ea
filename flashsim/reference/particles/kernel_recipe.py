"""Recipes whose numbers go into kernels."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, ClassVar

import numba
import numpy as np

from flashsim.declarations.recipes import Recipe

__all__ = ["KernelRecipe", "borrowing", "eta_bin"]

_BINS, _PER_UNIT = 64, 20

borrowing: Any = numba.njit(cache=True, _nrt=False)  # type: ignore[call-overload]  # not in numba's stubs
"""Compile a function that makes no array: it does not count the references to those that it is given, which
takes longer than the work of a small function that is given many, as the grids and numbers of detectors."""


class KernelRecipe(Recipe):
    """A recipe that kernels take as a named tuple of the same fields.

    Lists as long as ``eta`` are values at these |eta|; kernels get them interpolated at 64 bins, see
    `eta_bin`.
    """

    Numbers: ClassVar[Any]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Make the named tuple; it is found by its name, as numba's cache needs."""
        fields = list(cls.model_fields)
        numbers = namedtuple("Numbers", fields, module=cls.__module__)  # type: ignore[misc]  # noqa: PYI024
        numbers.__qualname__ = f"{cls.__qualname__}.Numbers"
        cls.Numbers = numbers

    def numbers(self) -> Any:
        """Give the fields as floats, integers and arrays."""
        values = self.model_dump()
        eta: Any = values.get("eta")
        centres = (np.arange(_BINS) + 0.5) / _PER_UNIT
        for name, value in values.items():
            if isinstance(value, list):
                along = eta is not None and name != "eta" and len(value) == len(eta)
                values[name] = np.interp(centres, eta, value) if along else np.array(value, dtype=float)
        return self.Numbers(**values)


@borrowing
def eta_bin(eta):
    """Bin of |eta| in the tables of a `KernelRecipe`; the last one holds all beyond 3.15."""
    return min(int(abs(eta) * _PER_UNIT), _BINS - 1)
