"""Which objects of two simulations belong to one gen object, and which of these are clean pairs.

The cuts treat both simulations alike. A known public matcher takes the first reconstructed object inside the
cone instead of the closest, vetoes only those that come before it in the list, only in one of the two
simulations, and loses step between them in events without objects: each makes the two sides differ by
selection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.events.matching import match
from flashsim.events.neighbours import closest
from flashsim.events.noise import EVENT_IDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.declarations.gen_collections import GenView
    from flashsim.declarations.refinement import RefinerRecipe

__all__ = ["SelectedPairs", "pair_branches", "reco_collection", "select_pairs"]

_SAME_DIRECTION = 1e-3
_SAME_PT = 1e-3
"""Largest difference of one gen object in two files, in eta and phi and relative in pT."""


@dataclass(frozen=True)
class SelectedPairs:
    """Pairs of some events.

    Parameters
    ----------
    columns
        ``run``, ``luminosityBlock``, ``event``, ``gen.*``, ``fast.*``, ``full.*``, each of shape (N,).
    counts
        Events, and gen objects left after each cut.
    """

    columns: dict[str, NDArray[Any]]
    counts: dict[str, int]


def pair_branches(recipe: RefinerRecipe, view: GenView) -> list[str]:
    """Branches that pairing reads from both files, sorted."""
    fields = {*recipe.branches, recipe.match, "eta", "phi"}
    return sorted({*EVENT_IDS, *gen_view_branches(view), *(f"{recipe.collection}_{f}" for f in fields)})


def reco_collection(recipe: RefinerRecipe, arrays: Mapping[str, ak.Array]) -> Collection:
    """Objects that are refined, with the fields that matching and refining need."""
    fields = sorted({*recipe.branches, recipe.match, "eta", "phi"})
    found = Collection.of_branches(arrays, recipe.collection, fields)
    columns = {
        field: values.astype(np.float64) if values.dtype.kind == "f" else values
        for field, values in found.columns.items()
    }
    return Collection(found.offsets, columns)


def select_pairs(
    recipe: RefinerRecipe,
    view: GenView,
    fast: Mapping[str, ak.Array],
    full: Mapping[str, ak.Array],
) -> SelectedPairs:
    """Pair the objects of the same events of two simulations.

    Parameters
    ----------
    recipe
        What is paired, with the cuts.
    view
        Its gen view.
    fast, full
        The branches `pair_branches` of the same E events in the same order.
    """
    gen = build_gen_view(view, fast)[recipe.gen]
    gen_of_full = build_gen_view(view, full)[recipe.gen]
    other = _same_gen_objects(gen, gen_of_full)
    keep, counts = other >= 0, {"events": len(fast["event"]), "gen objects": len(gen)}
    counts["in both files"] = int(np.count_nonzero(keep))
    cuts = recipe.pairs
    keep &= (np.abs(gen["eta"]) <= cuts.max_gen_eta) & (gen["pt"] >= cuts.min_gen_pt)
    counts["inside the acceptance"] = int(np.count_nonzero(keep))
    keep &= closest(gen.directions, gen.directions, 1, cuts.isolation, same=True)[0] < 0
    counts["isolated"] = int(np.count_nonzero(keep))
    sides = {
        "fast": _found(recipe, gen, fast),
        "full": _found(recipe, _as_in(gen, gen_of_full, other), full),
    }
    for name, (_, rows) in sides.items():
        keep &= rows >= 0
        counts[f"reconstructed, {name}"] = int(np.count_nonzero(keep))
    for name, (reco, _) in sides.items():
        # More than one reconstructed object around the gen object: which is it?
        keep &= closest(gen.directions, reco.directions, 2, cuts.isolation)[0] < 0
        counts[f"alone, {name}"] = int(np.count_nonzero(keep))
    event = gen.event_rows[keep]
    columns: dict[str, NDArray[Any]] = {
        name: np.asarray(fast[name]).astype(np.int64)[event] for name in EVENT_IDS
    }
    columns |= {f"gen.{field}": gen[field][keep].astype(np.float32) for field in recipe.gen_fields}
    for name, (reco, rows) in sides.items():
        columns |= {f"{name}.{b}": reco[b][rows[keep]].astype(np.float32) for b in recipe.branches}
    return SelectedPairs(columns, counts)


def _same_gen_objects(gen: Collection, other: Collection) -> NDArray[np.int64]:
    """Row of the same gen object in the other file, or -1, shape (N,)."""
    rows, _ = closest(gen.directions, other.directions, 1, _SAME_DIRECTION)
    found = np.maximum(rows, 0)
    if len(other) == 0:
        return rows
    alike = np.abs(other["pt"][found] - gen["pt"]) <= _SAME_PT * gen["pt"]
    return np.where(alike, rows, -1)


def _as_in(gen: Collection, other: Collection, rows: NDArray[np.int64]) -> Collection:
    """Gen objects with the positions that they have in the other file; -1 where they are not in it."""
    index = np.full(len(gen), -1, dtype=np.int64)
    index[rows >= 0] = other["index"][rows[rows >= 0]]
    return Collection(gen.offsets, gen.columns | {"index": index})


def _found(
    recipe: RefinerRecipe, gen: Collection, arrays: Mapping[str, ak.Array]
) -> tuple[Collection, NDArray[np.int64]]:
    """Reconstructed objects of one file, and the row of each gen object's own, near it, or -1."""
    reco = reco_collection(recipe, arrays)
    known = gen["index"] >= 0
    rows = np.full(len(gen), -1, dtype=np.int64)
    rows[known] = match(gen.select(known), reco, recipe.match)
    matched = rows >= 0
    distance = np.hypot(
        reco["eta"][rows[matched]] - gen["eta"][matched],
        wrap_angle(reco["phi"][rows[matched]] - gen["phi"][matched]),
    )
    rows[np.flatnonzero(matched)[distance > recipe.pairs.distance]] = -1
    return reco, rows
