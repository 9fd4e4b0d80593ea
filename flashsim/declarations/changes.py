"""Changes of single values of a recipe, by dotted key: ``flow.layers``, ``stages.0.epochs``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from flashsim.declarations.yaml_text import read_yaml_text
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel

__all__ = ["Changes", "changed", "known_keys", "nearest_keys", "parse_changes"]

Changes: TypeAlias = Mapping[str, Any]
"""Values by dotted key; entries of lists by number, counted from 0."""

_ANY = "*"
"""Stands in a known key for the number of a list entry, or a name that the recipe chooses."""

_LONGEST_SHOWN = 200
_DEEPEST = 8
"""Parts of a key; recipes have no deeper ones, and a model that holds itself comes to an end."""


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` texts, whose values are YAML.

    Raises
    ------
    RecipeError
        If one has no key, or its value is not YAML.

    Examples
    --------
    >>> parse_changes(["flow.layers=4", "pt_edges=[20, 30, 50]"])
    {'flow.layers': 4, 'pt_edges': [20, 30, 50]}
    """
    changes = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key.strip() or not equals:
            msg = f"--set {text}: expected KEY=VALUE, such as --set flow.layers=4"
            raise RecipeError(msg)
        try:
            changes[key.strip()] = read_yaml_text(value)[0]
        except ValueError as error:
            shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
            msg = (
                f"--set {shown}: the value is not valid YAML ({error}); put quotes around text with special "
                "characters"
            )
            raise RecipeError(msg) from error
    return changes


def changed(
    model: type[BaseModel], content: Mapping[str, Any], changes: Changes, *, origin: str
) -> dict[str, Any]:
    """Give the content of a recipe with some values changed; whether they fit is seen when it is validated.

    Parameters
    ----------
    model
        Class of the recipe.
    content
        What stands in the file; what has its default may be left out.
    changes
        Values by dotted key.
    origin
        Name of the recipe in messages.

    Raises
    ------
    RecipeError
        If the recipe cannot have a key: names the nearest ones; or a list has no such entry.
    """
    result: dict[str, Any] = _apart(content)
    for key, value in changes.items():
        _require_known(model, key, origin)
        *above, last = key.split(".")
        place: Any = result
        for depth, part in enumerate(above):
            if isinstance(place, dict) and place.get(part) is None:
                place[part] = _default(model, content, key.split(".")[: depth + 2], origin)
            place = _inside(place, part, ".".join(above[:depth]), key, origin)
        if isinstance(place, list):
            _inside(place, last, ".".join(above), key, origin)
            place[int(last)] = value
        elif isinstance(place, dict):
            place[last] = value
        else:
            _inside(place, last, ".".join(above), key, origin)
    return result


def nearest_keys(model: type[BaseModel], key: str) -> list[str]:
    """Keys that somebody may mean who writes one that is none, at most three.

    Examples
    --------
    >>> from flashsim.declarations.schedule import Schedule
    >>> nearest_keys(Schedule, "epoch")
    ['epochs']
    """
    names = [name for name in known_keys(model) if _ANY not in name.split(".")]
    # The same last part below another key is as near as a key that is spelt alike.
    alike = [name for name in names if name.rpartition(".")[2] == key.rpartition(".")[2]]
    return list(dict.fromkeys([*difflib.get_close_matches(key, names, 3, 0.7), *alike]))[:3]


@cache
def known_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """Dotted keys that recipes of a class may have; ``*`` stands for numbers of entries, and for free names.

    Examples
    --------
    >>> from flashsim.declarations.schedule import Schedule
    >>> "epochs" in known_keys(Schedule)
    True
    """
    schema = model.model_json_schema(by_alias=True)
    return tuple(dict.fromkeys(_keys(schema, schema.get("$defs", {}), ())))


def _keys(schema: Mapping[str, Any], definitions: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    if len(above) > _DEEPEST:
        return
    if "$ref" in schema:
        yield from _keys(definitions[schema["$ref"].rpartition("/")[2]], definitions, above)
    for kind in ("anyOf", "oneOf", "allOf"):
        for alternative in schema.get(kind, ()):
            yield from _keys(alternative, definitions, above)
    inside = dict(schema.get("properties", {}))
    for kind in ("items", "additionalProperties"):
        if isinstance(schema.get(kind), Mapping):
            inside[_ANY] = schema[kind]
    if schema.get("prefixItems") or schema.get("additionalProperties") is True:
        inside.setdefault(_ANY, {})
    for name, part in inside.items():
        path = (*above, name)
        yield ".".join(path)
        yield from _keys(part, definitions, path)


def _apart(content: Any) -> Any:
    """Copy content so that what an anchor of YAML stands for twice can be changed once."""
    if isinstance(content, Mapping):
        return {key: _apart(value) for key, value in content.items()}
    return [_apart(value) for value in content] if isinstance(content, list) else content


def _require_known(model: type[BaseModel], key: str, origin: str) -> None:
    parts, known = key.split("."), known_keys(model)
    for pattern in known:
        wanted = pattern.split(".")
        if len(wanted) == len(parts) and all(w in {_ANY, p} for w, p in zip(wanted, parts, strict=True)):
            return
    nearest = nearest_keys(model, key)
    there = nearest or [name for name in known if "." not in name]
    hint = "the nearest: " if nearest else "it has "
    msg = f"{origin}: {key}: is no key of this recipe; {hint}{', '.join(there)}"
    raise RecipeError(msg)


def _default(model: type[BaseModel], content: Mapping[str, Any], path: list[str], origin: str) -> Any:
    """Give what stands where a file says nothing: the list of the defaults for an entry, else `{}`."""
    *above, entry = path
    if not entry.isdecimal():
        return {}
    try:
        found: Any = model.model_validate(content).model_dump(mode="json", by_alias=True)
        for part in above:
            found = found[int(part) if isinstance(found, list) else part]
    except (ValidationError, LookupError) as error:
        msg = f"{origin}: {'.'.join(path)}: is no key of this recipe; set '{'.'.join(above)}' as a whole"
        raise RecipeError(msg) from error
    return found


def _inside(place: Any, part: str, above: str, key: str, origin: str) -> Any:
    """Give what stands at a part of a key."""
    if isinstance(place, list):
        if part.isdecimal() and int(part) < len(place):
            return place[int(part)]
        found = f"'{above}' has the entries 0 to {len(place) - 1}" if place else f"'{above}' is empty"
    elif isinstance(place, dict):
        return place[part]
    else:
        found = f"'{above}' is {place!r}"
    msg = f"{origin}: {key}: is no key of this recipe; {found}"
    raise RecipeError(msg)
