"""Quantities that tell whether the branches of an object agree with each other and with what stands in it.

Trees cut on one column at a time: a sum that is always 1, or a muon that a jet does not contain, is one
column here and hard to find among all branches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flashsim.events.neighbours import ring_sum

if TYPE_CHECKING:
    from collections.abc import Callable

    from flashsim.analysis.whole_events.reading import WholeEvents
    from flashsim.events.collection import Collection

__all__ = ["CONE", "FRACTION_OF", "raw_pt", "relations"]

Columns = dict[str, NDArray[np.float64]]

CONE = 0.4
"""Objects within it are taken to be inside of a jet."""

FRACTION_OF = {"Muon": "muEF", "Electron": "chEmEF"}
"""Energy fraction of jets that leptons of a collection count for."""

_FRACTIONS = ("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF")
_FORWARD_FRACTIONS = ("hfHEF", "hfEmEF")
_LEAST = 1e-3
"""What denominators are at least, in GeV or as a share."""


def relations(events: WholeEvents, name: str) -> Columns:
    """Compute all relations of a collection that it has the branches for, shape (N,) each."""
    objects = events[name]
    found = _RELATIONS[name](events, objects) if name in _RELATIONS else {}
    return {column: np.asarray(values, dtype=np.float64) for column, values in found.items()}


def raw_pt(jets: Collection) -> NDArray[np.float64]:
    """Transverse momentum of jets before corrections in GeV, shape (N,); as it is without a factor."""
    raw: NDArray[np.float64] = jets["pt"] * (1.0 - jets.columns.get("rawFactor", np.zeros(len(jets))))
    return raw


def _of_jets(events: WholeEvents, jets: Collection) -> Columns:
    found: Columns = {}
    if jets.columns.keys() >= {*_FRACTIONS}:
        kinds = [*_FRACTIONS, *(name for name in _FORWARD_FRACTIONS if name in jets.columns)]
        found["sum of fractions"] = np.sum([jets[name] for name in kinds], axis=0)
    raw = raw_pt(jets)
    for name, fraction in FRACTION_OF.items():
        leptons = events[name]
        if fraction in jets.columns and "pt" in leptons.columns:
            inside = ring_sum(jets.directions, leptons.directions, leptons["pt"], 0.0, CONE)
            found[f"{name} inside over {fraction}"] = inside / np.maximum(raw * jets[fraction], _LEAST)
    density = events.value("fixedGridRhoFastjetAll", "Rho_fixedGridRhoFastjetAll")
    if density is not None and jets.columns.keys() >= {"area", "rawFactor"}:
        found["offset over raw pt"] = density[jets.event_rows] * jets["area"] / np.maximum(raw, _LEAST)
    for tagger in ("btagDeepFlav", "btagPNet", "btagUParTAK4"):
        if jets.columns.keys() >= {f"{tagger}{kind}" for kind in ("B", "CvL", "CvB")}:
            b, against_light, against_b = (jets[f"{tagger}{kind}"] for kind in ("B", "CvL", "CvB"))
            # Of three probabilities that add up to 1 two of these ratios give the third.
            c = b * against_b / np.maximum(1.0 - against_b, _LEAST)
            found[f"{tagger}: light left over"] = c / np.maximum(against_light, _LEAST) - (1.0 - b)
    return found


def _of_leptons(events: WholeEvents, leptons: Collection) -> Columns:  # noqa: ARG001
    found: Columns = {}
    columns = leptons.columns
    for all_of, less in (
        ("pfRelIso03_all", "pfRelIso03_chg"),
        ("pfRelIso04_all", "pfRelIso03_all"),
        ("miniPFRelIso_all", "pfRelIso03_all"),
    ):
        if columns.keys() >= {all_of, less}:
            found[f"{all_of} - {less}"] = columns[all_of] - columns[less]
    if columns.keys() >= {"ip3d", "dxy", "dz"}:
        found["ip3d over dxy and dz"] = columns["ip3d"] / np.maximum(
            np.hypot(columns["dxy"], columns["dz"]), 1e-6
        )
    if columns.keys() >= {"ip3d", "sip3d", "dxy", "dxyErr"}:
        significance = np.abs(columns["dxy"]) / np.maximum(columns["dxyErr"], 1e-6)
        found["sip3d over dxy significance"] = columns["sip3d"] / np.maximum(significance, _LEAST)
    return found


_RELATIONS: dict[str, Callable[[WholeEvents, Collection], Columns]] = {
    "Jet": _of_jets,
    "Muon": _of_leptons,
    "Electron": _of_leptons,
}
