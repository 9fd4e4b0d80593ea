"""Bad model files, of objects and of refiners."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from judge.cases import Case, damaged, text, unique

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CASES", "joined", "parts"]


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Give the header and the tensors of a safetensors file."""
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: Any, tensors: bytes) -> bytes:
    """Give the file of a header and tensors."""
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + tensors


def header(change: Callable[[dict[str, Any]], Any], source: str = "muons") -> Any:
    """Change the header."""

    def changed(before: bytes) -> bytes:
        found, tensors = parts(before)
        given = change(found)
        return joined(found if given is None else given, tensors)

    return damaged(source, "bad.safetensors", changed)


def described(change: Callable[[dict[str, Any]], Any], source: str = "muons") -> Any:
    """Change the description: each entry of the metadata is JSON."""

    def changed(found: dict[str, Any]) -> None:
        content = {key: _value(text) for key, text in found["__metadata__"].items()}
        given = change(content)
        content = content if given is None else given
        found["__metadata__"] = {
            key: value if isinstance(value, str) else json.dumps(value) for key, value in content.items()
        }

    return header(changed, source)


def _value(found: str) -> Any:
    try:
        return json.loads(found)
    except ValueError:
        return found


def _tensor(name: str, found: dict[str, Any]) -> str:
    return next(key for key in found if key != "__metadata__" and name in key)


def weights(values: Callable[[np.ndarray], None], source: str = "muons", which: str = "") -> Any:
    """Change the values of a tensor of floats."""

    def changed(before: bytes) -> bytes:
        found, tensors = parts(before)
        name = next(k for k, v in found.items() if k != "__metadata__" and v["dtype"] == "F32" and which in k)
        first, last = found[name]["data_offsets"]
        array = np.frombuffer(tensors[first:last], dtype=np.float32).copy()
        values(array)
        return joined(found, tensors[:first] + array.tobytes() + tensors[last:])

    return damaged(source, "bad.safetensors", changed)


