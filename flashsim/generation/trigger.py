"""Decisions of the trigger, and the objects that fired it: emulated from simulated objects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.trigger import OnlineMomentum
from flashsim.events.collection import Collection
from flashsim.generation.draws import Draws
from flashsim.generation.online import online_value, passing, seen
from flashsim.nanoaod.branch import Branch

if TYPE_CHECKING:
    from collections.abc import Collection as Names
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.trigger import Bits, OnlineObject, TriggerPath, TriggerRecipe
    from flashsim.generation.online import Online

    Columns = Mapping[str, NDArray[np.float64]]
    Truths = NDArray[np.bool_]

__all__ = ["TRIGGER", "TriggerPlan", "emulate", "plan_trigger"]

TRIGGER = "Trigger"
"""What plans and simulated events call the decisions."""

_MOST_NAMED = 3
_FIELDS = ("pt", "eta", "phi", "l1pt", "l1pt_2", "l2pt", "id", "l1iso", "l1charge", "filterBits")


@dataclass(frozen=True)
class TriggerPlan:
    """What is emulated of the trigger.

    Parameters
    ----------
    paths
        Those that are emulated.
    branches
        Their decisions, by name.
    objects
        Fields of trigger objects; none where none are written.
    bits
        What the bits of these say.
    absent
        Paths that the NanoAOD version has and that are not emulated, with what is not simulated for each.
    """

    paths: tuple[TriggerPath, ...] = ()
    branches: dict[str, Branch] = field(default_factory=dict)
    objects: dict[str, Branch] = field(default_factory=dict)
    bits: Bits | None = None
    absent: dict[str, str] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """Say what is emulated, and what is not though the NanoAOD version has it."""
        found = []
        if self.branches:
            collections = dict.fromkeys(str(branch.collection) for branch in self.objects.values())
            names = ", ".join((f"{len(self.branches)} paths of the trigger", *collections))
            found.append(f"emulated from simulated objects, no simulation of the trigger: {names}")
        for lacking in dict.fromkeys(self.absent.values()):
            paths = [name for name, branch in self.absent.items() if branch == lacking]
            more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
            named = ", ".join(paths[:_MOST_NAMED]) + more
            found.append(f"not emulated, as {lacking} is not simulated: {named}")
        return found


def plan_trigger(
    recipe: TriggerRecipe | None,
    version: str,
    written: Mapping[str, Names[str]],
    schemas: Sequence[Mapping[str, Branch]],
    taken: Sequence[Branch],
) -> TriggerPlan:
    """Plan what is emulated in a file.

    Parameters
    ----------
    recipe
        Declares it; none for nothing.
    version
        NanoAOD version of the output.
    written
        Simulated branches of the output: names of those with one value an event under ``""``, fields of each
        collection under its name.
    schemas
        Branches by name of the version, and of others for what is not known of it.
    taken
        Branches that the output has of the input: what the user keeps is not emulated.
    """
    if recipe is None:
        return TriggerPlan()
    names = {branch.name for branch in taken}
    wanted = [path for path in recipe.paths if path.exists_in(version) and path.name not in names]
    lacking = {path.name: next(_lacking(recipe, path, written), "") for path in wanted}
    paths = tuple(path for path in wanted if not lacking[path.name])
    branches = {
        path.name: Branch(path.name, np.dtype("bool"), None, f"{recipe.title} (FlashSim: emulated)")
        for path in paths
    }
    absent = {name: branch for name, branch in lacking.items() if branch}
    bits = recipe.bits_of(version)
    kept = any(branch.collection == recipe.collection for branch in taken)
    if bits is None or kept or not any(leg.bits for path in paths for leg in path.legs):
        return TriggerPlan(paths, branches, absent=absent)
    known = next((s for s in schemas if f"{recipe.collection}_pt" in s), {})
    objects = {
        name: replace(known[full], title=f"{known[full].title} (FlashSim: emulated)".strip())
        for name in _FIELDS
        if (full := f"{recipe.collection}_{name}") in known
    }
    if "filterBits" in objects:
        title = f"{_title(bits)} (FlashSim: emulated)"
        objects["filterBits"] = replace(objects["filterBits"], dtype=np.dtype(bits.dtype), title=title)
    return TriggerPlan(paths, branches, objects, bits, absent)


def _title(bits: Bits) -> str:
    texts = (
        f"{', '.join(f'{1 << number} = {name}' for name, number in numbers.items())} for {kind}"
        for kind, numbers in bits.of.items()
    )
    return f"bits of what fired: {'; '.join(texts)}"


def _lacking(recipe: TriggerRecipe, path: TriggerPath, written: Mapping[str, Names[str]]) -> Iterator[str]:
    """Give branches that a path needs and that are not simulated."""
    for name in recipe.objects_of(path):
        collection = recipe.objects[name].collection
        has, fields = written.get(collection, ()), recipe.fields_of(name, path.filters)
        yield from (f"{collection}_{field}" for field in fields if field not in has)
    single = written.get("", ())
    for minimum in path.values:
        value = recipe.values[minimum.value]
        if isinstance(value, OnlineMomentum) and not any(
            {f"{prefix}_pt", f"{prefix}_phi"} <= {*single} for prefix in value.branches
        ):
            yield " or ".join(f"{prefix}_pt" for prefix in value.branches)


def emulate(
    plan: TriggerPlan,
    recipe: TriggerRecipe,
    simulated: Mapping[str, Collection],
    single: Columns,
    *,
    events: NDArray[np.uint64],
    seed: int,
    folds: int,
) -> tuple[Collection, Collection]:
    """Emulate the trigger in a chunk of E gen events, each simulated F times.

    Parameters
    ----------
    plan
        What is emulated.
    recipe
        Declares how.
    simulated
        Collections of the E F events, folds of an event side by side, ordered by falling pT.
    single
        Simulated branches with one value an event by the name they are written under, shape (E F,).
    events
        `flashsim.events.identity.event_keys` of each gen event, shape (E,).
    seed
        Of the random numbers.
    folds
        F.

    Returns
    -------
    decisions : Collection
        One row for each of the E F events.
    objects : Collection
        Objects that fired, by kind and falling pT.
    """
    draws_of = partial(_draws, seed=seed, events=events, folds=folds)
    needed = {name for path in plan.paths for name in recipe.objects_of(path)}
    online = {
        name: seen(name, kind, simulated[kind.collection], draws_of)
        for name, kind in recipe.objects.items()
        if name in needed
    }
    rows = len(events) * folds
    menu = _Menu(plan, recipe, online=online, single=single, draws=draws_of(recipe.collection), rows=rows)
    decisions = {path.name: menu.fired(path) for path in plan.paths}
    return (
        Collection.of_counts(np.ones(rows, dtype=np.int64), decisions),
        _objects(plan, recipe, menu, decisions, rows),
    )


def _draws(collection: str, *, seed: int, events: NDArray[np.uint64], folds: int) -> Draws:
    return Draws.of_folds(seed, collection, events, range(folds))


class _Menu:
    """Online objects and values of R events, and the paths that fire on them."""

    def __init__(
        self,
        plan: TriggerPlan,
        recipe: TriggerRecipe,
        *,
        online: Mapping[str, Online],
        single: Columns,
        draws: Draws,
        rows: int,
    ) -> None:
        self.recipe, self.online = recipe, online
        filters = dict.fromkeys(name for path in plan.paths for name in path.filters)
        values = dict.fromkeys(minimum.value for path in plan.paths for minimum in path.values)
        self.passing = {
            name: passing(recipe.filters[name], online[recipe.filters[name].of]) for name in filters
        }
        self._passed = {
            name: _Passed.of(online[recipe.filters[name].of], kept, rows)
            for name, kept in self.passing.items()
        }
        self._values = {
            name: online_value(name, recipe.values[name], online, single, draws) for name in values
        }
        # One number for all paths: what spoils one of them spoils the others.
        zeros = np.zeros(rows, dtype=np.int64)
        self._quality = draws.uniform("trigger quality", np.arange(rows), zeros)

    def fired(self, path: TriggerPath) -> Truths:
        """Say in which events a path fires, shape (R,)."""
        fired = self._quality < path.efficiency
        for name in path.filters:
            thresholds = path.thresholds(name)
            passed = self._passed[name]
            if path.min_mass:
                fired &= passed.with_mass(path.min_mass, thresholds)
                continue
            # Objects of their own: the harder one of two takes the higher threshold.
            for place, threshold in enumerate(thresholds):
                fired &= passed.above(place, threshold)
        for minimum in path.values:
            fired &= self._values[minimum.value] > minimum.above
        return fired


@dataclass(frozen=True)
class _Passed:
    """Online objects that pass a filter, by event and falling pT; places of the first ones of R events."""

    rows: NDArray[np.int64]
    pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, online: Online, kept: Truths, rows: int) -> _Passed:
        events, pt = online.rows[kept], online.pt[kept]
        order = np.lexsort((-pt, events))
        starts = np.searchsorted(events, np.arange(rows))
        return cls(events[order], pt[order], online.eta[kept][order], online.phi[kept][order], starts)

    def above(self, place: int, threshold: float) -> Truths:
        """Say which events have their object at a place, from 0, above a threshold, shape (R,)."""
        found: Truths = np.zeros(len(self.starts), dtype=bool)
        place_of = np.arange(len(self.rows)) - self.starts[self.rows]
        found[self.rows[(place_of == place) & (self.pt > threshold)]] = True
        return found

    def with_mass(self, least: float, thresholds: Sequence[float]) -> Truths:
        """Say which events have a pair above two falling thresholds and a mass, shape (R,)."""
        found: Truths = np.zeros(len(self.starts), dtype=bool)
        most = int(np.bincount(self.rows, minlength=1).max())
        for step in range(1, most):
            same = self.rows[step:] == self.rows[:-step]
            hard = (self.pt[:-step] > thresholds[0]) & (self.pt[step:] > thresholds[1])
            one = np.flatnonzero(same & hard)
            other = one + step
            # A pair so far apart that its mass is no finite number has enough of it.
            with np.errstate(over="ignore"):
                angles = np.cosh(self.eta[one] - self.eta[other]) - np.cos(self.phi[one] - self.phi[other])
                squared = 2 * self.pt[one] * self.pt[other] * angles
            found[self.rows[one][squared > least**2]] = True
        return found


def _objects(
    plan: TriggerPlan, recipe: TriggerRecipe, menu: _Menu, decisions: Mapping[str, Truths], rows: int
) -> Collection:
    """Make the trigger objects: the online objects that set a bit."""
    parts = []
    for name, online in menu.online.items():
        kind = recipe.objects[name]
        if plan.bits is None or kind.id is None or not plan.objects:
            continue
        bits = _bits(plan, menu, name, plan.bits.of.get(name, {}), decisions)
        chosen = np.flatnonzero(bits)
        chosen = chosen[np.lexsort((-online.pt[chosen], online.rows[chosen]))]
        columns = _columns(kind, online, chosen) | {"filterBits": bits[chosen]}
        parts.append(Collection.of_event_rows(online.rows[chosen], columns, rows))
    whole = Collection.merged(parts) if parts else Collection.of_counts(np.zeros(rows, dtype=np.int64), {})
    empty = np.zeros(len(whole))
    return Collection(whole.offsets, {name: whole.columns.get(name, empty) for name in plan.objects})


def _bits(
    plan: TriggerPlan, menu: _Menu, name: str, numbers: Mapping[str, int], decisions: Mapping[str, Truths]
) -> NDArray[np.int64]:
    """Give the bits of the online objects of a kind, shape (N,)."""
    online = menu.online[name]
    bits = np.zeros(len(online.pt), dtype=np.int64)
    for path in plan.paths:
        for leg in path.legs:
            mask = sum(1 << numbers[bit] for bit in leg.bits if bit in numbers)
            if menu.recipe.filters[leg.filter].of == name and mask:
                fired = decisions[path.name][online.rows] & menu.passing[leg.filter] & (online.pt > leg.pt)
                bits[fired] |= mask
    return bits


def _columns(kind: OnlineObject, online: Online, chosen: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Give the fields of trigger objects, bits apart."""
    pt, objects, noise = online.pt[chosen], online.simulated, online.noise[chosen]
    zeros = np.zeros(len(chosen))
    columns: dict[str, NDArray[Any]] = {"pt": pt, "eta": online.eta[chosen], "phi": online.phi[chosen]}
    columns |= {"id": np.full(len(chosen), kind.id), "l1pt_2": zeros, "l1pt": zeros, "l2pt": zeros}
    columns |= {"l1iso": zeros, "l1charge": zeros}
    true = objects["pt"][chosen].astype(np.float64)
    if (first := kind.level_1) is not None:
        measured = first.scale * true * np.exp(first.width * noise[:, 0])
        columns["l1pt"] = np.maximum(np.round(measured / first.step), 1.0) * first.step
        columns["l1iso"] = np.full(len(chosen), first.isolation)
        if first.charge is not None:
            columns["l1charge"] = objects[first.charge][chosen]
    if kind.level_2 is not None:
        columns["l2pt"] = true * np.exp(kind.level_2 * noise[:, 1])
    return columns
