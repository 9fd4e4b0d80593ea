"""Columns of one tree, gathered until they are worth a basket."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.collection import Collection, jagged_column
from flashsim.nanoaod.casting import flatten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.nanoaod.branch import Branch

__all__ = ["TreeBuffer"]


class TreeBuffer:
    """Checked columns of one tree that wait to be written.

    Parameters
    ----------
    tree
        Name of the tree, for errors.
    branches
        Branches of the tree.
    """

    def __init__(self, tree: str, branches: Sequence[Branch]) -> None:
        self._tree = tree
        self._branches = {branch.name: branch for branch in branches}
        self._values: dict[str, list[NDArray[Any]]] = {name: [] for name in self._branches}
        self._counts: dict[str, list[NDArray[np.int64]]] = {
            branch.collection: [] for branch in branches if branch.collection is not None
        }
        self.entries = 0
        self.nbytes = 0

    def append(self, arrays: Mapping[str, ak.Array | np.ndarray]) -> None:
        """Check and take one chunk of entries; nothing is kept when it is refused.

        Parameters
        ----------
        arrays
            One array per branch, all of the same length.

        Raises
        ------
        ValueError
            If branches are missing or unknown, lengths or the counts inside a collection differ, or
            values do not fit their branch.
        """
        self._check_names(arrays)
        entries = self._common_length(arrays)
        if entries == 0:
            return
        counts: dict[str, tuple[str, NDArray[np.int64]]] = {}
        values = {}
        for name, branch in self._branches.items():
            lengths, values[name] = flatten(arrays[name], branch)
            if branch.collection is not None and lengths is not None:
                first, expected = counts.setdefault(branch.collection, (name, lengths))
                self._check_counts(branch, lengths, first, expected)
        for name, column in values.items():
            self._values[name].append(column)
            self.nbytes += column.nbytes
        for collection, (_, lengths) in counts.items():
            self._counts[collection].append(lengths)
            self.nbytes += lengths.nbytes
        self.entries += entries

    def drain(self, max_bytes: int) -> Iterator[dict[str, ak.Array | np.ndarray]]:
        """Hand out everything gathered, in pieces of about `max_bytes` at most, and start empty again."""
        pieces = min(self.entries, -(-self.nbytes // max_bytes))
        if pieces == 0:
            return
        edges = [self.entries * i // pieces for i in range(pieces + 1)]
        columns = {name: self._take(branch) for name, branch in self._branches.items()}
        for lengths in self._counts.values():
            lengths.clear()
        self.entries = self.nbytes = 0
        for start, stop in pairwise(edges):
            yield {name: column[start:stop] for name, column in columns.items()}

    def _take(self, branch: Branch) -> ak.Array | np.ndarray:
        values = np.concatenate(self._values[branch.name])
        self._values[branch.name].clear()
        if branch.collection is None:
            return values
        counts = np.concatenate(self._counts[branch.collection])
        return jagged_column(Collection.of_counts(counts, {}).offsets, values)

    def _check_names(self, arrays: Mapping[str, ak.Array | np.ndarray]) -> None:
        missing = [name for name in self._branches if name not in arrays]
        unknown = [name for name in arrays if name not in self._branches]
        if missing or unknown:
            problem = f"lack {', '.join(missing)}" if missing else f"have the unknown {', '.join(unknown)}"
            msg = f"the arrays for tree {self._tree!r} {problem}; give exactly the declared branches"
            raise ValueError(msg)

    def _common_length(self, arrays: Mapping[str, ak.Array | np.ndarray]) -> int:
        lengths = {name: len(array) for name, array in arrays.items()}
        first, entries = next(iter(lengths.items()))
        for name, length in lengths.items():
            if length != entries:
                msg = (
                    f"branches of tree {self._tree!r} must have one length, "
                    f"found {entries} entries in {first!r} and {length} in {name!r}"
                )
                raise ValueError(msg)
        return entries

    def _check_counts(
        self, branch: Branch, counts: NDArray[np.int64], first: str, expected: NDArray[np.int64]
    ) -> None:
        if not np.array_equal(counts, expected):
            entry = int(np.flatnonzero(counts != expected)[0])
            msg = (
                f"branches of collection {branch.collection!r} must have the same number of values in every "
                f"event, found {expected[entry]} in {first!r} and {counts[entry]} in {branch.name!r} "
                f"at entry {entry}"
            )
            raise ValueError(msg)