def _all_nan(before: bytes) -> bytes:
    found, tensors = parts(before)
    content = bytearray(tensors)
    for name, entry in found.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            first, last = entry["data_offsets"]
            content[first:last] = np.full((last - first) // 4, np.nan, np.float32).tobytes()
    return joined(found, bytes(content))


def _put(value: float) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[len(array) // 2] = value

    return change


def _shape(change: Callable[[list[int]], list[int]]) -> Callable[[dict[str, Any]], None]:
    def changed(found: dict[str, Any]) -> None:
        name = next(k for k, v in found.items() if k != "__metadata__" and len(v["shape"]) == 2)
        found[name]["shape"] = change(found[name]["shape"])

    return changed


def _first(found: dict[str, Any]) -> str:
    return next(key for key in found if key != "__metadata__")


def _dropped(found: dict[str, Any]) -> dict[str, Any]:
    name = _first(found)
    return {key: value for key, value in found.items() if key != name}


def _renamed(found: dict[str, Any]) -> dict[str, Any]:
    name = _first(found)
    return {("other" if key == name else key): value for key, value in found.items()}


def _typed(found: dict[str, Any]) -> None:
    found[_first(found)]["dtype"] = "I32"


def _beyond(found: dict[str, Any]) -> None:
    found[_first(found)]["data_offsets"] = [0, 10**12]


def _backwards(found: dict[str, Any]) -> None:
    found[_first(found)]["data_offsets"].reverse()


def deep(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Change every value of a key at any depth; there has to be one."""

    def changed(found: dict[str, Any]) -> None:
        assert _everywhere(found, key, value), key

    return changed


def _everywhere(found: Any, key: str, value: Any) -> int:
    if isinstance(found, list):
        return sum(_everywhere(item, key, value) for item in found)
    if not isinstance(found, dict):
        return 0
    times = sum(_everywhere(item, key, value) for item in found.values())
    if key in found:
        found[key] = value
        times += 1
    return times


def _without(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda found: {name: value for name, value in found.items() if name != key}


def _damages(source: str) -> dict[str, Any]:
    """Name what is wrong with a model file, whatever it is a model of."""
    return {
        "no such file": None,
        "an empty file": text("bad.safetensors", ""),
        "text": text("bad.safetensors", "no model\n" * 100),
        "cut in the header": damaged(source, "bad.safetensors", lambda b: b[:500]),
        "cut in the tensors": damaged(source, "bad.safetensors", lambda b: b[:-500]),
        "bytes behind the end": damaged(source, "bad.safetensors", lambda b: b + bytes(100)),
        "a header longer than the file": damaged(source, "bad.safetensors", lambda b: struct.pack("<Q", 1 << 40) + b[8:]),
        "a header of length 0": damaged(source, "bad.safetensors", lambda b: bytes(8) + b[8:]),
        "a header that is no JSON": damaged(source, "bad.safetensors", lambda b: joined(b"{" * 100, parts(b)[1])),
        "a header that is nested deeply": damaged(
            source, "bad.safetensors", lambda b: joined(b"[" * 50_000 + b"]" * 50_000, parts(b)[1])
        ),
        "no description": header(_without("__metadata__"), source),
        "a description that is no JSON": header(
            lambda found: found.update(__metadata__=dict.fromkeys(found["__metadata__"], "{")), source
        ),
        "a tensor less": header(_dropped, source),
        "a tensor of another name": header(_renamed, source),
        "a tensor of whole numbers": header(_typed, source),
        "a tensor beyond the file": header(_beyond, source),
        "a tensor that ends before it begins": header(_backwards, source),
        "a matrix on its side": header(_shape(lambda s: [s[1], s[0]] if s[0] != s[1] else [1, s[0] * s[1]]), source),
        "one weight that is no number": weights(_put(np.nan), source),
        "one infinite weight": weights(_put(-np.inf), source),
        "no weight that is a number": damaged(source, "bad.safetensors", _all_nan),
    }  # fmt: skip


def _cases() -> list[Case]:
    bad = (r"bad\.safetensors",)
    generate = "generate {gen} -m bad.safetensors --device cpu --threads 1 -o out.root"
    made = [
        Case(f"generate: a model, {name}", generate, bad, build) for name, build in _damages("muons").items()
    ]
    apply = "refine apply {fast} -m bad.safetensors -o out.root"
    made += [
        Case(f"refine apply: a model, {name}", apply, bad, build)
        for name, build in _damages("refiner").items()
    ]
    made += [
        Case(f"inspect: a model, {name}", "inspect bad.safetensors", bad, build)
        for name, build in _damages("muons").items()
        if name
        in {"text", "cut in the header", "cut in the tensors", "no description", "a header that is no JSON"}
    ]
    described_cases = {
        "a network of 10^9 layers": deep("depth", 10**9),
        "a network of width 10^9": deep("width", 10**9),
        "a network of -1 layers": deep("depth", -1),
        "a number that is a word": deep("depth", "deep"),
        "a number that is not finite": deep("depth", float("inf")),
        "another number of bins": deep("bins", 99),
        "another version of the format": deep("schema_version", 99),
        "a kind of flow that is none": deep("kind", "magic"),
        "a description that is a list": lambda found: {key: [1] for key in found},
        "a description that is empty": lambda found: {key: {} for key in found},
    }
    made += [
        Case(f"generate: a model, {name}", generate, bad, described(change))
        for name, change in described_cases.items()
    ]
    return [
        *made,
        Case("refine apply: a network of 10^9 blocks", apply, bad, described(deep("blocks", 10**9), "refiner")),
        Case("refine apply: a network of width 10^9", apply, bad, described(deep("width", 10**9), "refiner")),
        Case("refine apply: a model of an object", "refine apply {fast} -m {muons} -o out.root", (r"muons\.safetensors",)),
        Case("refine apply: no model", "refine apply {fast} -o out.root", ("--models",)),
        Case("refine apply: gen-level events", "refine apply {gen} -m {refiner} -o out.root", (r"gen\.root", "Jet")),
        Case("refine apply: a file that is there", "refine apply {fast} -m {refiner} -o out.root",
             (r"out\.root", "exists already"), text("out.root", "mine")),
        Case("refine apply: the input as the output", "refine apply in.root -m {refiner} -o in.root -f",
             (r"in\.root", "input"), _copy("fast", "in.root")),
        Case("inspect: a folder", "inspect {tables}", ("tables",)),
        Case("inspect: a recipe", "inspect {training}", (r"short\.yaml",)),
    ]  # fmt: skip


def _copy(source: str, name: str) -> Any:
    from judge.cases import copied

    return copied(source, name)


CASES = unique(_cases())
