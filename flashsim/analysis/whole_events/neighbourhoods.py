"""Objects with what stands next to them: what a classifier of pairs and neighbourhoods is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flashsim.analysis.whole_events.judged import GEN, is_matched
from flashsim.analysis.whole_events.pairs import at_rows
from flashsim.analysis.whole_events.relations import FRACTION_OF, raw_pt, relations
from flashsim.events.angles import wrap_angle
from flashsim.events.neighbours import closest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.analysis.whole_events.reading import WholeEvents
    from flashsim.events.collection import Collection

__all__ = ["NEIGHBOURS", "Neighbourhoods", "neighbourhoods"]

Columns = dict[str, NDArray[np.float64]]

NEIGHBOURS = {"Jet": 2, "Muon": 1, "Electron": 1}
"""How many of the closest objects of each collection are looked at."""

_REACH = 1.5
"""Distance beyond which an object is no neighbour."""

_LEAST = 1e-3


@dataclass(frozen=True)
class Neighbourhoods:
    """Objects of one collection, N of them in E events, and what stands around them.

    Parameters
    ----------
    event
        Row of the event of each, shape (N,).
    matched
        Whether it has a gen object, shape (N,).
    own
        Its own columns, absolute and relative to the gen object, and the gen object's, shape (N,) each.
    around
        Columns of its neighbours, their distances and ratios of pT, and what whole events are like; NaN where
        there is no neighbour.
    """

    event: NDArray[np.int64]
    matched: NDArray[np.bool_]
    own: Columns
    around: Columns

    def chosen(self, rows: NDArray[np.bool_] | NDArray[np.int64], *, around: bool) -> Columns:
        """Columns of some objects, with those of their neighbours or without."""
        columns = self.own | self.around if around else self.own
        return {name: column[rows] for name, column in columns.items()}


def neighbourhoods(events: WholeEvents, name: str, fields: Mapping[str, Sequence[str]]) -> Neighbourhoods:
    """Describe the objects of a collection and their neighbours.

    Parameters
    ----------
    events
        As `comparable` gives them.
    name
        The collection.
    fields
        Fields by collection that are looked at; see `comparable`.
    """
    objects = events[name]
    columns = {one: _columns(events, one, fields[one]) for one in NEIGHBOURS if one in fields}
    if name not in columns:
        columns[name] = _columns(events, name, fields[name])
    around: Columns = {}
    for other, number in NEIGHBOURS.items():
        if other in fields:
            for rank in range(1, number + 1):
                near = _neighbour(objects, events[other], columns[other], rank, same=other == name)
                around |= {f"{other} {rank} {n}": v for n, v in near.items()}
            around |= _lepton_and_jet(events, name, other)
    return Neighbourhoods(
        event=objects.event_rows,
        matched=is_matched(objects),
        own=columns[name] | _relative_to_gen(objects, events["GenJet"]),
        around=around | _of_event(events, objects),
    )


def _columns(events: WholeEvents, name: str, fields: Sequence[str]) -> Columns:
    """Columns of a collection; the direction around the beam tells nothing by itself."""
    objects = events[name]
    found = {field: np.asarray(objects[field], dtype=np.float64) for field in fields if field != "phi"}
    return found | relations(events, name)


def _relative_to_gen(objects: Collection, gen_jets: Collection) -> Columns:
    gen = {n: c for n, c in objects.columns.items() if n.startswith(GEN) and not n.endswith(("index", "phi"))}
    gen["gen response"] = objects["pt"] / np.maximum(objects[f"{GEN}pt"], _LEAST)
    gen["gen deltaEta"] = objects["eta"] - objects[f"{GEN}eta"]
    gen["gen deltaPhi"] = wrap_angle(objects["phi"] - objects[f"{GEN}phi"])
    if f"{GEN}mass" in gen and "mass" in objects.columns:
        gen["gen mass response"] = objects["mass"] / np.maximum(objects[f"{GEN}mass"], _LEAST)
    if "pt" in gen_jets.columns:
        row, distance = closest(objects.directions, gen_jets.directions, 1, _REACH)
        there = row >= 0
        gen["gen jet deltaR"] = np.where(there, distance, np.nan)
        gen["gen jet pt"] = at_rows(gen_jets["pt"], row)
        gen["gen jet pt over pt"] = gen["gen jet pt"] / np.maximum(objects["pt"], _LEAST)
    return gen


def _neighbour(
    objects: Collection, others: Collection, columns: Columns, rank: int, *, same: bool
) -> Columns:
    row, distance = closest(objects.directions, others.directions, rank, _REACH, same=same)
    found = {field: at_rows(values, row) for field, values in columns.items()}
    found["deltaR"] = np.where(row >= 0, distance, np.nan)
    found["deltaEta"] = at_rows(others["eta"], row) - objects["eta"]
    found["pt over pt"] = at_rows(others["pt"], row) / np.maximum(objects["pt"], _LEAST)
    if f"{GEN}pt" in others.columns:
        found["response"] = at_rows(others["pt"] / np.maximum(others[f"{GEN}pt"], _LEAST), row)
    return found


def _lepton_and_jet(events: WholeEvents, name: str, other: str) -> Columns:
    """Compare a lepton with the closest jet: what the jet says of leptons, and what the lepton says of it."""
    if name not in FRACTION_OF or other != "Jet":
        return {}
    leptons, jets = events[name], events["Jet"]
    row, _ = closest(leptons.directions, jets.directions, 1, _REACH)
    found, pt = {}, np.maximum(leptons["pt"], _LEAST)
    raw = at_rows(raw_pt(jets), row)
    found["pt over raw jet pt"] = pt / np.maximum(raw, _LEAST)
    if FRACTION_OF[name] in jets.columns:
        inside = raw * at_rows(jets[FRACTION_OF[name]], row)
        found[f"pt over the jet's {FRACTION_OF[name]}"] = pt / np.maximum(inside, _LEAST)
    if "jetRelIso" in leptons.columns:
        found["jet pt over what jetRelIso says"] = at_rows(jets["pt"], row) / (
            pt * np.maximum(1.0 + leptons["jetRelIso"], _LEAST)
        )
    return found


def _of_event(events: WholeEvents, objects: Collection) -> Columns:
    found: Columns = {}
    density = events.value("fixedGridRhoFastjetAll", "Rho_fixedGridRhoFastjetAll")
    vertices = events.value("PV_npvsGood")
    for name, values in (("rho", density), ("npvsGood", vertices)):
        if values is not None:
            found[f"event {name}"] = values[objects.event_rows]
    for name in NEIGHBOURS:
        if name in events.collections:
            found[f"event n{name}"] = events[name].counts[objects.event_rows].astype(np.float64)
    return found
