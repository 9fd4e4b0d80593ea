"""Corrections of simple payloads of correctionlib, for whole columns at once.

Those of jets are a binning of one formula, or a product of such. Computed by columns they take a tenth of the
time that correctionlib takes for one value after the other; all other kinds are left to it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.expressions import evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Product", "simple_correction"]

_VARIABLES = "xyzt"


@dataclass(frozen=True)
class _Binned:
    """A formula with parameters for each bin of one input; beyond the edges the outermost bins count."""

    binned: str
    edges: Floats
    expression: str
    variables: tuple[str, ...]
    parameters: Floats

    def values(self, inputs: Mapping[str, Floats], rows: int) -> Floats:
        where = np.searchsorted(self.edges, inputs[self.binned], side="right") - 1
        parameters = self.parameters[:, np.clip(where, 0, len(self.edges) - 2)]
        columns = {f"p{number}": column for number, column in enumerate(parameters)}
        columns |= {name: inputs[of] for name, of in zip(_VARIABLES, self.variables, strict=False)}
        return evaluate(self.expression, columns, rows)


@dataclass(frozen=True)
class Product:
    """Factors that are applied one after the other, to some of the inputs.

    Parameters
    ----------
    factors
        The corrections in their order; numbers are constants.
    updated
        Inputs that each factor multiplies for those after it.
    """

    factors: tuple[_Binned | float, ...]
    updated: tuple[str, ...]

    def values(self, inputs: Mapping[str, Floats], rows: int) -> Floats:
        """Compute the factor, shape (rows,), of inputs of that shape by name."""
        columns, found = dict(inputs), np.ones(rows)
        for factor in self.factors:
            one = np.full(rows, factor) if isinstance(factor, float) else factor.values(columns, rows)
            columns |= {name: columns[name] * one for name in self.updated}
            found = found * one
        return found


def simple_correction(payload: str, name: str) -> Product | None:
    """Read a correction, or compound correction, if it is a product of binned formulas; else give none."""
    content = json.loads(payload)
    known = {entry["name"]: entry for entry in content["corrections"]}
    compounds = {entry["name"]: entry for entry in content.get("compound_corrections") or []}
    stack, updated = [name], ()
    if name in compounds:
        compound = compounds[name]
        if (compound["input_op"], compound["output_op"]) != ("*", "*"):
            return None
        stack, updated = compound["stack"], tuple(compound["inputs_update"])
    try:
        factors = tuple(_factor(known[part]["data"]) for part in stack)
    except (KeyError, TypeError, ValueError):
        return None
    return Product(factors, updated)


def _factor(data: Any) -> _Binned | float:
    """Read a constant, or a binning of one formula.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is something else.
    """
    if isinstance(data, int | float):
        return float(data)
    content = data["content"]
    texts = {(c["nodetype"], c["expression"], tuple(c["variables"])) for c in content}
    ((kind, text, variables),) = texts
    if (data["nodetype"], data["flow"], kind) != ("binning", "clamp", "formula"):
        raise ValueError
    if len(variables) > len(_VARIABLES):
        raise ValueError
    edges = np.asarray(data["edges"], dtype=np.float64)
    parameters = np.asarray([c["parameters"] for c in content], dtype=np.float64).T
    expression = re.sub(r"\[(\d+)\]", r"p\1", text)
    binned = _Binned(data["input"], edges, expression, variables, parameters)
    names = dict.fromkeys({data["input"], *variables}, np.ones(1))
    binned.values(names, 1)  # what is no expression of ours shows here
    return binned
