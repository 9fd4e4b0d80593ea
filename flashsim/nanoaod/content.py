"""What a chunk of events holds, checked before anything is computed of it.

Compiled loops trust what they are given: that branches of a collection have the same lengths, that an index
points at an object, that a number is one. A file need not be like that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.errors import InputFileError
from flashsim.events.collection import flat_column
from flashsim.events.noise import EVENT_IDS
from flashsim.nanoaod.schema import known_branches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.nanoaod.branch import Branch

__all__ = ["Content"]

_MOTHER = "GenPart_genPartIdxMother"


@dataclass(frozen=True)
class Content:
    """Some branches of E events in a row, as they were read.

    Parameters
    ----------
    path
        What messages call the input.
    branches
        What is known of the branches, by name.
    arrays
        Their values, and those of counters.
    start
        Number of the first of the events in the input, from 0.
    whole
        Reads a branch of all events of the input, to say how many values are wrong.
    """

    path: str
    branches: Mapping[str, Branch]
    arrays: Mapping[str, ak.Array]
    start: int
    whole: Callable[[str], ak.Array]

    def check_lengths(self, counters: Mapping[str, str]) -> None:
        """See that the branches of a collection have as many values as their counter says, event by event.

        Parameters
        ----------
        counters
            Name of the counter by that of the branch, where there is one.

        Raises
        ------
        InputFileError
            If a branch is longer or shorter than its counter, or than the others of its collection.
        """
        collections: dict[str, list[str]] = {}
        for name, (offsets, _) in self._lists.items():
            if (counter := counters.get(name)) is not None:
                said = np.asarray(self.arrays[counter]).astype(np.int64)
                self._compare(name, np.diff(offsets), said, f"as its counter {counter} says")
            known = known_branches(name)
            of = known[0].collection if known else self.branches[name].collection
            collections.setdefault(of or name, []).append(name)
        for names in collections.values():
            self._check_alike(names)

    def check_values(self, needed: Iterable[str]) -> None:
        """See that values can be computed with.

        Parameters
        ----------
        needed
            Names of the branches.

        Raises
        ------
        InputFileError
            If a number is NaN or infinite, a negative one was stored without its sign, a mother is none of
            the particles of the event, or a particle descends from itself.
        """
        for name in needed:
            branch = self.branches[name]
            if branch.dtype.kind == "f":
                self._check_each(name, "NaN or infinite", _not_finite)
            elif branch.dtype.kind == "u" and _is_signed(name):
                most = np.iinfo(branch.dtype).max // 2
                what = f"above {most}, as negative numbers are in {branch.dtype},"
                self._check_each(name, what, partial(np.less, most))
        if _MOTHER in needed and _MOTHER in self._lists:
            self._check_mothers(*self._lists[_MOTHER])

    @cached_property
    def _lists(self) -> dict[str, tuple[NDArray[np.int64], NDArray[Any]]]:
        """Offsets and values of the jagged branches."""
        jagged = (name for name in self.arrays if name in self.branches and self.branches[name].jagged)
        return {name: flat_column(self.arrays[name]) for name in jagged}

    @staticmethod
    def _values(array: ak.Array, branch: Branch) -> NDArray[Any]:
        return flat_column(array)[1] if branch.jagged else np.asarray(array)

    def _check_alike(self, names: Collection[str]) -> None:
        """See that branches have the same lengths; those are right that most of them have."""
        offsets = {name: self._lists[name][0] for name in names}
        first = next(iter(offsets.values()))
        if all(np.array_equal(first, other) for other in offsets.values()):
            return
        alike: dict[bytes, list[str]] = {}
        for name, column in offsets.items():
            alike.setdefault(column.tobytes(), []).append(name)
        right = max(alike.values(), key=len)[0]
        wrong = next(name for name in names if not np.array_equal(offsets[name], offsets[right]))
        self._compare(wrong, np.diff(offsets[wrong]), np.diff(offsets[right]), f"as {right} has")

    def _compare(self, name: str, found: NDArray[np.int64], expected: NDArray[np.int64], reason: str) -> None:
        if np.array_equal(found, expected):
            return
        row = int(np.flatnonzero(found != expected)[0])
        msg = (
            f"{self.path}: {name} has {found[row]} values in {self._event(row)}, expected {expected[row]} "
            f"{reason}; copy or make the file again"
        )
        raise InputFileError(msg)

    def _check_each(self, name: str, what: str, is_bad: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> None:
        bad = is_bad(self._values(self.arrays[name], self.branches[name]))
        if not bad.any():
            return
        whole = self._values(self.whole(name), self.branches[name])
        count = int(np.count_nonzero(is_bad(whole)))
        where = self._event(self._row(name, int(np.flatnonzero(bad)[0])))
        msg = (
            f"{self.path}: {name} is {what} in {count} of {len(whole)} values, first in {where}; mend or "
            "leave out these events"
        )
        raise InputFileError(msg)

    def _check_mothers(self, offsets: NDArray[np.int64], mother: NDArray[Any]) -> None:
        counts = np.diff(offsets)
        mother = mother.astype(np.int64)
        outside = (mother < -1) | (mother >= np.repeat(counts, counts))
        if outside.any():
            place = int(np.flatnonzero(outside)[0])
            row = self._row(_MOTHER, place)
            msg = (
                f"{self.path}: {_MOTHER} is {mother[place]} in {self._event(row)}, expected -1 or the index "
                f"of one of its {counts[row]} particles; make the file again"
            )
            raise InputFileError(msg)
        above = np.where(mother < 0, -1, mother + np.repeat(offsets[:-1], counts))
        if (above < np.arange(len(above))).all():
            return  # whoever comes later descends from earlier ones only
        # Steps of 1, 2, 4, ... ancestors: who has one after as many as there are particles walks in a circle.
        for _ in range(int(counts.max()).bit_length()):
            above = np.where(above < 0, -1, above[above])
        if (above >= 0).any():
            place = int(np.flatnonzero(above >= 0)[0])
            row = self._row(_MOTHER, place)
            msg = (
                f"{self.path}: {_MOTHER} leads in a circle from particle {place - offsets[row]} of "
                f"{self._event(row)}, expected a particle without mother in the end; make the file again"
            )
            raise InputFileError(msg)

    def _row(self, name: str, place: int) -> int:
        """Row of the event that a value belongs to."""
        if name not in self._lists:
            return place
        return int(np.searchsorted(self._lists[name][0], place, side="right")) - 1

    def _event(self, row: int) -> str:
        """Name an event by its place in the input and, where they were read, its numbers."""
        numbers = [f"{n} {int(self.arrays[n][row])}" for n in EVENT_IDS if n in self.arrays]
        return f"entry {self.start + row}" + (f" ({', '.join(numbers)})" if numbers else "")


def _not_finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    finite: NDArray[np.bool_] = np.isfinite(values)
    return ~finite


def _is_signed(name: str) -> bool:
    """Whether NanoAOD has a branch of this name that holds negative numbers, whatever its version."""
    known = known_branches(name)
    return bool(known) and all(branch.dtype.kind == "i" for branch in known)
