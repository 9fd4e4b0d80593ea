"""Expressions of YAML: formulas of columns, in Python's notation, of which nothing is ever executed.

An expression has numbers, names, ``+ - * / **``, comparisons, ``and``, ``or``, ``not`` and the functions of
`FUNCTIONS`. A name alone is a branch of the object; ``gen.NAME`` is a field of its gen object, and
``conditioning.NAME`` a conditioning column before it is scaled. Where objects follow from others that they
are linked to, ``to.NAME`` is a field of the other one, and ``event.NAME`` a value of the event.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["FUNCTIONS", "SPACES", "Expression", "Names", "names_of", "parsed"]

FUNCTIONS = {
    "where": (3, 3),
    "min": (2, 9),
    "max": (2, 9),
    "abs": (1, 1),
    "sqrt": (1, 1),
    "log": (1, 1),
    "exp": (1, 1),
    "cos": (1, 1),
    "sin": (1, 1),
    "cosh": (1, 1),
    "sinh": (1, 1),
    "tanh": (1, 1),
    "hypot": (2, 2),
    "pow": (2, 2),
    "rounding": (2, 2),
}
"""Functions with the least and the largest number of their arguments.

``rounding(x, bits)`` is the step between numbers of so many bits of mantissa around x, 0 at 0.
"""

SPACES = ("gen", "conditioning", "to", "event")
"""What may stand before the dot of a name."""

_MOST_CHARACTERS = 4000
_MOST_SHOWN = 120
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_SIGNS = (ast.UAdd, ast.USub, ast.Not)


@dataclass(frozen=True)
class Names:
    """Names in an expression, each once, in the order of the text.

    Parameters
    ----------
    branches
        Names that stand alone.
    gen, conditioning, to, event
        Names after ``gen.`` and so on.
    """

    branches: tuple[str, ...] = ()
    gen: tuple[str, ...] = ()
    conditioning: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    event: tuple[str, ...] = ()

    @property
    def fields_only(self) -> bool:
        """Whether all names stand alone, as fields of one object do."""
        return self == Names(self.branches)

    def __or__(self, other: Names) -> Names:
        """Give the names of both."""
        return Names(
            *(
                tuple(dict.fromkeys((*mine, *theirs)))
                for mine, theirs in (
                    (self.branches, other.branches),
                    (self.gen, other.gen),
                    (self.conditioning, other.conditioning),
                    (self.to, other.to),
                    (self.event, other.event),
                )
            )
        )


@cache
def parsed(text: str) -> ast.expr:
    """Parse an expression.

    Raises
    ------
    ValueError
        If it is none: says at which part.
    """
    if len(text) > _MOST_CHARACTERS:
        msg = f"expected an expression of at most {_MOST_CHARACTERS} characters, found {len(text)}"
        raise ValueError(msg)
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
        _check(tree, _shown(text))
    except (SyntaxError, RecursionError, MemoryError) as error:
        msg = f"'{_shown(text)}' is no expression ({error})"
        raise ValueError(msg) from error
    return tree


@cache
def names_of(text: str) -> Names:
    """Names in an expression.

    Examples
    --------
    >>> names_of("where(pt > 50, 0, gen.pt / conditioning.rho)")
    Names(branches=('pt',), gen=('pt',), conditioning=('rho',), to=(), event=())
    """
    found = Names()
    tree = parsed(text)
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    spaces = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in functions | spaces:
            found |= Names(branches=(node.id,))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= Names(**{node.value.id: (node.attr,)})
    return found


def _check(node: ast.expr, text: str) -> None:
    """See that a part of an expression is one of those that can be computed."""
    match node:
        case ast.Constant(value=bool() | int() | float()) | ast.Name():
            parts: list[ast.expr] = []
        case ast.Attribute(value=ast.Name(id=space)) if space in SPACES:
            parts = []
        case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, _OPERATORS):
            parts = [left, right]
        case ast.UnaryOp(op=sign, operand=operand) if isinstance(sign, _SIGNS):
            parts = [operand]
        case ast.BoolOp(values=values):
            parts = values
        case ast.Compare(left=left, ops=ops, comparators=right) if all(
            isinstance(o, _COMPARISONS) for o in ops
        ):
            parts = [left, *right]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            least, most = FUNCTIONS[name]
            if not least <= len(args) <= most:
                wanted = str(least) if least == most else f"{least} to {most}"
                msg = f"'{text}': {name} takes {wanted} values, found {len(args)}"
                raise ValueError(msg)
            parts = args
        case _:
            known = ", ".join(FUNCTIONS)
            names = ", ".join(f"{space}.NAME" for space in SPACES)
            msg = (
                f"'{text}': {ast.unparse(node)!r} is not understood; expressions have numbers, branches, "
                f"{names}, + - * / **, comparisons, and, or, not, and {known}"
            )
            raise ValueError(msg)
    for part in parts:
        _check(part, text)


def _shown(text: str) -> str:
    """Write an expression in a line of moderate length."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}..."


def _valid(text: str) -> str:
    parsed(text)
    return text


Expression = Annotated[str, AfterValidator(_valid)]
"""Text that is an expression."""
