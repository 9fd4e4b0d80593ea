"""Recipes: YAML files that say what is simulated, trained, written and analysed.

A recipe is a pydantic model; unknown keys are errors. The shipped recipes stand in one folder a stage at the
top of the checkout and travel in the wheel as ``flashsim/_recipes/<stage>``; a user's own file is named by
its path.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from flashsim.errors import RecipeError

__all__ = ["STAGES", "Recipe", "load_recipe", "parse_recipe", "read_yaml", "recipe_folder", "recipe_path"]

STAGES = ("preprocessing", "training", "generation", "analysis", "reference")

_PACKAGE = Path(__file__).resolve().parent


class Recipe(BaseModel):
    """Base of everything that is read from YAML: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
        The name of a shipped recipe, with or without ``.yaml``, or the path of any file.

    Raises
    ------
    RecipeError
        If there is neither; the message lists the shipped names.
    """
    folder = recipe_folder(stage)
    own = Path(name)
    is_bare = own.name == str(name)
    for candidate in (folder / own, folder / f"{name}.yaml") if is_bare else ():
        if candidate.is_file():
            return candidate
    if own.is_file():
        return own
    shipped = sorted(p.name for p in folder.iterdir() if p.suffix in {".yaml", ".cmnd"})
    msg = f"no {stage} recipe '{name}': give the path of a file, or one of {', '.join(shipped) or 'none'}"
    raise RecipeError(msg)


def load_recipe(model: type[AnyRecipe], path: Path) -> AnyRecipe:
    """Read and validate one YAML file.

    Raises
    ------
    RecipeError
        If the file is not YAML, or does not fit the model: names the file and every offending key.
    """
    return parse_recipe(model, read_yaml(path), origin=str(path))


def read_yaml(path: Path) -> dict[str, object]:
    """Content of one YAML file whose top level is a mapping.

    Raises
    ------
    RecipeError
        If the file cannot be read, is not YAML or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error})"
        raise RecipeError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{path}: is not valid YAML ({' '.join(str(error).split())})"
        raise RecipeError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: expected a mapping of keys, found {type(content).__name__}"
        raise RecipeError(msg)
    return content


def parse_recipe(model: type[AnyRecipe], content: dict[str, object], *, origin: str) -> AnyRecipe:
    """Validate content that was read from somewhere; `origin` names it in messages.

    Raises
    ------
    RecipeError
        If it does not fit the model: names every offending key.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'recipe'}: {fault['msg']}"
            for fault in error.errors()
        )
        msg = f"{origin}: {faults}"
        raise RecipeError(msg) from error
