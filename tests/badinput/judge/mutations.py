"""Random damage: of bytes, of text, of trees of values and of columns, each a function of its generator."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from judge.columns import Columns

__all__ = ["of_bytes", "of_columns", "of_text", "of_values"]

_NUMBER = re.compile(rb"(?<![\w.+-])[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?(?![\w.])")
_NUMBERS = (
    b"nan",
    b"inf",
    b"-inf",
    b"1e300",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"1e-320",
    b"-7.5",
    b"x",
    b"",
)


def _span(rng: np.random.Generator, size: int, longest: int) -> tuple[int, int]:
    first = int(rng.integers(0, max(1, size)))
    return first, min(size, first + int(rng.integers(1, longest)))


def of_bytes(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Flip bits, cut, or double, remove, zero or overwrite a piece; gives what was done and the result."""
    kind = str(rng.choice(["flip", "flip", "flip", "cut", "double", "remove", "zero", "overwrite"]))
    size = len(content)
    first, last = _span(rng, size, max(2, min(400, size // 4)))
    match kind:
        case "flip":
            found = bytearray(content)
            for place in rng.integers(0, size, int(rng.integers(1, 4))):
                found[place] ^= 1 << int(rng.integers(0, 8))
            return kind, bytes(found)
        case "cut":
            return kind, content[: int(rng.integers(0, size))]
        case "double":
            return kind, content[:last] + content[first:]
        case "remove":
            return kind, content[:first] + content[last:]
        case "zero":
            return kind, content[:first] + bytes(last - first) + content[last:]
    return kind, content[:first] + rng.bytes(last - first) + content[last:]


def of_text(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Replace a number, remove, double, swap or break lines, or damage it as bytes."""
    kind = str(
        rng.choice(["number", "number", "number", "remove", "double", "swap", "token", "blank", "bytes"])
    )
    lines = content.split(b"\n")
    row = int(rng.integers(0, len(lines)))
    match kind:
        case "number":
            found = list(_NUMBER.finditer(content))
            place = found[int(rng.integers(0, len(found)))]
            value = _NUMBERS[int(rng.integers(0, len(_NUMBERS)))]
            return f"number {value.decode()}", content[: place.start()] + value + content[place.end() :]
        case "remove":
            return "line removed", b"\n".join(lines[:row] + lines[row + 1 :])
        case "double":
            return "line doubled", b"\n".join(lines[: row + 1] + lines[row:])
        case "swap":
            other = int(rng.integers(0, len(lines)))
            lines[row], lines[other] = lines[other], lines[row]
            return "lines swapped", b"\n".join(lines)
        case "token":
            tokens = lines[row].split(b" ")
            del tokens[int(rng.integers(0, len(tokens)))]
            lines[row] = b" ".join(tokens)
            return "token removed", b"\n".join(lines)
        case "blank":
            return "empty line", b"\n".join([*lines[:row], b"", *lines[row:]])
    return of_bytes(content, rng)


_VALUES: tuple[Any, ...] = (
    None,
    True,
    "",
    "text",
    -1,
    0,
    10**6,
    10**30,
    1e308,
    float("nan"),
    float("-inf"),
    [],
    {},
    [1, "a"],
    {"a": 1},
    "\x00",
    "2026-99-99",
)


def of_values(content: Any, rng: np.random.Generator) -> tuple[str, Any]:
    """Remove, replace, rename or double one entry anywhere in a tree of mappings and lists."""
    changed = copy.deepcopy(content)
    places = list(_places(changed))
    holder, key = places[int(rng.integers(0, len(places)))]
    kind = str(rng.choice(["remove", "replace", "replace", "rename", "double", "wrap"]))
    match kind:
        case "remove":
            del holder[key]
        case "rename" if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case "double" if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        case "wrap":
            holder[key] = [holder[key]]
        case _:
            holder[key] = _VALUES[int(rng.integers(0, len(_VALUES)))]
    return f"{kind} {key}", changed


def _places(content: Any) -> Any:
    if isinstance(content, dict):
        for key, value in content.items():
            yield content, key
            yield from _places(value)
    elif isinstance(content, list):
        for key, value in enumerate(content):
            yield content, key
            yield from _places(value)


def of_columns(found: Columns, rng: np.random.Generator) -> tuple[str, Columns]:
    """Change a branch: a value, its type, its lengths, its depth, or whether it is there."""
    columns = dict(found)
    name = str(rng.choice(sorted(columns)))
    changes: dict[str, Callable[[Any, np.random.Generator], Any]] = {
        "value": _value,
        "values": _values,
        "type": _type,
        "shorter": _shorter,
        "longer": _longer,
        "emptied": lambda values, _: values[:, :0] if _jagged(values) else values * 0,
        "flat": lambda values, _: np.asarray(ak.fill_none(ak.firsts(values), 0)) if _jagged(values) else values,
        "shuffled": _shuffled,
        "removed": lambda *_: None,
    }  # fmt: skip
    kind = str(rng.choice([*changes, "value", "value", "values"]))
    given = changes[kind](columns.pop(name), rng)
    if given is not None:
        columns[name] = given
    return f"{name} {kind}", columns


def _jagged(values: Any) -> bool:
    return isinstance(values, ak.Array) and values.ndim == 2


def _parts(values: Any) -> tuple[np.ndarray, Any]:
    return (np.array(ak.flatten(values)), ak.num(values)) if _jagged(values) else (np.array(values), None)


def _joined(flat: np.ndarray, counts: Any) -> Any:
    return flat if counts is None else ak.unflatten(flat, counts)


def _odd(dtype: np.dtype[Any], rng: np.random.Generator) -> Any:
    if dtype.kind == "f":
        values = [np.nan, np.inf, -np.inf, 1e30, -1e30, -1.0, 0.0, 1e-40]
    elif dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = [limits.min, limits.max, 0, 99]
    else:
        values = [True, False]
    return values[int(rng.integers(0, len(values)))]


def _value(values: Any, rng: np.random.Generator) -> Any:
    flat, counts = _parts(values)
    if len(flat):
        flat[rng.integers(0, len(flat))] = _odd(flat.dtype, rng)
    return _joined(flat, counts)


def _values(values: Any, rng: np.random.Generator) -> Any:
    flat, counts = _parts(values)
    flat[rng.random(len(flat)) < 0.1] = _odd(flat.dtype, rng)
    return _joined(flat, counts)


def _type(values: Any, rng: np.random.Generator) -> Any:
    flat, counts = _parts(values)
    with np.errstate(all="ignore"):
        return _joined(flat.astype(str(rng.choice(["f4", "f8", "i4", "i8", "u1", "?"]))), counts)


def _shorter(values: Any, rng: np.random.Generator) -> Any:
    if not _jagged(values):
        return values
    counts = np.array(ak.num(values))
    row = int(rng.choice(np.flatnonzero(counts)))
    kept = ak.local_index(values) < (counts - (np.arange(len(counts)) == row))
    return values[kept]


def _longer(values: Any, rng: np.random.Generator) -> Any:
    if not _jagged(values):
        return values
    row = int(rng.integers(0, len(values)))
    return ak.concatenate(
        [values[:row], ak.concatenate([values[row : row + 1]] * 2, axis=1), values[row + 1 :]]
    )


def _shuffled(values: Any, rng: np.random.Generator) -> Any:
    flat, counts = _parts(values)
    rng.shuffle(flat)
    return _joined(flat, counts)
