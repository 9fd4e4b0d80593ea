"""YAML as recipes have it: plain data of moderate size, without the surprises of the language.

A key that is given twice, a number that is not finite or has more than 64 bits, and aliases that stand for
more than any recipe holds are errors. Dates stay the text that they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Lines", "read_yaml_text"]

Lines = dict[tuple[str, ...], int]
"""Line, from 1, of each entry by the path of its keys; entries of lists by number."""

_DEEPEST = 40
_MOST_ENTRIES = 200_000
"""Of a recipe with all aliases written out."""
_INTEGERS = range(-(2**63), 2**64)
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Plain YAML; errors have the place of what is wrong."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as the base class has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        try:
            value = int(super().construct_yaml_int(node))
        except (ValueError, IndexError) as error:  # PyYAML looks at the first character of nothing
            raise _fault(node, f"'{_shown(node)}' is no number") from error
        if value not in _INTEGERS:
            raise _fault(node, f"{_shown(node)} has more than 64 bits")
        return value

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        try:
            value = float(super().construct_yaml_float(node))
        except (ValueError, IndexError) as error:  # PyYAML looks at the first character of nothing
            raise _fault(node, f"'{_shown(node)}' is no number") from error
        if not math.isfinite(value):
            raise _fault(node, f"{_shown(node)} is not finite")
        return value


for _tag, _construct in (("int", _Loader.construct_yaml_int), ("float", _Loader.construct_yaml_float)):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)


def read_yaml_text(text: str) -> tuple[Any, Lines]:
    """Read one document of YAML: its content, and the line of each entry.

    Raises
    ------
    ValueError
        If it is none: one line that says what is wrong, and where.
    """
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, {}
        _check(node)
        return loader.construct_document(node), dict(_lines(node, ()))
    except yaml.MarkedYAMLError as error:
        raise ValueError(_reason(error)) from error
    except RecursionError as error:
        msg = "it is nested too deeply"
        raise ValueError(msg) from error
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    finally:
        if loader is not None:
            loader.dispose()


def _check(root: yaml.Node) -> None:
    """Refuse twin keys, and what is too deep, too large with its aliases written out, or holds itself."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, depth: int) -> int:
        if id(node) in sizes:
            if sizes[id(node)] < 0:
                raise _fault(node, "it holds itself")
            return sizes[id(node)]
        if depth > _DEEPEST:
            raise _fault(node, f"it is nested too deeply, expected at most {_DEEPEST} levels")
        sizes[id(node)] = -1
        _refuse_twins(node)
        found = 1 + sum(size(inside, depth + 1) for inside in _inside(node))
        if found > _MOST_ENTRIES:
            raise _fault(node, f"with its aliases it has more than {_MOST_ENTRIES} entries")
        sizes[id(node)] = found
        return found

    size(root, 0)


def _refuse_twins(node: yaml.Node) -> None:
    seen = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode):
            raise _fault(key, "a key is no text")
        if (key.tag, key.value) in seen:
            raise _fault(key, f"the key '{key.value}' is given twice")
        seen.add((key.tag, key.value))


def _inside(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _lines(node: yaml.Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    pairs: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        pairs = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(str(number), value, value) for number, value in enumerate(node.value)]
    for name, place, value in pairs:
        yield (*path, name), place.start_mark.line + 1
        yield from _lines(value, (*path, name))


def _fault(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _shown(node: yaml.ScalarNode) -> str:
    text = str(node.value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _reason(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    mark = error.problem_mark or error.context_mark
    place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return place + " ".join(", ".join(parts).split())
