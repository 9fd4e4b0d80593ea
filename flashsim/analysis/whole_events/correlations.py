"""Rank correlations between objects: of neighbouring jets, of leptons and their jets, of whole events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flashsim.analysis.statistics.correlations import cross_spearman
from flashsim.analysis.whole_events.judged import GEN, is_matched
from flashsim.analysis.whole_events.pairs import all_pairs
from flashsim.analysis.whole_events.relations import CONE
from flashsim.events.angles import wrap_angle
from flashsim.events.neighbours import closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flashsim.analysis.whole_events.reading import WholeEvents
    from flashsim.events.collection import Collection

__all__ = ["Block", "compared", "correlations_between"]

Columns = dict[str, NDArray[np.float64]]

LEAST = 100
"""Fewest pairs of objects whose correlations are looked at."""

_DISTANCES = {"jets closer than 0.8": (0.0, 0.8), "jets 0.8 to 1.2 apart": (0.8, 1.2)}
_LEAST_GEN_PT = 15.0


@dataclass(frozen=True)
class Block:
    """Spearman's correlations of the columns of two objects of a pair, or of an event with themselves.

    Parameters
    ----------
    rows, columns
        Names of the A and B columns.
    matrix
        Shape (A, B).
    pairs
        Number of pairs, or events.
    """

    rows: list[str]
    columns: list[str]
    matrix: NDArray[np.float64]
    pairs: int


def correlations_between(events: WholeEvents, fields: Mapping[str, Sequence[str]]) -> dict[str, Block]:
    """Measure the correlations of all pairs of objects that there are enough of.

    Parameters
    ----------
    events
        As `comparable` gives them.
    fields
        Fields by collection that are looked at, and branches of the event under ``Event``.
    """
    found = {}
    for name, first, second in _pairs(events, fields):
        pairs = len(next(iter(first.values())))
        if pairs >= LEAST:
            found[name] = Block([*first], [*second], cross_spearman(first, second), pairs)
    return found


def _pairs(
    events: WholeEvents, fields: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, Columns, Columns]]:
    if "Jet" in fields:
        jets = _residuals(events["Jet"], fields["Jet"])
        for name, (low, high) in _DISTANCES.items():
            yield name, *_of_jets(events["Jet"], jets, low, high)
        for name in ("Muon", "Electron"):
            if name in fields:
                leptons = {f: events[name][f].astype(np.float64) for f in fields[name] if f != "phi"}
                row, distance = closest(events[name].directions, events["Jet"].directions, 1, CONE)
                leptons["deltaR"] = distance
                there = row >= 0
                one = {field: values[there] for field, values in leptons.items()}
                yield f"{name} and its jet", one, {f: v[row[there]] for f, v in jets.items()}
    whole = _of_events(events, fields.get("Event", ()))
    yield "whole events", whole, whole


def _residuals(jets: Collection, fields: Sequence[str]) -> Columns:
    """Columns of jets, momenta relative to the gen jet; where there is none, to nothing."""
    found = {f: jets[f].astype(np.float64) for f in fields if f not in ("pt", "eta", "phi", "mass")}
    there = is_matched(jets)
    found["response"] = np.where(there, jets["pt"] / np.maximum(jets[f"{GEN}pt"], 1e-3), 1.0)
    found["deltaEta"] = np.where(there, jets["eta"] - jets[f"{GEN}eta"], 0.0)
    found["deltaPhi"] = np.where(there, wrap_angle(jets["phi"] - jets[f"{GEN}phi"]), 0.0)
    if "mass" in jets.columns:
        found["mass over pt"] = jets["mass"] / np.maximum(jets["pt"], 1e-3)
    return found


def _of_jets(jets: Collection, columns: Columns, low: float, high: float) -> tuple[Columns, Columns]:
    """Both orders of all pairs of matched jets whose gen jets are so far apart."""
    good = is_matched(jets) & (jets[f"{GEN}pt"] > _LEAST_GEN_PT)
    chosen = jets.select(good)
    first, second = all_pairs(chosen)
    apart = np.hypot(
        chosen[f"{GEN}eta"][first] - chosen[f"{GEN}eta"][second],
        wrap_angle(chosen[f"{GEN}phi"][first] - chosen[f"{GEN}phi"][second]),
    )
    near = (apart >= low) & (apart < high)
    rows = np.flatnonzero(good)
    one, other = (np.concatenate(part) for part in ((first[near], second[near]), (second[near], first[near])))
    return {n: c[rows[one]] for n, c in columns.items()}, {n: c[rows[other]] for n, c in columns.items()}


def _of_events(events: WholeEvents, branches: Sequence[str]) -> Columns:
    found = {b: events.values[b].astype(np.float64) for b in branches if not b.endswith("phi")}
    for name in ("Jet", "Muon", "Electron"):
        if "pt" in events[name].columns:
            objects = events[name]
            found[f"n{name}"] = objects.counts.astype(np.float64)
            found[f"pT sum of {name}"] = objects.total(objects["pt"])
    if "Jet" in events.collections:
        jets = events["Jet"]
        unmatched = ~is_matched(jets)
        found["unmatched jets"] = jets.total(unmatched)
        found["jet pT - gen pT"] = jets.total(np.where(unmatched, 0.0, jets["pt"] - jets[f"{GEN}pt"]))
    return found


def compared(reference: Mapping[str, Block], other: Mapping[str, Block]) -> list[dict[str, Any]]:
    """Compare the blocks that both have: largest difference, in its error, and the width of all in errors.

    Errors are those of two samples of independent pairs: two draws of the same gen events share some of their
    scatter and give a width below 1.
    """
    found = []
    for name in (name for name in reference if name in other):
        one, two = reference[name], other[name]
        if one.rows != two.rows or one.columns != two.columns:
            continue
        gap = two.matrix - one.matrix
        error = np.sqrt(1.0 / one.pairs + 1.0 / two.pairs)
        if one.rows == one.columns and name == "whole events":
            gap = np.triu(gap, 1)
        place = np.unravel_index(int(np.argmax(np.abs(gap))), gap.shape)
        measured = gap[gap != 0.0]
        found.append(
            {
                "pairs": name,
                "number": [one.pairs, two.pairs],
                "largest": float(abs(gap[place])),
                "error": float(error),
                "where": [one.rows[place[0]], one.columns[place[1]]],
                "values": [float(one.matrix[place]), float(two.matrix[place])],
                "rms": float(np.sqrt(np.mean(measured**2)) / error) if len(measured) else 0.0,
            }
        )
    return found
