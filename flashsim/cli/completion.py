"""Names that a shell completes: shipped objects, recipes and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["object_names", "shipped"]


def shipped(stage: str, pattern: str, *, prefix: str = "", holds: str = "") -> Callable[[str], list[str]]:
    """Give what completes the names of a stage's shipped files; a shell completes paths by itself.

    Parameters
    ----------
    stage
        Folder of the recipes.
    pattern
        Which files, as in a shell.
    prefix
        Begins the names of the files and is no part of what is completed.
    holds
        What a file must have at the start of a line.
    """

    def complete(incomplete: str) -> list[str]:
        from flashsim.declarations.recipes import recipe_folder

        found = sorted(recipe_folder(stage).glob(f"{prefix}{pattern}"))
        if holds:
            found = [path for path in found if f"\n{holds}" in path.read_text(encoding="utf-8")]
        names = [path.stem.removeprefix(prefix) for path in found]
        return [name for name in names if name.startswith(incomplete)]

    return complete


object_names = shipped("preprocessing", "*.yaml", holds="targets:")
"""Completes the names of shipped objects."""
