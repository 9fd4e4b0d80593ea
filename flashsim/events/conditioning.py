"""Conditioning columns of gen objects or of events, as the declaration lists them.

`conditioning_columns` is the only place where they are computed, for training and for generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from flashsim.declarations.conditioning import (
    Activity,
    Angle,
    Bits,
    Categories,
    Closest,
    Conditioning,
    Earlier,
    EventValue,
    GenField,
    Momentum,
    Number,
    Spread,
    TurnOn,
)
from flashsim.declarations.gen_collections import StatusFlag
from flashsim.events.angles import wrap_angle
from flashsim.events.expressions import evaluate
from flashsim.events.neighbour_columns import EarlierNeighbours, Neighbours
from flashsim.events.neighbours import closest, ring_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.events.collection import Collection
    from flashsim.events.gen_chunk import GenChunk

__all__ = ["Columns", "conditioning_columns"]

Columns = dict[str, NDArray[np.float64]]

_LEAST_REST = 1e-3
"""Share that is left of a jet without its lepton, below which only the rounding of NanoAOD is left."""


def conditioning_columns(
    conditioning: Sequence[Conditioning], chunk: GenChunk, gen: str | None = None
) -> Columns:
    """Compute the conditioning columns.

    Parameters
    ----------
    conditioning
        The declared variables.
    chunk
        The events.
    gen
        Name of the gen collection whose objects are conditioned; none for one row an event.

    Returns
    -------
    Columns by name in the declared order, shape (N,) for the N gen objects, or (E,) for the events.
    """
    columns: Columns = {}
    for entry in conditioning:
        columns.update(_columns_of(entry, chunk, gen))
    return {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}


def _columns_of(entry: Conditioning, chunk: GenChunk, gen: str | None) -> Mapping[str, NDArray[Any]]:
    match entry:
        case EventValue():
            return {entry.name: _of_event(chunk.event_values[entry.key], chunk, gen)}
        case Activity(outer=None):
            others = _others(entry, chunk)
            total = np.bincount(others.event_rows, weights=_summed(entry, others), minlength=chunk.events)
            return {entry.name: _of_event(total, chunk, gen)}
        case Number():
            others = _others(entry, chunk)
            number = np.bincount(others.event_rows[others["pt"] >= entry.min_pt], minlength=chunk.events)
            return {entry.name: _of_event(number, chunk, gen)}
        case _:
            return _columns_of_objects(entry, chunk, gen or "")


def _of_event(values: NDArray[Any], chunk: GenChunk, gen: str | None) -> NDArray[Any]:
    """One value an event, or the event's value for each of its objects."""
    return values if gen is None else values[chunk.collections[gen].event_rows]


def _columns_of_objects(entry: Conditioning, chunk: GenChunk, gen: str) -> Mapping[str, NDArray[Any]]:
    objects = chunk.collections[gen]
    columns: dict[str, NDArray[Any]] = {}
    match entry:
        case GenField():
            columns[entry.name] = objects[entry.field]
        case TurnOn():
            above = np.abs(objects[entry.field].astype(np.float64)) - entry.threshold
            # Beyond the range of floats a step is 0 or 1 as just before.
            with np.errstate(over="ignore"):
                columns[entry.name] = expit(above / entry.width)
        case Angle():
            angle = objects[entry.field].astype(np.float64)
            columns = {f"{entry.name}_cos": np.cos(angle), f"{entry.name}_sin": np.sin(angle)}
        case Categories():
            label = np.abs(objects[entry.field].astype(np.int64))
            for category, labels in entry.categories.items():
                columns[f"{entry.name}_{category}"] = np.isin(label, labels)
        case Bits():
            flags = objects[entry.field].astype(np.int64)
            columns = {flag: ((flags & StatusFlag[flag]) != 0).astype(np.int64) for flag in entry.flags}
        case Closest():
            columns = _closest(entry, objects, chunk, same=entry.of == gen and not entry.where)
        case Activity():
            columns[entry.name] = _ring_activity(entry, objects, _others(entry, chunk))
        case Momentum():
            columns = _momentum(entry, objects, _others(entry, chunk))
        case Spread():
            columns = _spread(entry, objects, _others(entry, chunk))
        case Earlier():
            columns = EarlierNeighbours.of(entry, objects).columns(chunk.counterparts)
    return columns


