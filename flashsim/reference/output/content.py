"""Collections to the branches of a NanoAOD version: order, indices, types, precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.collection import Collection, jagged_column
from flashsim.nanoaod.assembly import towards_zero
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import load_schema, mantissa_bits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.nanoaod.branch import Branch

__all__ = ["UNORDERED", "nano_branches", "order_by_pt", "reordered"]

UNORDERED = frozenset({"SV", "SubJet", "CorrT1METJet", "OtherPV"})
"""Collections that CMS does not order by pT."""

_TARGETS = {
    "jetIdx": "Jet",
    "muonIdx": "Muon",
    "muonIdx1": "Muon",
    "muonIdx2": "Muon",
    "muonIdx3SJ": "Muon",
    "muIdx": "Muon",
    "electronIdx": "Electron",
    "electronIdx1": "Electron",
    "electronIdx2": "Electron",
    "electronIdx3SJ": "Electron",
    "eleIdx": "Electron",
    "photonIdx": "Photon",
    "fsrPhotonIdx": "FsrPhoton",
    "svIdx": "SV",
    "svIdx1": "SV",
    "svIdx2": "SV",
    "subJetIdx1": "SubJet",
    "subJetIdx2": "SubJet",
    "genPartIdx": "GenPart",
    "genJetIdx": "GenJet",
    "genJetAK8Idx": "GenJetAK8",
    "subGenJetAK8Idx": "SubGenJetAK8",
}
"""Fields that hold rows of another collection, which become indices in the event."""

_INDICES_ALREADY = frozenset({("Tau", "genPartIdx")})

_PI = float(np.float32(np.pi))


def order_by_pt(collection: Collection) -> NDArray[np.int64]:
    """Rows by falling pT in each event, shape (N,); equal ones keep their order."""
    return np.lexsort((-collection["pt"].astype(np.float64), collection.event_rows))


def reordered(
    collections: Mapping[str, Collection], orders: Mapping[str, NDArray[np.int64]]
) -> dict[str, Collection]:
    """Bring collections into other orders; rows that point at their objects follow.

    Parameters
    ----------
    collections
        By name.
    orders
        Rows in their new order, as `order_by_pt` gives them, by name of the collection.
    """
    places = {}
    for name, order in orders.items():
        places[name] = np.full(len(order) + 1, -1, dtype=np.int64)  # the last stands for row -1
        places[name][order] = np.arange(len(order))
    moved = {}
    for name, collection in collections.items():
        columns = {
            field: places[_TARGETS[field]][values] if _TARGETS.get(field) in places else values
            for field, values in collection.columns.items()
        }
        changed = Collection(collection.offsets, columns)
        moved[name] = changed.take(orders[name]) if name in orders else changed
    return moved


def nano_branches(
    collections: Mapping[str, Collection],
    values: Mapping[str, NDArray[Any]],
    gen: Mapping[str, Collection],
    version: str,
) -> dict[str, ak.Array | NDArray[Any]]:
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

    Returns
    -------
    Arrays by branch name in the types and with the precision of the version, jagged ones for collections.

    Raises
    ------
    ValueError
        If a value cannot be stored in its branch.
    """
    schema = load_schema(version)
    every = {**gen, **collections}
    branches: dict[str, ak.Array | NDArray[Any]] = {}
    for name, collection in collections.items():
        for field, column in collection.columns.items():
            branch = schema.get(f"{name}_{field}")
            if branch is None or field.startswith("_"):
                continue
            if field in _TARGETS and (name, field) not in _INDICES_ALREADY:
                stored = _indices(collection, column, every[_TARGETS[field]])
            else:
                stored = _stored(column, branch, version)
            branches[branch.name] = jagged_column(collection.offsets, stored)
    for name, column in values.items():
        if (branch := schema.get(name)) is not None:
            branches[name] = _stored(column, branch, version)
    return branches


def _indices(collection: Collection, rows: NDArray[Any], target: Collection) -> NDArray[np.int64]:
    rows = rows.astype(np.int64)
    return np.where(rows >= 0, rows - target.offsets[collection.event_rows], -1)


def _stored(column: NDArray[Any], branch: Branch, version: str) -> NDArray[Any]:
    """Values in the type of the branch: counts end at the largest it holds, others must fit."""
    if branch.dtype.kind != "f":
        if branch.dtype.kind == "u" and column.dtype.kind in "iu":
            column = np.minimum(column, np.iinfo(branch.dtype).max)
        return column
    bits = mantissa_bits(version, branch.name)
    exact = column.astype(np.float32)
    if bits is None:
        return exact
    stored = round_mantissa(exact, bits)
    if "phi" in branch.name.lower():
        largest = towards_zero(_PI, bits)
        stored = np.where(np.abs(exact) <= _PI, np.clip(stored, -largest, largest), stored)
    return stored
