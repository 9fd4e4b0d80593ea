"""Values of the expressions of `flashsim.declarations.expressions`, for whole columns."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flashsim.declarations.expressions import parsed

__all__ = ["Columns", "evaluate"]

Columns = Mapping[str, NDArray[Any]]
"""Columns by name, shape (N,): branches, ``gen.NAME``, ``conditioning.NAME`` and so on."""

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.UAdd: np.positive,
    ast.USub: np.negative,
    ast.Not: np.logical_not,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
}


def _step(values: Any, bits: Any) -> Any:
    """Distance between neighbouring numbers of the size of `values` that have `bits` bits of mantissa."""
    _, exponents = np.frexp(values)  # values are from 0.5 to 1 times these powers of two
    return np.where(np.isfinite(values) & (values != 0.0), np.exp2(exponents - 1.0 - bits), 0.0 * values)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": lambda mask, yes, no: np.where(np.asarray(mask, dtype=bool), yes, no),
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
    "pow": np.power,
    "rounding": _step,
    **{
        name: getattr(np, name)
        for name in ("abs", "sqrt", "log", "exp", "cos", "sin", "cosh", "sinh", "tanh", "hypot")
    },
}


def evaluate(text: str, columns: Columns, rows: int) -> NDArray[np.float64]:
    """Compute an expression in double precision, shape (rows,).

    What has no value, such as 1 / 0, is infinite or NaN; a truth is 1 or 0.

    Raises
    ------
    KeyError
        If a name has no column.

    Examples
    --------
    >>> import numpy as np
    >>> evaluate("where(pt > 2, pt, -1)", {"pt": np.array([1.0, 3.0])}, 2).tolist()
    [-1.0, 3.0]
    """
    with np.errstate(all="ignore"):
        found = _value(parsed(text), columns)
    return np.broadcast_to(np.asarray(found, dtype=np.float64), (rows,)).copy()


def _value(node: ast.expr, columns: Columns) -> Any:  # noqa: PLR0911  # one for each kind of part
    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]  # numbers only, see `parsed`
        case ast.Name(id=name):
            return np.asarray(columns[name], dtype=np.float64)
        case ast.Attribute(value=ast.Name(id=space), attr=name):
            return np.asarray(columns[f"{space}.{name}"], dtype=np.float64)
        case ast.BinOp(left=left, op=operator, right=right):
            return _operated(operator, _value(left, columns), _value(right, columns))
        case ast.UnaryOp(op=operator, operand=operand):
            return _operated(operator, _value(operand, columns))
        case ast.BoolOp(op=operator, values=values):
            return _number(reduce(_OPERATORS[type(operator)], [_value(part, columns) for part in values]))
        case ast.Compare(left=left, ops=operators, comparators=others):
            sides = [_value(part, columns) for part in (left, *others)]
            pairs = zip(operators, sides[:-1], sides[1:], strict=True)
            return _number(reduce(np.logical_and, [_operated(o, *two) for o, *two in pairs]))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_value(part, columns) for part in args))
    msg = f"{ast.unparse(node)!r} is no part of an expression"
    raise TypeError(msg)


def _operated(operator: ast.AST, *values: Any) -> NDArray[np.float64]:
    return _number(_OPERATORS[type(operator)](*values))


def _number(found: Any) -> NDArray[np.float64]:
    # Truths are numbers: in numpy the difference of two is none, and their sum is a truth.
    return np.asarray(found, dtype=np.float64)
