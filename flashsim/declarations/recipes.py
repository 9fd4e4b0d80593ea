"""Recipes: YAML files that say what is simulated, trained, written and analysed.

A recipe is a pydantic model; unknown keys are errors. The shipped recipes stand in one folder a stage at the
top of the checkout and travel in the wheel as ``flashsim/_recipes/<stage>``; a user's own file is named by
its path.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from flashsim.declarations.changes import changed, nearest_keys
from flashsim.declarations.yaml_text import read_yaml_text
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from flashsim.declarations.changes import Changes
    from flashsim.declarations.yaml_text import Lines

__all__ = [
    "STAGES",
    "Recipe",
    "load_recipe",
    "parse_recipe",
    "read_with_lines",
    "read_yaml",
    "recipe_folder",
    "recipe_path",
    "union_tag",
]

STAGES = ("preprocessing", "training", "generation", "analysis", "reference")

_TAG = "kind "
_MOST_FAULTS = 10
_LONGEST_SHOWN = 80
_PACKAGE = Path(__file__).resolve().parents[1]


class Recipe(BaseModel):
    """Base of everything that is read from YAML: immutable, finite, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)


def recipe_folder(stage: str) -> Path:
    """Folder of a stage's shipped recipes, in a normal install, an editable install or a checkout.

    Raises
    ------
    RecipeError
        If the installation holds no recipes for this stage.
    """
    installed = _PACKAGE / "_recipes" / stage
    checkout = _PACKAGE.parent / stage
    if installed.is_dir():
        return installed
    if (_PACKAGE.parent / "pyproject.toml").is_file() and checkout.is_dir():
        return checkout
    msg = f"the installation of flashsim holds no recipes for '{stage}': install it again"
    raise RecipeError(msg)


def recipe_path(stage: str, name: str | Path) -> Path:
    """Path of a recipe: the shipped one of that name, or the user's own file.

    Parameters
    ----------
    stage
        One of `STAGES`.
    name
        The name of a shipped recipe, with or without ``.yaml``, or the path of any file. A file at hand goes
        before a shipped recipe when the name has a suffix.

    Raises
    ------
    RecipeError
        If there is neither; the message lists the shipped names.
    """
    folder = recipe_folder(stage)
    own = Path(name)
    # 'jets' is the shipped recipe even in a folder with a file of that name; 'jets.yaml' is the file at hand.
    shipped: tuple[Path, ...] = (folder / own, folder / f"{name}.yaml") if own.name == str(name) else ()
    for candidate in (own, *shipped) if own.suffix else (*shipped, own):
        if candidate.is_file():
            return candidate
    names = sorted(p.name for p in folder.iterdir() if p.suffix in {".yaml", ".cmnd"})
    msg = f"no {stage} recipe '{name}': give the path of a file, or one of {', '.join(names) or 'none'}"
    raise RecipeError(msg)


def load_recipe(model: type[AnyRecipe], path: Path, changes: Changes | None = None) -> AnyRecipe:
    """Read and validate one YAML file.

    Parameters
    ----------
    model
        Class of the recipe.
    path
        The file.
    changes
        Values by dotted key that differ from the file's, see `flashsim.declarations.changes`.

    Raises
    ------
    RecipeError
        If the file is not YAML, or does not fit the model: names the file and every offending key.
    """
    content, lines = read_with_lines(path)
    return parse_recipe(model, content, origin=str(path), changes=changes, lines=lines)


def read_yaml(path: Path) -> dict[str, object]:
    """Content of one YAML file whose top level is a mapping.

    Raises
    ------
    RecipeError
        If the file cannot be read, is not YAML or holds something else.
    """
    return read_with_lines(path)[0]


def read_with_lines(path: Path) -> tuple[dict[str, Any], Lines]:
    """Content of one YAML file as `read_yaml` gives it, and the line of each entry.

    Raises
    ------
    RecipeError
        As `read_yaml`.
    """
    try:
        content, lines = read_yaml_text(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error})"
        raise RecipeError(msg) from error
    except ValueError as error:
        msg = f"{path}: is not valid YAML ({error})"
        raise RecipeError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: expected a mapping of keys, found {type(content).__name__}"
        raise RecipeError(msg)
    if strange := [key for key in content if not isinstance(key, str)]:
        msg = f"{path}: expected names as keys, found {strange[0]!r}; put it in quotes if it is a name"
        raise RecipeError(msg)
    return content, lines


def parse_recipe(
    model: type[AnyRecipe],
    content: Mapping[str, Any],
    *,
    origin: str,
    changes: Changes | None = None,
    lines: Lines | None = None,
) -> AnyRecipe:
    """Validate content that was read from somewhere; `origin` names it in messages.

    Parameters
    ----------
    model, changes
        As for `load_recipe`.
    content
        What was read.
    origin
        Where from.
    lines
        Line of each entry there, for messages.

    Raises
    ------
    RecipeError
        If it does not fit the model: names every offending key.
    """
    if changes:
        content = changed(model, content, changes, origin=origin)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = [_fault(model, details) + _place(details, lines or {}) for details in error.errors()]
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        msg = f"{origin}: {'; '.join(faults[:_MOST_FAULTS])}{more}"
        raise RecipeError(msg) from error


def union_tag(name: str) -> str:
    """Tag of an alternative in a discriminated union that messages leave out: it is no key."""
    return f"{_TAG}{name}"


def _fault(model: type[BaseModel], details: ErrorDetails) -> str:
    """One fault with its key, what is expected and what is found."""
    parts = (str(part) for part in details["loc"])
    key = ".".join(part for part in parts if not part.startswith(_TAG)) or "recipe"
    match details["type"]:
        case "extra_forbidden":
            nearest = nearest_keys(model, key)
            hint = f"; the nearest: {', '.join(nearest)}" if nearest else ""
            return f"{key}: is no key of this recipe{hint}"
        case "missing":
            return f"{key}: is missing"
        case "value_error":  # from a validator of ours, which says what it found
            return f"{key}: {details['ctx']['error']}"
        case _:
            expected = details["msg"].replace("Input should be", "expected", 1)
            return f"{key}: {expected}, found {_shown(details['input'])}"


def _place(details: ErrorDetails, lines: Lines) -> str:
    """Line of a fault, or of the nearest that is above it, in a file."""
    path = tuple(str(part) for part in details["loc"] if not str(part).startswith(_TAG))
    above = (path[:length] for length in range(len(path), 0, -1))
    line = next((lines[place] for place in above if place in lines), None)
    return "" if line is None else f" (line {line})"


def _shown(value: Any) -> str:
    """Write what was found in a line of moderate length."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write very long numbers
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
