"""Where the branches of an output come from: what a reader has to know before trusting one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from flashsim.declarations.relations import Formula

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["ORIGINS", "Grouped", "Origin", "computed_fields", "grouped"]

Origin: TypeAlias = Literal["copied", "simulated", "derived", "emulated", "constant", "absent"]

ORIGINS: dict[Origin, str] = {
    "copied": "as the input has them",
    "simulated": "drawn by trained models",
    "derived": "computed from others",
    "emulated": "drawn from numbers that recipes declare",
    "constant": "the same for all events",
    "absent": "of this NanoAOD version, and not in the output",
}
"""Origins of branches, and what each means."""

Grouped: TypeAlias = dict[str, list[str]]
"""Names of branches by collection, or by what stands before the first underscore."""


def computed_fields(declaration: ObjectDeclaration) -> set[str]:
    """Fields of an object that follow from drawn ones or from other objects, cross references apart."""
    fields = {derived.branch for derived in declaration.derived}
    fields |= {relation.branch for relation in declaration.relations if isinstance(relation, Formula)}
    fields |= {branch for linked in declaration.linked for branch in linked.formulas}
    return fields | ({declaration.match} if declaration.match else set())


def grouped(names: Iterable[str]) -> Grouped:
    """Group names of branches by what stands before the first underscore.

    Examples
    --------
    >>> grouped(["HLT_IsoMu24", "HLT_Mu50", "genWeight"])
    {'HLT': ['HLT_IsoMu24', 'HLT_Mu50'], 'genWeight': ['genWeight']}
    """
    found: Grouped = {}
    for name in names:
        found.setdefault(name.partition("_")[0], []).append(name)
    return found
