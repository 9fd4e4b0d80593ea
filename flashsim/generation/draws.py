"""Random numbers of the objects of one collection in a chunk of events and oversampling folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flashsim.events.noise import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["Draws"]


@dataclass(frozen=True)
class Draws:
    """Where the random numbers of a collection come from.

    Parameters
    ----------
    seed
        The user's seed.
    collection
        What is simulated, such as ``"Jet"``.
    keys
        `flashsim.events.identity.event_keys` of each of E events, shape (E,).
    folds
        Oversampling fold of each event, shape (E,).
    """

    seed: int
    collection: str
    keys: NDArray[np.uint64]
    folds: NDArray[np.int64]

    @classmethod
    def of_folds(cls, seed: int, collection: str, keys: NDArray[np.uint64], folds: Sequence[int]) -> Draws:
        """Give draws of E events that are taken F times each, folds side by side."""
        numbers = np.tile(np.asarray(folds, dtype=np.int64), len(keys))
        return cls(seed, collection, np.repeat(keys, len(folds)), numbers)

    def uniform(
        self, purpose: str, event_rows: NDArray[np.int64], numbers: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Draw a uniform number in (0, 1) for each of N objects, shape (N,).

        Parameters
        ----------
        purpose
            What it decides; different purposes are independent.
        event_rows
            Row of the event of each object, shape (N,).
        numbers
            Number of each object in its event, shape (N,).
        """
        return self._filled(event_rows, 1, lambda s, rows, keys: s.uniform(keys, numbers[rows], 1), purpose)[
            :, 0
        ]

    def normal(
        self, purpose: str, event_rows: NDArray[np.int64], numbers: NDArray[np.int64], width: int
    ) -> NDArray[np.float64]:
        """Draw standard normal numbers, shape (N, width); parameters as for `uniform`."""
        return self._filled(
            event_rows, width, lambda s, rows, keys: s.normal(keys, numbers[rows], width), purpose
        )

    def attempted(  # noqa: PLR0917
        self,
        purpose: str,
        event_rows: NDArray[np.int64],
        numbers: NDArray[np.int64],
        width: int,
        attempts: NDArray[np.int64],
        fixed: int = 0,
    ) -> NDArray[np.float64]:
        """Draw standard normal numbers, shape (N, width), of objects that may be drawn again.

        Parameters
        ----------
        purpose, event_rows, numbers, width
            As for `normal`, which the first attempt is.
        attempts
            Number of the attempt of each object, from 0, shape (N,).
        fixed
            How many of the numbers, the first ones, are those of the first attempt in all.
        """
        drawn = np.empty((len(event_rows), width))
        for attempt in np.unique(attempts).tolist():
            rows = np.flatnonzero(attempts == attempt)
            named = f"{purpose}, attempt {attempt}" if attempt else purpose
            drawn[rows] = self.normal(named, event_rows[rows], numbers[rows], width)
            if attempt and fixed:
                first = self.normal(purpose, event_rows[rows], numbers[rows], width)
                drawn[rows, :fixed] = first[:, :fixed]
        return drawn

    def _filled(
        self,
        event_rows: NDArray[np.int64],
        width: int,
        draw: Callable[[Stream, NDArray[np.int64], NDArray[np.uint64]], NDArray[np.float64]],
        purpose: str,
    ) -> NDArray[np.float64]:
        drawn = np.empty((len(event_rows), width))
        fold_of = self.folds[event_rows]
        for fold in np.unique(self.folds).tolist():
            rows = np.flatnonzero(fold_of == fold)
            stream = Stream(self.seed, self.collection, purpose, fold)
            drawn[rows] = draw(stream, rows, self.keys[event_rows[rows]])
        return drawn
