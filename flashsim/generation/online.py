"""Objects and momenta of simulated events as the trigger sees them: with a resolution of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from flashsim.declarations.trigger import OnlineSum
from flashsim.events.expressions import evaluate
from flashsim.generation.draws import Draws

if TYPE_CHECKING:
    from flashsim.declarations.trigger import Filter, OnlineMomentum, OnlineObject
    from flashsim.events.collection import Collection

__all__ = ["DrawsOf", "Online", "in_profile", "online_value", "passing", "seen"]

DrawsOf: TypeAlias = Callable[[str], Draws]
"""Gives the random numbers of a collection."""

Numbers: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Online:
    """N objects of E events as the trigger sees them, in the order of the simulated ones.

    Parameters
    ----------
    simulated
        The simulated objects.
    rows
        Row of the event of each, shape (N,).
    pt, eta, phi
        Online momentum in GeV and direction, shape (N,).
    quality
        Uniform numbers, of which a filter lets the smallest pass, shape (N,): what passes one of two filters
        passes the other one, too, if that is the more efficient.
    noise
        Normal numbers for what earlier levels measure, shape (N, 2).
    """

    simulated: Collection
    rows: NDArray[np.int64]
    pt: Numbers
    eta: Numbers
    phi: Numbers
    quality: Numbers
    noise: Numbers


def seen(name: str, kind: OnlineObject, simulated: Collection, draws_of: DrawsOf) -> Online:
    """Draw what the trigger sees of simulated objects.

    Parameters
    ----------
    name
        Of the kind of objects; each has random numbers of its own.
    kind
        Declares how well they are measured.
    simulated
        The objects; with pt, eta and phi.
    draws_of
        Gives the random numbers.
    """
    draws, rows, numbers = draws_of(kind.collection), simulated.event_rows, simulated.local_index
    normal = draws.normal(f"trigger {name}", rows, numbers, 5)
    quality = draws.uniform(f"trigger quality {name}", rows, numbers)
    pt, eta, phi = (simulated[field].astype(np.float64) for field in ("pt", "eta", "phi"))
    width = np.hypot(in_profile(kind.resolution, eta), kind.stochastic / np.sqrt(np.maximum(pt, 1e-9)))
    turned = phi + kind.direction * normal[:, 2]
    return Online(
        simulated,
        rows,
        np.maximum(pt * (kind.scale + width * normal[:, 0]), 0.0),
        eta + kind.direction * normal[:, 1],
        # As simulated where nothing is to be moved: the remainder would round it.
        (turned + np.pi) % (2 * np.pi) - np.pi if kind.direction else phi,
        quality,
        normal[:, 3:],
    )


def in_profile(profile: list[tuple[float, float]], eta: Numbers) -> Numbers:
    """Values of a profile at pseudorapidities, 0 beyond its end.

    Examples
    --------
    >>> import numpy as np
    >>> in_profile([(1.0, 0.9), (2.0, 0.8)], np.array([-0.5, 1.5, 2.5])).tolist()
    [0.9, 0.8, 0.0]
    """
    edges, values = np.asarray(profile, dtype=np.float64).T
    return np.append(values, 0.0)[np.searchsorted(edges, np.abs(eta), side="right")]


def passing(asked: Filter, online: Online) -> NDArray[np.bool_]:
    """Say which objects pass a filter, thresholds apart, shape (N,)."""
    objects = online.simulated
    efficiency = in_profile(asked.efficiency, objects["eta"].astype(np.float64))
    free = np.ones(len(objects), dtype=bool)
    for entry in asked.given:
        fits = evaluate(entry.where, objects.columns, len(objects)) != 0
        efficiency[free & fits] *= entry.factor
        free &= ~fits
    return online.quality < efficiency


def online_value(
    name: str,
    value: OnlineSum | OnlineMomentum,
    objects: Mapping[str, Online],
    single: Mapping[str, Numbers],
    draws: Draws,
) -> Numbers:
    """Draw what the trigger sees of a value of the event.

    Parameters
    ----------
    name
        Of the value; each has random numbers of its own.
    value
        Declares what it is.
    objects
        Online objects of E events, by name.
    single
        Simulated branches with one value an event, shape (E,).
    draws
        Random numbers of the events.

    Returns
    -------
    In GeV, shape (E,).
    """
    events = len(draws.keys)
    if isinstance(value, OnlineSum):
        exact = _summed(value, objects[value.of], events)
    else:
        prefix = next(prefix for prefix in value.branches if f"{prefix}_pt" in single)
        size, angle = single[f"{prefix}_pt"], single[f"{prefix}_phi"]
        momentum = np.stack((size * np.cos(angle), size * np.sin(angle)))
        for plus in value.plus:
            added = objects[plus].simulated
            momentum += np.stack([added.total(component) for component in added.momenta[:2]])
        exact = np.hypot(*momentum)
    rows = np.arange(events)
    noise = draws.normal(f"value {name}", rows, np.zeros(events, dtype=np.int64), 2)
    moved: Numbers = exact * (value.scale + value.relative * noise[:, 0]) + value.noise * noise[:, 1]
    return moved


def _summed(value: OnlineSum, online: Online, events: int) -> Numbers:
    kept = (online.pt > value.min_pt) & (np.abs(online.eta) < value.max_abs_eta)
    rows, pt, phi = online.rows[kept], online.pt[kept], online.phi[kept]
    if value.kind == "sum":
        total: Numbers = np.bincount(rows, weights=pt, minlength=events).astype(np.float64)
        return total
    parts = (np.bincount(rows, weights=pt * wave(phi), minlength=events) for wave in (np.cos, np.sin))
    balance: Numbers = np.hypot(*parts)
    return balance
