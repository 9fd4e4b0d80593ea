"""Refining the objects of a chunk of events, and all in the events that hangs on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import torch

from flashsim.declarations.refinement import load_gen_view
from flashsim.events.gen_view import build_gen_view
from flashsim.events.identity import event_keys
from flashsim.events.matching import match
from flashsim.events.noise import Stream
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.refinement.matching import reco_collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.nanoaod.branch import Branch
    from flashsim.refinement.model import RefinerModel

__all__ = ["ChunkRefinement", "RefinedChunk", "c_probability"]

_TILE = 4096


@dataclass(frozen=True)
class RefinedChunk:
    """A chunk of events with refined objects.

    Parameters
    ----------
    arrays
        All branches of the input, changed where refinement changes them.
    originals
        What the changed branches were, in the new order of the objects.
    events, objects, refined, reordered
        Numbers of events, objects, refined objects, and events in which objects changed places.
    """

    arrays: dict[str, ak.Array]
    originals: dict[str, ak.Array]
    events: int
    objects: int
    refined: int
    reordered: int


class ChunkRefinement:
    """Refines chunks of one file.

    Parameters
    ----------
    model
        The refiner.
    branches
        Branches of the file.
    bits
        Mantissa bits of branches that are rewritten; others keep all.
    seed
        Of the numbers that spread atoms.

    Attributes
    ----------
    changed : list of str
        Branches whose values change.
    references : list of str
        Branches of the file with indices of the collection.
    """

    def __init__(
        self, model: RefinerModel, branches: Mapping[str, Branch], bits: Mapping[str, int], *, seed: int
    ) -> None:
        self.model, self.recipe, self.bits = model, model.recipe, bits
        self.view = load_gen_view(model.recipe)
        name, application = self.recipe.collection, self.recipe.application
        self.own = [b.name for b in branches.values() if b.collection == name]
        self.references = [r for r in application.references if r in branches]
        self.met = [m for m in application.met if f"{m}_pt" in branches and f"{m}_phi" in branches]
        follows = [*application.scaled, *([self.recipe.deepjet.c] if self.recipe.deepjet else [])]
        self.changed = [f"{name}_{b}" for b in self.recipe.branches]
        self.changed += [f"{name}_{field}" for field in follows if f"{name}_{field}" in branches]
        if "pt" in self.recipe.branches:
            self.changed += [f"{met}_{field}" for met in self.met for field in ("pt", "phi")]
        self.noise = Stream(seed, name, "refinement")

    def refine(self, arrays: Mapping[str, ak.Array]) -> RefinedChunk:
        """Refine the objects of E events, from all branches of the file."""
        recipe = self.recipe
        reco = reco_collection(recipe, arrays)
        gen = build_gen_view(self.view, arrays)[recipe.gen]
        gen_rows = match(gen, reco, recipe.match)
        objects, gen_rows = gen_rows[gen_rows >= 0], np.flatnonzero(gen_rows >= 0)
        before = np.stack([reco[b][objects] for b in recipe.branches], 1).astype(np.float32)
        gen_values = np.stack([gen[f][gen_rows] for f in recipe.gen_fields], 1).astype(np.float32)
        after = self._refined(before, gen_values, self._uniform(arrays, reco, objects))
        columns = self._columns(arrays, reco, objects, after)
        order = self._order(reco, columns)
        moved = np.flatnonzero(order != np.arange(len(reco)))
        result, originals = dict(arrays), {}
        for name in self.own:
            if name in columns:
                originals[name] = _jagged(_flat(arrays[name])[order], reco)
            result[name] = _jagged(columns.get(name, _flat(arrays[name]))[order], reco)
        for name in self.references:
            result[name] = _followed(arrays[name], reco, order)
        for name, values in self._missing_momenta(arrays, reco, columns).items():
            result[name], originals[name] = ak.from_numpy(values), arrays[name]
        reordered = len(np.unique(reco.event_rows[moved]))
        return RefinedChunk(result, originals, reco.events, len(reco), len(objects), reordered)

    def _uniform(
        self, arrays: Mapping[str, ak.Array], reco: Collection, objects: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        events = event_keys(arrays)
        numbers = self.noise.uniform(
            events[reco.event_rows[objects]], reco.local_index[objects], len(self.recipe.branches)
        )
        return numbers.astype(np.float32).clip(0.0, 1.0 - 1e-6)

    @torch.inference_mode()
    def _refined(
        self, values: NDArray[np.float32], gen: NDArray[np.float32], uniform: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        refined = np.empty_like(values)
        for start in range(0, len(values), _TILE):
            rows = slice(start, start + _TILE)
            parts = [torch.from_numpy(_padded(columns[rows])) for columns in (values, gen, uniform)]
            refined[rows] = self.model.network(*parts).numpy()[: len(values) - start]
        return refined

    def _columns(
        self,
        arrays: Mapping[str, ak.Array],
        reco: Collection,
        objects: NDArray[np.int64],
        after: NDArray[np.float32],
    ) -> dict[str, NDArray[Any]]:
        """Give the changed branches in the old order, in the precision that they are stored in."""
        prefix = self.recipe.collection
        columns: dict[str, NDArray[Any]] = {}

        def put(name: str, values: NDArray[np.floating]) -> None:
            column = _flat(arrays[name]).astype(np.float32)
            column[objects] = self._rounded(name, column[objects], values)
            columns[name] = column

        for k, branch in enumerate(self.recipe.branches):
            put(f"{prefix}_{branch}", after[:, k])
        if "pt" in self.recipe.branches:
            ratio = columns[f"{prefix}_pt"][objects] / np.maximum(reco["pt"][objects], 1e-6)
            for field in self.recipe.application.scaled:
                if (name := f"{prefix}_{field}") in arrays:
                    put(name, _flat(arrays[name])[objects] * ratio)
        names = self.recipe.deepjet
        if names is not None and (name := f"{prefix}_{names.c}") in arrays:
            b, c_against_b = (columns[f"{prefix}_{n}"][objects] for n in (names.b, names.c_against_b))
            put(name, np.where(b < 0.0, b, c_probability(b, c_against_b)))
        return columns

    def _rounded(
        self, name: str, before: NDArray[np.float32], values: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Give new values the precision that NanoAOD stores; those that did not change stay as they are."""
        exact = values.astype(np.float32)
        stored = round_mantissa(exact, self.bits[name]) if name in self.bits else exact
        return np.where(exact == before, before, stored)

    def _order(self, reco: Collection, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
        """Old row of each place in the new order: by falling pT, equal ones as they were."""
        name = f"{self.recipe.collection}_pt"
        if name not in columns:
            return np.arange(len(reco))
        return np.lexsort((-columns[name].astype(np.float64), reco.event_rows))

    def _missing_momenta(
        self, arrays: Mapping[str, ak.Array], reco: Collection, columns: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[np.float32]]:
        """Missing momenta after the change of pT of objects above the threshold, before or after."""
        name = f"{self.recipe.collection}_pt"
        if name not in columns or not self.met:
            return {}
        before, after = reco["pt"], columns[name].astype(np.float64)
        counted = np.maximum(before, after) >= self.recipe.application.met_min_pt
        change = np.where(counted, after - before, 0.0)
        sums = [
            np.bincount(reco.event_rows, weights=change * f(reco["phi"]), minlength=reco.events)
            for f in (np.cos, np.sin)
        ]
        found: dict[str, NDArray[np.float32]] = {}
        for met in self.met:
            old_pt, old_phi = (np.asarray(arrays[f"{met}_{f}"]).astype(np.float32) for f in ("pt", "phi"))
            x = old_pt * np.cos(old_phi, dtype=np.float64) - sums[0]
            y = old_pt * np.sin(old_phi, dtype=np.float64) - sums[1]
            touched = (sums[0] != 0.0) | (sums[1] != 0.0)
            for field, old, new in (("pt", old_pt, np.hypot(x, y)), ("phi", old_phi, np.arctan2(y, x))):
                name = f"{met}_{field}"
                found[name] = self._rounded(name, old, np.where(touched, new, old))
        return found


def c_probability(b: NDArray[np.floating], c_against_b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability of c that the discriminators B and c against b imply, in [0, 1], shape (N,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        c = b.astype(np.float64) * c_against_b / (1.0 - c_against_b.astype(np.float64))
    return np.nan_to_num(c, nan=0.0, posinf=1.0).clip(0.0, 1.0)


def _padded(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill up to a whole tile: a row's result then does not depend on how many come with it."""
    padded = np.zeros((_TILE, rows.shape[1]), dtype=np.float32)
    padded[: len(rows)] = rows
    return padded


def _flat(array: ak.Array) -> NDArray[Any]:
    return np.asarray(ak.flatten(array, axis=1))


def _jagged(values: NDArray[Any], like: Collection) -> ak.Array:
    return ak.unflatten(values, like.counts)


def _followed(array: ak.Array, objects: Collection, order: NDArray[np.int64]) -> ak.Array:
    """Let indices follow objects that have changed places; what is no index of one stays as it is."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    counts = np.asarray(ak.num(array, axis=1))
    old = _flat(array)
    event = np.repeat(np.arange(objects.events), counts)
    known = (old >= 0) & (old < objects.counts[event])
    first = objects.offsets[event]
    new = old.copy()
    new[known] = place[first[known] + old[known]] - first[known]
    return ak.unflatten(new, counts)
