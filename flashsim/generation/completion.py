"""Branches of the event beside the simulated ones: constants, what follows from others, the whole vertex.

Readers take collections whole: coffea's ``events.PV`` raises where ``PV_npvs`` stands without a position.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.events.collection import Collection
from flashsim.events.noise import Stream
from flashsim.events.pileup import gen_vertex as drawn_vertex

if TYPE_CHECKING:
    from collections.abc import Collection as Names
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.output import OutputRecipe, PowerLaw, RawMomentum, VertexRecipe
    from flashsim.nanoaod.branch import Branch, Branches

    Columns = dict[str, NDArray[np.float64]]

__all__ = ["COMPLETION", "Completion", "complete", "plan_completion", "raw_momentum"]

COMPLETION = "Completion"
"""What plans and simulated events call these branches."""

_AXES = ("x", "y", "z")
_VERTEX = (*_AXES, "ndof", "chi2", "score")


@dataclass(frozen=True)
class Completion:
    """What is written of an event beside its simulated branches.

    Parameters
    ----------
    branches
        By name.
    notes
        What is approximated, by branch.
    constants
        Values of branches that are the same for all events.
    gen_vertex
        Whether the input has the true position of the vertex.
    needed
        Branches of the input that are read for it.
    """

    branches: dict[str, Branch]
    notes: dict[str, str]
    constants: dict[str, float]
    gen_vertex: bool
    needed: tuple[str, ...]

    def without(self, names: Names[str]) -> Completion:
        """Leave out constants that the user keeps as the input has them."""
        branches = {name: branch for name, branch in self.branches.items() if name not in names}
        constants = {name: value for name, value in self.constants.items() if name in branches}
        return replace(self, branches=branches, constants=constants)


def plan_completion(
    file: Branches,
    recipe: OutputRecipe,
    known: Sequence[Mapping[str, Branch]],
    written: Mapping[str, Names[str]],
    taken: Names[str],
) -> Completion:
    """Plan what a file gets beside the simulated branches.

    Parameters
    ----------
    file
        The input.
    recipe
        Declares all of it.
    known
        Branches that the output may have, by name: those of the input, if it is of the output's version, and
        those of the version.
    written
        Simulated branches of the output: names of those with one value an event under ``""``, fields of each
        collection under its name.
    taken
        Names that are not free, as models simulate them or the user keeps those of the input.
    """
    free: dict[str, Branch] = {}
    for branches in reversed(known):
        free |= {n: b for n, b in branches.items() if b.collection is None and n not in taken}
    single = written.get("", ())
    constants = {
        name: constant.value
        for constant in recipe.constants
        for name in free
        if fnmatchcase(name, constant.branches)
    }
    notes = dict.fromkeys(constants, "")
    notes |= {p.branch: p.note for p in recipe.proportional if p.of in single}
    for raw in recipe.raw_momenta:
        if _has_raw(raw, written):
            notes |= {f"{raw.name}_{field}": raw.note for field in ("pt", "phi", "sumEt")}
    vertex = recipe.vertex if recipe.vertex is not None and recipe.vertex.beside in single else None
    gen_vertex, needed, rest = False, [], []
    if vertex is not None:
        prefix = vertex.beside.partition("_")[0]
        rest = [name for name in (f"{prefix}_{field}" for field in _VERTEX) if name in free]
    if vertex is not None and rest:
        notes |= dict.fromkeys(rest, vertex.note)
        positions = [f"{vertex.gen}_{axis}" for axis in _AXES]
        gen_vertex = all(file.has(name) for name in positions)
        needed = [f"{vertex.jets}_pt", f"{vertex.jets}_eta", *(positions if gen_vertex else ())]
    branches = {name: free[name] for name in notes if name in free}
    return Completion(
        branches,
        {name: notes[name] for name in branches if notes[name]},
        {name: value for name, value in constants.items() if name in branches},
        gen_vertex,
        tuple(needed),
    )


def _has_raw(raw: RawMomentum, written: Mapping[str, Names[str]]) -> bool:
    momentum = {f"{raw.of}_{field}" for field in ("pt", "phi", "sumEt")}
    jet = {"pt", "phi", "rawFactor", "area"}
    single = set(written.get("", ()))
    return momentum <= single and jet <= set(written.get(raw.jets, ())) and bool(single & {*raw.density})


def complete(
    completion: Completion,
    recipe: OutputRecipe,
    arrays: Mapping[str, Any],
    single: Columns,
    simulated: Mapping[str, Collection],
    *,
    events: NDArray[np.uint64],
    trained: Mapping[str, str],
    seed: int,
    folds: int,
) -> Collection:
    """Make these branches for a chunk of E gen events, each F times.

    Parameters
    ----------
    completion
        What is planned.
    recipe
        Declares how.
    arrays
        At least the branches `Completion.needed` of the gen events.
    single
        Simulated branches with one value an event by the name they are written under, shape (E F,).
    simulated
        Simulated collections of the E F events, folds of an event side by side.
    events
        `flashsim.events.identity.event_keys` of each gen event, shape (E,).
    trained
        NanoAOD versions of the trainings, by simulated collection.
    seed
        Of the vertices.
    folds
        F.

    Returns
    -------
    One row for each of the E F events.
    """
    rows = len(events) * folds
    columns: Columns = {name: np.full(rows, value) for name, value in completion.constants.items()}
    for scaled in recipe.proportional:
        if scaled.branch in completion.branches:
            columns[scaled.branch] = scaled.factor * single[scaled.of]
    for raw in recipe.raw_momenta:
        if f"{raw.name}_pt" in completion.branches:
            columns |= raw_momentum(raw, single, simulated[raw.jets], trained[raw.jets])
    if recipe.vertex is not None and completion.needed:
        columns |= _vertex(recipe.vertex, completion.gen_vertex, arrays, events, seed=seed, folds=folds)
    kept = {name: columns[name] for name in completion.branches}
    return Collection.of_counts(np.ones(rows, dtype=np.int64), kept)


def raw_momentum(raw: RawMomentum, single: Columns, jets: Collection, trained: str) -> Columns:
    """Take the corrections of jets off a missing momentum.

    Parameters
    ----------
    raw
        Declares how.
    single
        The corrected momentum and an energy density in GeV by branch, shape (E,).
    jets
        Of E events: pt, phi, rawFactor, area.
    trained
        NanoAOD version of the jets' training, or of the file that they are of.

    Returns
    -------
    Its ``pt``, ``phi`` and ``sumEt`` by branch, shape (E,).
    """
    density = next(single[name] for name in raw.density if name in single)
    pt, area = jets["pt"].astype(np.float64), jets["area"].astype(np.float64)
    offset = raw.offset_in(trained) * density[jets.event_rows] * area
    first = np.maximum(pt * (1.0 - jets["rawFactor"]) - offset, 0.0)
    correction = np.where(pt > raw.min_pt, pt - first, 0.0)
    phi = jets["phi"].astype(np.float64)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.zeros(len(density))
        np.add.at(sums, jets.event_rows, values)
        return sums

    size, angle = single[f"{raw.of}_pt"], single[f"{raw.of}_phi"]
    x = size * np.cos(angle) + summed(correction * np.cos(phi))
    y = size * np.sin(angle) + summed(correction * np.sin(phi))
    return {
        f"{raw.name}_pt": np.hypot(x, y),
        f"{raw.name}_phi": np.arctan2(y, x),
        f"{raw.name}_sumEt": np.maximum(single[f"{raw.of}_sumEt"] - summed(correction), 0.0),
    }


def _vertex(
    vertex: VertexRecipe,
    gen_vertex: bool,
    arrays: Mapping[str, Any],
    events: NDArray[np.uint64],
    *,
    seed: int,
    folds: int,
) -> Columns:
    """Draw position and quality of the primary vertex, see `VertexRecipe`."""
    prefix, first = vertex.beside.partition("_")[0], np.zeros(len(events), dtype=np.int64)
    pt = ak.values_astype(arrays[f"{vertex.jets}_pt"], np.float64)
    central = pt[abs(arrays[f"{vertex.jets}_eta"]) < vertex.max_abs_eta]
    activity, squares = (np.asarray(ak.sum(x, axis=1), dtype=np.float64) for x in (central, central**2))
    # One true position for all folds of an event; where the input has none, the one that pileup is drawn to.
    names = [f"{vertex.gen}_{axis}" for axis in _AXES]
    places = {name: np.asarray(arrays[name]) for name in names} if gen_vertex else drawn_vertex(seed, events)
    drawn: list[Columns] = []
    for fold in range(folds):
        noise = Stream(seed, prefix, "vertex", fold).normal(events, first, 6)
        ndof = _power_law(vertex.ndof, activity, noise[:, 3])
        one = {"ndof": ndof, "score": _power_law(vertex.score, squares, noise[:, 4])}
        one["chi2"] = vertex.chi2[0] * np.exp(vertex.chi2[1] * noise[:, 5])
        for k, axis in enumerate(_AXES):
            resolution = np.hypot(vertex.constant[k], vertex.per_root[k] / np.sqrt(ndof))
            one[axis] = places[names[k]] + resolution * noise[:, k]
        drawn.append(one)
    return {f"{prefix}_{name}": np.stack([one[name] for one in drawn], axis=1).ravel() for name in drawn[0]}


def _power_law(law: PowerLaw, x: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    return law.factor * (x + law.offset) ** law.power * np.exp(law.spread * noise)
