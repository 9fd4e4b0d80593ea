"""Declarations for files that lack some of the gen-level content, which not all NanoAOD versions have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashsim.declarations.conditioning import Angle, Bits, Categories, GenField, TurnOn

if TYPE_CHECKING:
    from collections.abc import Callable

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["for_file"]

_OF_GEN = (GenField, Angle, Bits, Categories, TurnOn)


def for_file(
    declaration: ObjectDeclaration, has: Callable[[str], bool]
) -> tuple[ObjectDeclaration, list[str]]:
    """Leave out optional fields of the gen object that a file lacks, and what needs them.

    Targets that are related to one are drawn without the relation.

    Parameters
    ----------
    declaration
        The object.
    has
        Whether the file has a branch.

    Returns
    -------
    The declaration, and the NanoAOD branches that are left out.
    """
    gen = declaration.gen_collection
    prefix = "" if gen.branch == "Event" else f"{gen.branch}_"
    missing = [field for field in gen.optional if not has(f"{prefix}{field}")]
    if not missing:
        return declaration, []
    kept = {
        "fields": [field for field in gen.fields if field not in missing],
        "optional": [field for field in gen.optional if field not in missing],
    }
    collections = declaration.gen_view.collections | {declaration.gen: gen.model_copy(update=kept)}
    update = {
        "gen_view": declaration.gen_view.model_copy(update={"collections": collections}),
        "targets": [t.alone() if t.reference in missing else t for t in declaration.targets],
        "conditioning": [
            entry
            for entry in declaration.conditioning
            if not (isinstance(entry, _OF_GEN) and entry.field in missing)
        ],
    }
    return declaration.model_copy(update=update), [f"{prefix}{field}" for field in missing]
