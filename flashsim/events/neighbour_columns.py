"""Columns of objects about one neighbour of each: where it is, its values, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.angles import wrap_angle
from flashsim.events.neighbours import closest_earlier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from flashsim.declarations.conditioning import Earlier
    from flashsim.events.collection import Collection

    Floats = NDArray[np.float64]

__all__ = ["EarlierNeighbours", "Neighbours"]

_LEAST_PT = 1e-3


@dataclass(frozen=True)
class Neighbours:
    """One neighbour, or none, of each of N objects.

    Parameters
    ----------
    objects
        Columns of the objects, pT, eta and phi among them, shape (N,).
    others
        Columns of the M objects that the neighbours are among, shape (M,).
    row
        Row of the neighbour among the others, -1 where there is none, shape (N,).
    distance
        From the object to it, shape (N,).
    """

    objects: Mapping[str, NDArray[Any]]
    others: Mapping[str, NDArray[Any]]
    row: NDArray[np.int64]
    distance: Floats

    def some(self, rows: NDArray[np.int64]) -> Neighbours:
        """Neighbours of some of the objects, in the order of `rows`."""
        objects = {name: column[rows] for name, column in self.objects.items()}
        return Neighbours(objects, self.others, self.row[rows], self.distance[rows])

    @cached_property
    def found(self) -> NDArray[np.bool_]:
        """Whether there is a neighbour, shape (N,)."""
        return self.row >= 0

    def values(self, column: NDArray[Any]) -> Floats:
        """Values of the neighbours in a column of the others, shape (M,); 0 of none. Shape (N,)."""
        if len(column) == 0:
            return np.zeros(len(self.row))
        return np.where(self.found, column[self.row].astype(np.float64), 0.0)

    def columns(self, shares: Iterable[str]) -> dict[str, Floats]:
        """Where the neighbours are, and their fields over the object's pT as ``FIELD_share``; 0 of none."""
        deta, dphi = (self.objects[angle] - self.values(self.others[angle]) for angle in ("eta", "phi"))
        pt = np.maximum(self.objects["pt"].astype(np.float64), _LEAST_PT)
        of_found = {"deta": deta, "dphi": wrap_angle(dphi)}
        of_found |= {f"{share}_share": self.values(self.others[share]) / pt for share in shares}
        columns = {"found": self.found.astype(np.float64), "dr": self.distance}
        return columns | {name: np.where(self.found, column, 0.0) for name, column in of_found.items()}


@dataclass(frozen=True)
class EarlierNeighbours:
    """The neighbours of higher pT of N gen objects, found once, while more and more of them are drawn.

    Parameters
    ----------
    entry
        Which of them.
    neighbours
        All of the collection.
    """

    entry: Earlier
    neighbours: Neighbours

    @classmethod
    def of(cls, entry: Earlier, objects: Collection) -> EarlierNeighbours:
        """Find them."""
        gen = {field: objects[field].astype(np.float64) for field in ("pt", "eta", "phi")}
        row, distance = closest_earlier(objects.directions, gen["pt"], entry.rank, entry.reach)
        return cls(entry, Neighbours(gen, gen, row, distance))

    def columns(
        self, counterparts: Mapping[str, NDArray[Any]], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Floats]:
        """Conditioning columns of some of the gen objects, by default of all.

        Parameters
        ----------
        counterparts
            Fields of the reconstructed objects of all, shape (N,), NaN where there is none (yet).
        rows
            Rows of the objects, shape (M,).

        Returns
        -------
        Columns of shape (M,) in the declared order.
        """
        near = self.neighbours if rows is None else self.neighbours.some(rows)
        gen, there = near.objects, {field: near.values(column) for field, column in near.others.items()}
        drawn = {field: near.values(counterparts[field]) for field in self.entry.reads()}
        kept = near.found & np.isfinite(drawn["pt"])

        def where_kept(values: Floats, otherwise: float = 0.0) -> Floats:
            return np.where(kept, values, otherwise)

        shift = {angle: drawn[angle] - there[angle] for angle in ("eta", "phi")}
        pt, gen_pt = (np.maximum(columns["pt"], _LEAST_PT) for columns in (drawn, there))
        away = np.hypot(gen["eta"] - drawn["eta"], wrap_angle(gen["phi"] - drawn["phi"]))
        beyond = 2 * self.entry.reach
        columns = near.columns(["pt"]) | {
            "kept": kept.astype(np.float64),
            "response": where_kept(np.log(pt / gen_pt)),
            "shift_eta": where_kept(shift["eta"]),
            "shift_phi": where_kept(wrap_angle(shift["phi"])),
            "reco_dr": where_kept(np.minimum(away, beyond), beyond),
            **{field: where_kept(drawn[field]) for field in self.entry.values},
        }
        return {f"{self.entry.name}_{name}": column for name, column in columns.items()}
