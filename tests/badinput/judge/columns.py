"""Files of columns, written as others write them: whatever they hold, right or wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Columns", "content", "read_columns", "write_columns"]

Columns = dict[str, Any]

_COLLECTIONS = ("GenPart", "GenJet", "GenVisTau", "LHEPart", "Jet", "Muon", "Electron", "Tau")


def read_columns(path: Path, tree: str = "Events", stop: int | None = None) -> Columns:
    """Read all branches of a tree, counters left out.

    Raises
    ------
    Exception
        Of any kind, where the file is damaged.
    """
    with uproot.open({str(path): None}) as file:
        arrays = file[tree].arrays(how=dict, entry_stop=stop)
    return {name: values for name, values in arrays.items() if not _counts(name, arrays)}


def _counts(name: str, arrays: Mapping[str, Any]) -> bool:
    return name.startswith("n") and any(
        other.startswith(f"{name[1:]}_") or other == name[1:] for other in arrays
    )


def write_columns(
    path: Path, columns: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]] = {}
) -> None:
    """Write columns as the tree ``Events`` of a TTree, and other trees beside it.

    Branches of a collection that have one number of values an event share a counter, such as ``nGenPart``.
    One that differs has a counter of its own (``nGenPart_pdgId``), as in files that were written column by
    column: it is how a branch comes to be shorter than its collection.
    """
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        for name, tree in {**others, "Events": columns}.items():
            parts = _collections(tree)
            file.mktree(name, {key: _type(values) for key, values in parts.items()})
            file[name].extend(parts)


def _type(values: Any) -> Any:
    return ak.type(values).content if isinstance(values, ak.Array) else np.asarray(values).dtype


def _collections(columns: Mapping[str, Any]) -> Columns:
    """Zip what belongs together."""
    parts: Columns = {}
    zipped: dict[str, Columns] = {}
    counts: dict[str, Any] = {}
    for name, values in columns.items():
        collection, _, field = name.partition("_")
        if not (isinstance(values, ak.Array) and values.ndim == 2) or collection not in _COLLECTIONS:
            parts[name] = values
            continue
        number = ak.num(values)
        if collection not in counts:
            same = [ak.num(v) for n, v in columns.items() if n.startswith(f"{collection}_") and _jagged(v)]
            # What most branches have is the collection's.
            counts[collection] = max(same, key=lambda n: sum(ak.array_equal(n, o) for o in same))
        if ak.array_equal(number, counts[collection]):
            zipped.setdefault(collection, {})[field] = values
        else:
            parts[name] = values
    return parts | {name: ak.zip(fields) for name, fields in zipped.items()}


def _jagged(values: Any) -> bool:
    return isinstance(values, ak.Array) and values.ndim == 2


def content(path: Path) -> dict[str, tuple[str, Any, bytes]]:
    """Give every branch of all trees as type, lengths and bytes: equal means equal bit by bit."""
    found = {}
    with uproot.open({str(path): None}) as file:
        for tree, kind in file.classnames(cycle=False).items():
            if kind != "TTree":
                continue
            for name, array in file[tree].arrays(how=dict).items():
                counts = ak.num(array).to_list() if array.ndim > 1 else len(array)
                flat = np.asarray(ak.flatten(array, axis=None))
                found[f"{tree}/{name}"] = (flat.dtype.str, counts, flat.tobytes())
    return found
