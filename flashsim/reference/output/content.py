"""Collections to the branches of a NanoAOD version: indices, types, precision."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.nanoaod.assembly import towards_zero
from flashsim.nanoaod.buffer import CheckedEntries
from flashsim.nanoaod.casting import cast
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import load_schema, mantissa_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.nanoaod.branch import Branch

__all__ = ["nano_branches"]

_TARGETS = {
    "jet": "Jet",
    "muon": "Muon",
    "mu": "Muon",
    "electron": "Electron",
    "ele": "Electron",
    "photon": "Photon",
    "fsrPhoton": "FsrPhoton",
    "sv": "SV",
    "subJet": "SubJet",
    "genPart": "GenPart",
    "genJet": "GenJet",
    "genJetAK8": "GenJetAK8",
    "subGenJetAK8": "SubGenJetAK8",
}
"""Collections that fields such as ``muonIdx1`` point at."""

_REFERENCE = re.compile(r"(\w+?)Idx(?:\d(?:SJ)?)?")
_INDICES_ALREADY = "Tau_genPartIdx"

_PI = float(np.float32(np.pi))


def nano_branches(
    collections: Mapping[str, Collection],
    values: Mapping[str, NDArray[Any]],
    gen: Mapping[str, Collection],
    version: str,
) -> CheckedEntries:
    """Give the branches that a NanoAOD version has, of collections in their final order.

    Parameters
    ----------
    collections
        Objects by name of the collection; columns are fields of NanoAOD in full precision, of which those of
        the version are taken, and rows of other objects. Names of columns for other use begin with ``_``.
    values
        Branches of one value per event, shape (E,).
    gen
        Gen collections that rows point at.
    version
        NanoAOD version.

    Raises
    ------
    ValueError
        If a value cannot be stored in its branch.
    """
    schema, every = load_schema(version), {**gen, **collections}
    stored: dict[str, NDArray[Any]] = {}
    counts: dict[str, NDArray[np.int64]] = {}
    for name, collection in collections.items():
        for field, column in collection.columns.items():
            branch = schema.get(f"{name}_{field}")
            if branch is None or field.startswith("_"):
                continue
            if (target := _target(field)) and branch.name != _INDICES_ALREADY:
                first = every[target].offsets[collection.event_rows]
                column = np.where(column >= 0, column - first, -1)  # noqa: PLW2901
            stored[branch.name] = _stored(column, branch, version)
            counts[name] = collection.counts
    for name, column in values.items():
        if name in schema:
            stored[name] = _stored(column, schema[name], version)
    return CheckedEntries(len(next(iter(counts.values()))), stored, counts)


@cache
def _target(field: str) -> str | None:
    found = _REFERENCE.fullmatch(field)
    return _TARGETS.get(found[1]) if found else None


def _stored(column: NDArray[Any], branch: Branch, version: str) -> NDArray[Any]:
    """Values in the type of the branch: counts end at the largest it holds, others must fit."""
    if branch.dtype.kind == "u" and column.dtype.kind in "iu":
        column = np.minimum(column, np.iinfo(branch.dtype).max)
    exact = cast(column, branch.dtype, branch.name)
    bits = mantissa_bits(version, branch.name) if branch.dtype.kind == "f" else None
    if bits is None:
        return exact
    stored = round_mantissa(exact, bits)
    if "phi" in branch.name.lower():
        largest = towards_zero(_PI, bits)
        stored = np.where(np.abs(exact) <= _PI, np.clip(stored, -largest, largest), stored)
    return stored
