"""Which branches a generated file has, with the types and titles of its NanoAOD version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from flashsim.errors import InputFileError
from flashsim.generation.recipe import Link, OutputRecipe
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import VERSIONS, load_schema, mantissa_bits
from flashsim.objects import ObjectDeclaration

__all__ = ["CollectionPlan", "copied_branches", "plan_collection"]


@dataclass(frozen=True)
class CollectionPlan:
    """The branches of a simulated collection.

    Parameters
    ----------
    branches
        By field, in the order in which they are written.
    bits
        Mantissa bits by field; none for all.
    left_out
        Targets of the model that this NanoAOD version does not have.
    """

    branches: dict[str, Branch]
    bits: dict[str, int | None]
    left_out: tuple[str, ...]


def copied_branches(
    file: NanoFile, recipe: OutputRecipe, keep: Sequence[str], simulated: Sequence[str]
) -> list[Branch]:
    """Branches of the input that the output has unchanged.

    Parameters
    ----------
    file
        The input.
    recipe
        Patterns of the generator-level branches.
    keep
        The user's patterns of reconstructed branches to keep nevertheless.
    simulated
        Names of the simulated collections, which cannot be kept.

    Raises
    ------
    InputFileError
        If a pattern of `keep` fits no branch, or one of a simulated collection.
    """
    kept: set[str] = set()
    for pattern in keep:
        found = {name for name in file.branches if fnmatchcase(name, pattern)}
        if not found:
            msg = f"{file.path}: has no branch that fits --keep '{pattern}'"
            raise InputFileError(msg)
        if clash := sorted(name for name in found if file.branches[name].collection in simulated):
            msg = f"{file.path}: --keep '{pattern}' asks for {clash[0]}, which is simulated; choose other branches"
            raise InputFileError(msg)
        kept |= found
    return [
        branch
        for name, branch in file.branches.items()
        if branch.collection not in simulated
        and (name in kept or any(fnmatchcase(name, pattern) for pattern in recipe.copied))
    ]


def plan_collection(
    declaration: ObjectDeclaration,
    file: NanoFile,
    version: str,
    links: Sequence[Link],
    simulated: Sequence[str],
) -> CollectionPlan:
    """Branches of one simulated collection in a file of a NanoAOD version.

    Types and titles are those of the input if it has the branch, then those of the version's schema, then of
    the other versions, the latest first.
    """
    collection = declaration.collection
    left_out = tuple(target.branch for target in declaration.targets if not target.exists_in(version))
    titles = {entry.branch: entry.description for entry in (*declaration.targets, *declaration.derived)}
    fields = [field for field in titles if field not in left_out]
    fields += [declaration.match, *_link_fields(collection, links, simulated)]
    branches, bits = {}, {}
    for field in fields:
        name = f"{collection}_{field}"
        branches[field] = _branch(name, collection, file, version, titles.get(field, ""))
        precise = branches[field].dtype != np.dtype("float32")
        bits[field] = None if precise else _bits(name, version)
    return CollectionPlan(branches, bits, left_out)


def _link_fields(collection: str, links: Sequence[Link], simulated: Sequence[str]) -> list[str]:
    fields: list[str] = []
    for link in links:
        if link.source not in simulated or link.target not in simulated:
            continue
        if link.source == collection:
            fields.append(link.index)
        if link.target == collection:
            fields += [*link.back, *([] if link.count is None else [link.count])]
    return fields


def _branch(name: str, collection: str, file: NanoFile, version: str, title: str) -> Branch:
    if file.has(name):
        return file.branches[name]
    for candidate in _nearest(version):
        if (branch := load_schema(candidate).get(name)) is not None:
            return branch
    return Branch(name, np.dtype("float32"), collection, title)


def _bits(name: str, version: str) -> int | None:
    for candidate in _nearest(version):
        if name in load_schema(candidate):
            return mantissa_bits(candidate, name)
    return None


def _nearest(version: str) -> list[str]:
    return [version, *(other for other in reversed(VERSIONS) if other != version)]