def _others(entry: Closest | Activity | Number | Momentum | Spread, chunk: GenChunk) -> Collection:
    """Objects that an entry looks at."""
    others = chunk.collections[entry.of]
    if not entry.where:
        return others
    # A reference to a collection that is not simulated is not there.
    there = {field: value for field, value in entry.where.items() if field in others.columns}
    chosen = [others[field] == value for field, value in there.items()]
    return others.select(np.logical_and.reduce(chosen)) if chosen else others


def _closest(entry: Closest, objects: Collection, chunk: GenChunk, *, same: bool) -> Columns:
    others = _others(entry, chunk)
    row, distance = closest(objects.directions, others.directions, entry.rank, entry.cone, same=same)
    near = Neighbours(objects.columns, others.columns, row, distance)
    columns = near.columns(entry.shares)
    columns |= {value: near.values(others[value]) for value in entry.values}
    if entry.rest:
        taken = None if entry.without is None else chunk.collections[entry.without]
        nothing = np.zeros(len(objects))
        left, away = _rest(objects, others, row, taken, entry.cone) if len(others) else (nothing, nothing)
        columns["rest_share"] = np.where(near.found, np.maximum(left, _LEAST_REST), _LEAST_REST)
        columns["rest_dr"] = np.where(near.found, np.minimum(away, 2 * entry.cone), 2 * entry.cone)
    return {f"{entry.name}_{name}": column for name, column in columns.items()}


def _rest(
    objects: Collection, others: Collection, row: NDArray[np.int64], taken: Collection | None, cone: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take objects out of what holds them: pT of the rest over the object's, and its distance from it."""
    if taken is None:
        inside = objects.momenta
    else:
        places = others.directions, taken.directions
        inside = np.stack([ring_sum(*places, part, 0.0, cone) for part in taken.momenta])[:, row]
    px, py, pz = others.momenta[:, row] - inside
    left, eta = np.hypot(px, py), objects["eta"].astype(np.float64)
    deta = np.arcsinh(pz / np.maximum(left, 1e-9)) - eta
    away = np.hypot(deta, wrap_angle(np.arctan2(py, px) - objects["phi"]))
    return left / np.maximum(objects["pt"].astype(np.float64), 1e-3), away


def _ring_activity(entry: Activity, objects: Collection, others: Collection) -> NDArray[np.float64]:
    outer = entry.outer or 0.0
    if entry.owned:
        owner, _ = closest(others.directions, objects.directions, 1, outer)
        found = owner >= 0
        values = _summed(entry, others)[found]
        return np.bincount(owner[found], weights=values, minlength=len(objects)).astype(np.float64)
    return ring_sum(objects.directions, others.directions, _summed(entry, others), entry.inner, outer)


def _summed(entry: Activity, others: Collection) -> NDArray[np.float64]:
    if entry.value is not None:
        return evaluate(entry.value, others.columns, len(others))
    pt = others["pt"].astype(np.float64)
    return pt if entry.quantity == "pt" else pt * np.cosh(others["eta"].astype(np.float64))


def _momentum(entry: Momentum, event: Collection, others: Collection) -> Columns:
    """Sum of momenta in the frame of what is expected of a recoil; `event` has one object an event."""
    if entry.value is not None:
        size = evaluate(entry.value, others.columns, len(others))
    else:
        size = np.prod([others[field].astype(np.float64) for field in entry.size], axis=0)
    phi = others["phi"].astype(np.float64)
    x, y = (others.total(size * wave(phi))[event.event_rows] for wave in (np.cos, np.sin))
    axis = event[f"{entry.recoil}_axis"]
    return {
        f"{entry.name}_along": x * np.cos(axis) + y * np.sin(axis),
        f"{entry.name}_across": y * np.cos(axis) - x * np.sin(axis),
    }


def _spread(entry: Spread, objects: Collection, others: Collection) -> Columns:
    """Sum pT times products of direction cosines."""
    pt, phi = (others[field].astype(np.float64) for field in ("pt", "phi"))
    x, y = np.cos(phi), np.sin(phi)
    terms = {"xx": pt * x * x, "yy": pt * y * y, "xy": pt * x * y}
    return {f"{entry.name}_{name}": others.total(t)[objects.event_rows] for name, t in terms.items()}
