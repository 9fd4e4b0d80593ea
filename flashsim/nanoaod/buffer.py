"""Columns of one tree, gathered until they are worth a basket."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.collection import Collection, jagged_column
from flashsim.nanoaod.casting import flatten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.nanoaod.branch import Branch

__all__ = ["CheckedEntries", "TreeBuffer", "check_entries"]


@dataclass(frozen=True)
class CheckedEntries:
    """Entries of a tree as it stores them, which `check_entries` makes; small and quick to send elsewhere.

    Parameters
    ----------
    entries
        Their number.
    values
        By branch, in its type: shape (entries,), or of all objects of a collection in a row.
    counts
        By collection, the objects of each entry, shape (entries,).
    """

    entries: int
    values: dict[str, NDArray[Any]]
    counts: dict[str, NDArray[np.int64]]


def check_entries(
    tree: str, branches: Sequence[Branch], arrays: Mapping[str, ak.Array | np.ndarray] | CheckedEntries
) -> CheckedEntries:
    """Check entries of a tree, and bring them to what is stored.

    Parameters
    ----------
    tree
        Name of the tree, for errors.
    branches
        Branches of the tree.
    arrays
        One array per branch, all of the same length; what is checked already is given back.

    Raises
    ------
    ValueError
        If branches are missing or unknown, lengths or the counts inside a collection differ, or values do not
        fit their branch.
    """
    if isinstance(arrays, CheckedEntries):
        return arrays
    _check_names(tree, branches, arrays)
    counts: dict[str, tuple[str, NDArray[np.int64]]] = {}
    values: dict[str, NDArray[Any]] = {}
    if (entries := _common_length(tree, arrays)) > 0:
        for branch in branches:
            lengths, values[branch.name] = flatten(arrays[branch.name], branch)
            if branch.collection is not None and lengths is not None:
                first, expected = counts.setdefault(branch.collection, (branch.name, lengths))
                _check_counts(branch, lengths, first, expected)
    return CheckedEntries(entries, values, {name: lengths for name, (_, lengths) in counts.items()})


class TreeBuffer:
    """Checked columns of one tree that wait to be written.

    Parameters
    ----------
    branches
        Branches of the tree.
    """

    def __init__(self, branches: Sequence[Branch]) -> None:
        self._branches = {branch.name: branch for branch in branches}
        self._values: dict[str, list[NDArray[Any]]] = {name: [] for name in self._branches}
        self._counts: dict[str, list[NDArray[np.int64]]] = {
            branch.collection: [] for branch in branches if branch.collection is not None
        }
        self.entries = 0
        self.nbytes = 0

    def append(self, checked: CheckedEntries) -> None:
        """Take one chunk of entries of these branches."""
        if checked.entries == 0:
            return
        for name, column in checked.values.items():
            self._values[name].append(column)
            self.nbytes += column.nbytes
        for collection, lengths in checked.counts.items():
            self._counts[collection].append(lengths)
            self.nbytes += lengths.nbytes
        self.entries += checked.entries

    def drain(self, max_bytes: int) -> Iterator[dict[str, ak.Array | np.ndarray]]:
        """Hand out everything gathered, in pieces of about `max_bytes` at most, and start empty again."""
        pieces = min(self.entries, -(-self.nbytes // max_bytes))
        if pieces == 0:
            return
        edges = [self.entries * i // pieces for i in range(pieces + 1)]
        columns = self.take()
        for start, stop in pairwise(edges):
            yield {name: column[start:stop] for name, column in columns.items()}

    def take(self) -> dict[str, ak.Array | np.ndarray]:
        """Hand out everything gathered, and start empty again."""
        # Branch by branch: what is put together need not be there twice.
        columns = {name: self._take(branch) for name, branch in self._branches.items()}
        for lengths in self._counts.values():
            lengths.clear()
        self.entries = self.nbytes = 0
        return columns

    def _take(self, branch: Branch) -> ak.Array | np.ndarray:
        # An empty piece first, for a tree without entries.
        values = np.concatenate([np.zeros(0, dtype=branch.dtype), *self._values[branch.name]])
        self._values[branch.name].clear()
        if branch.collection is None:
            return values
        counts = np.concatenate([np.zeros(0, dtype=np.int64), *self._counts[branch.collection]])
        return jagged_column(Collection.of_counts(counts, {}).offsets, values)


def _check_names(tree: str, branches: Sequence[Branch], arrays: Mapping[str, Any]) -> None:
    known = {branch.name for branch in branches}
    missing = [branch.name for branch in branches if branch.name not in arrays]
    unknown = [name for name in arrays if name not in known]
    if missing or unknown:
        problem = f"lack {', '.join(missing)}" if missing else f"have the unknown {', '.join(unknown)}"
        msg = f"the arrays for tree {tree!r} {problem}; give exactly the declared branches"
        raise ValueError(msg)


def _common_length(tree: str, arrays: Mapping[str, ak.Array | np.ndarray]) -> int:
    lengths = {name: len(array) for name, array in arrays.items()}
    first, entries = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != entries:
            msg = (
                f"branches of tree {tree!r} must have one length, "
                f"found {entries} entries in {first!r} and {length} in {name!r}"
            )
            raise ValueError(msg)
    return entries


def _check_counts(branch: Branch, counts: NDArray[np.int64], first: str, expected: NDArray[np.int64]) -> None:
    if not np.array_equal(counts, expected):
        entry = int(np.flatnonzero(counts != expected)[0])
        msg = (
            f"branches of collection {branch.collection!r} must have the same number of values in every "
            f"event, found {expected[entry]} in {first!r} and {counts[entry]} in {branch.name!r} "
            f"at entry {entry}"
        )
        raise ValueError(msg)
