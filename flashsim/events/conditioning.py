"""Conditioning columns of the gen objects, as the declaration lists them.

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
    EventValue,
    GenField,
    Number,
    TurnOn,
)
from flashsim.declarations.gen_collections import StatusFlag
from flashsim.events.angles import wrap_angle
from flashsim.events.neighbours import closest, ring_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.events.collection import Collection
    from flashsim.events.gen_chunk import GenChunk

__all__ = ["conditioning_columns"]

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
            return {entry.name: _of_event(chunk.event_values[entry.branch], chunk, gen)}
        case Activity(outer=None):
            others = chunk.collections[entry.of]
            total = np.bincount(others.event_rows, weights=others["pt"], minlength=chunk.events)
            return {entry.name: _of_event(total, chunk, gen)}
        case Number():
            others = chunk.collections[entry.of]
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
            columns = _closest(entry, objects, chunk, same=entry.of == gen)
        case Activity():
            columns[entry.name] = _ring_activity(entry, objects, chunk.collections[entry.of])
    return columns


def _closest(entry: Closest, objects: Collection, chunk: GenChunk, *, same: bool) -> Columns:
    others = chunk.collections[entry.of]
    row, distance = closest(objects.directions, others.directions, entry.rank, entry.cone, same=same)
    found = row >= 0
    safe = np.where(found, row, 0)

    def of_neighbour(field: str) -> NDArray[np.float64]:
        column = others[field].astype(np.float64)
        return column[safe] if len(column) else np.zeros(len(objects))

    deta = np.where(found, objects["eta"] - of_neighbour("eta"), 0.0)
    dphi = np.where(found, wrap_angle(objects["phi"] - of_neighbour("phi")), 0.0)
    columns = {
        f"{entry.name}_found": found.astype(np.float64),
        f"{entry.name}_dr": distance,
        f"{entry.name}_deta": deta,
        f"{entry.name}_dphi": dphi,
    }
    pt = np.maximum(objects["pt"].astype(np.float64), 1e-3)
    for share in entry.shares:
        columns[f"{entry.name}_{share}_share"] = np.where(found, of_neighbour(share) / pt, 0.0)
    if entry.rest:
        taken = None if entry.without is None else chunk.collections[entry.without]
        left, away = _rest(objects, others, safe, taken, entry.cone) if len(others) else (pt, pt)
        columns[f"{entry.name}_rest_share"] = np.where(found, np.maximum(left, _LEAST_REST), _LEAST_REST)
        columns[f"{entry.name}_rest_dr"] = np.where(found, np.minimum(away, 2 * entry.cone), 2 * entry.cone)
    return columns


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
    return ring_sum(objects.directions, others.directions, others["pt"], entry.inner, outer)
