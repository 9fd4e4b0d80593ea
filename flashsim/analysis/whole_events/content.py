"""One row an event, with all that its leading objects are: what a classifier of whole events is given."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flashsim.analysis.whole_events.pairs import at_rows
from flashsim.analysis.whole_events.relations import relations
from flashsim.events.angles import wrap_angle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.analysis.whole_events.reading import WholeEvents
    from flashsim.events.collection import Collection

__all__ = ["LEADING", "event_content"]

Columns = dict[str, NDArray[np.float64]]

LEADING = {"Jet": 6, "Muon": 2, "Electron": 2}
"""How many objects of each collection are looked at, those of the highest pT."""

_HARD = 30.0
_PAIRS = 3
"""Leading jets of which all pairs have a mass and a distance."""


def event_content(events: WholeEvents, fields: Mapping[str, Sequence[str]]) -> Columns:
    """Describe each event by the content of its leading objects, shape (E,) each; NaN where one is missing.

    Angles around the beam are relative to the leading jet, or to the missing momentum where there is no jet.

    Parameters
    ----------
    events
        As `comparable` gives them.
    fields
        Fields by collection that are looked at, and branches of the event under ``Event``.
    """
    orders = {name: _by_pt(events[name]) for name in LEADING if name in fields}
    axis = _axis(events, orders, fields)
    found: Columns = {}
    for name, places in orders.items():
        objects = events[name]
        columns = {field: objects[field] for field in fields[name]} | relations(events, name)
        columns["phi"] = wrap_angle(objects["phi"] - axis[objects.event_rows])
        for rank in range(LEADING[name]):
            rows = _row(objects, places, rank)
            found |= {
                f"{name} {rank + 1} {field}": at_rows(column, rows) for field, column in columns.items()
            }
        found[f"n{name}"] = objects.counts.astype(np.float64)
        found[f"n{name} above {_HARD:g}"] = objects.total(objects["pt"] > _HARD)
    for branch in fields.get("Event", ()):
        values = np.asarray(events.values[branch], dtype=np.float64)
        found[branch] = wrap_angle(values - axis) if branch.endswith("phi") else values
    return found | _together(events, orders) | _of_gen(events)


def _by_pt(objects: Collection) -> NDArray[np.int64]:
    """Rows in the order of events and falling pT, shape (N,)."""
    return np.lexsort((-objects["pt"], objects.event_rows))


def _row(objects: Collection, places: NDArray[np.int64], rank: int) -> NDArray[np.int64]:
    """Row of the object of a rank, from 0, in each event; -1 where there are fewer."""
    rows = np.full(objects.events, -1, dtype=np.int64)
    there = objects.counts > rank
    rows[there] = places[objects.offsets[:-1][there] + rank]
    return rows


def _axis(
    events: WholeEvents, orders: Mapping[str, NDArray[np.int64]], fields: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    branch = next((name for name in fields.get("Event", ()) if name.endswith("MET_phi")), None)
    axis = np.zeros(events.events) if branch is None else events.values[branch].astype(np.float64)
    if "Jet" not in orders:
        return axis
    leading = at_rows(events["Jet"]["phi"], _row(events["Jet"], orders["Jet"], 0))
    return np.where(np.isfinite(leading), leading, axis)


def _together(events: WholeEvents, orders: Mapping[str, NDArray[np.int64]]) -> Columns:
    """Masses and distances of pairs, sums over all jets, and what balances the missing momentum."""
    found: Columns = {}
    momenta = {
        (name, rank): _momentum(events[name], _row(events[name], places, rank))
        for name, places in orders.items()
        for rank in range(min(LEADING[name], _PAIRS))
    }
    for one, other in combinations(momenta, 2):
        label = f"{one[0]} {one[1] + 1} and {other[0]} {other[1] + 1}"
        total = momenta[one] + momenta[other]
        squared = total[3] ** 2 - np.sum(total[:3] ** 2, axis=0)
        found[f"mass of {label}"] = np.sqrt(np.maximum(squared, 0.0))
        found[f"distance of {label}"] = _distance(momenta[one], momenta[other])
    if "Jet" in orders:
        jets = events["Jet"]
        found["HT"] = jets.total(jets["pt"])
        sums = [jets.total(jets["pt"] * axis(jets["phi"])) for axis in (np.cos, np.sin)]
        for met in _missing_momenta(events):
            pt, phi = events.values[f"{met}_pt"], events.values[f"{met}_phi"]
            found[f"{met} and jets"] = np.hypot(pt * np.cos(phi) + sums[0], pt * np.sin(phi) + sums[1])
    return found


def _missing_momenta(events: WholeEvents) -> list[str]:
    there = events.values.keys()
    return [name for name in ("MET", "PuppiMET") if {f"{name}_pt", f"{name}_phi"} <= there]


def _momentum(objects: Collection, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Components px, py, pz and energy, shape (4, E); leptons count as massless."""
    there = rows >= 0
    momentum = np.full((4, len(rows)), np.nan)
    momentum[:3, there] = objects.momenta[:, rows[there]]
    mass = objects.columns.get("mass", np.zeros(len(objects)))
    momentum[3, there] = np.sqrt(np.sum(momentum[:3, there] ** 2, axis=0) + mass[rows[there]] ** 2)
    return momentum


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    eta = [np.arcsinh(p[2] / np.maximum(np.hypot(p[0], p[1]), 1e-9)) for p in (one, other)]
    phi = wrap_angle(np.arctan2(one[1], one[0]) - np.arctan2(other[1], other[0]))
    distance: NDArray[np.float64] = np.hypot(eta[0] - eta[1], phi)
    return distance


def _of_gen(events: WholeEvents) -> Columns:
    """Tell what the generator gave, which all simulations share: its scatter would hide differences."""
    found: Columns = {}
    jets = events["GenJet"]
    if "pt" in jets.columns:
        found["gen HT"], found["nGenJet"] = jets.total(jets["pt"]), jets.counts.astype(np.float64)
    if {"GenMET_pt", "GenMET_phi"} <= events.values.keys():
        found["gen MET"] = events.values["GenMET_pt"]
        for met in _missing_momenta(events):
            angle = events.values[f"{met}_phi"] - events.values["GenMET_phi"]
            found[f"{met} along gen MET"] = events.values[f"{met}_pt"] * np.cos(angle) - found["gen MET"]
            found[f"{met} across gen MET"] = events.values[f"{met}_pt"] * np.sin(angle)
    for name in ("Pileup_nTrueInt", "Pileup_nPU"):
        if name in events.values:
            found[name] = events.values[name].astype(np.float64)
    return found
