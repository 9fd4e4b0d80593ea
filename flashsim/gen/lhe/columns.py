"""NanoAOD branches of LHE events: their particles, sums over partons, and weights.

Definitions are those of CMS's LHETablesProducer (CMSSW, PhysicsTools/NanoAOD).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.gen.particles import pseudorapidity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.gen.lhe.event import LHEEvent

__all__ = ["lhe_columns"]

_INCOMING, _OUTGOING, _DECAYED = -1, 1, 2
_BOSONS = (23, 24, 25)
_GLUON, _LIGHT, _CHARM, _BEAUTY, _TOP = 21, 3, 4, 5, 6
_LEPTONS, _NEUTRINOS = (11, 13, 15), (12, 14, 16)
_ORDERS = {"LHE_NpLO": "nplo", "LHE_NpNLO": "npnlo"}
_LARGEST = 255


def lhe_columns(events: Sequence[LHEEvent], *, resonances: bool = False) -> dict[str, Any]:
    """Branches ``LHEPart_*``, ``LHE_*`` and ``LHEWeight_originalXWGTUP``.

    Incoming and outgoing particles are written; ``LHE_NpLO`` and ``LHE_NpNLO`` are 255 where the generator
    does not give them, as in CMS files.

    Parameters
    ----------
    events
        As they are read.
    resonances
        Whether decayed Z, W and Higgs bosons are written, too, as in v15.
    """
    columns: dict[str, Any] = {
        "LHEWeight_originalXWGTUP": np.array([event.weight for event in events]),
        "LHE_AlphaS": np.array([event.alpha_s for event in events]),
    }
    sums = [_sums(event) for event in events]
    columns |= {name: np.array([values[name] for values in sums]) for name in sums[0]}
    for name, attribute in _ORDERS.items():
        columns[name] = np.array([_order(event, attribute) for event in events])
    return columns | _particles(events, resonances=resonances)


def _order(event: LHEEvent, attribute: str) -> int:
    text = {name.lower(): value for name, value in event.attributes.items()}.get(attribute, "").strip()
    return int(text) if text.isdecimal() and int(text) < _LARGEST else _LARGEST


def _particles(events: Sequence[LHEEvent], *, resonances: bool) -> dict[str, Any]:
    shown = [
        np.isin(event.status, (_INCOMING, _OUTGOING))
        | (resonances & (event.status == _DECAYED) & np.isin(np.abs(event.pdg_id), _BOSONS))
        for event in events
    ]
    counts = [int(mask.sum()) for mask in shown]

    def joined(values: list[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([one[mask] for one, mask in zip(values, shown, strict=True)])

    mothers = joined([_mother_index(event, mask) for event, mask in zip(events, shown, strict=True)])
    status = joined([event.status for event in events])
    px, py, pz, energy, _ = joined([event.momentum for event in events]).T
    incoming = status == _INCOMING
    pt = np.where(incoming, 0.0, np.hypot(px, py))
    squared = energy**2 - px**2 - py**2 - pz**2
    flat = {
        "LHEPart_pt": pt,
        "LHEPart_eta": np.where(incoming, 0.0, pseudorapidity(pt, pz)),
        "LHEPart_phi": np.where(incoming, 0.0, np.arctan2(py, px)),
        # Massless particles have a small mass of either sign by rounding, as in CMS files.
        "LHEPart_mass": np.where(incoming, 0.0, np.sign(squared) * np.sqrt(np.abs(squared))),
        "LHEPart_incomingpz": np.where(incoming, pz, 0.0),
        "LHEPart_pdgId": joined([event.pdg_id for event in events]),
        "LHEPart_status": status,
        "LHEPart_firstMotherIdx": mothers[:, 0],
        "LHEPart_lastMotherIdx": mothers[:, 1],
        "LHEPart_spin": joined([np.trunc(event.spin) for event in events]).astype(np.int32),
    }
    return {name: ak.unflatten(values, counts) for name, values in flat.items()}


def _mother_index(event: LHEEvent, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Give the indices of both mothers among what is shown, shape (N, 2); -1 if there is none."""
    place = np.full(len(shown) + 1, -1, dtype=np.int64)  # entry 0 is no mother
    place[1:][shown] = np.arange(np.count_nonzero(shown))
    index: NDArray[np.int64] = place[event.mothers]
    return index


def _sums(event: LHEEvent) -> dict[str, float]:
    """Give sums over outgoing partons, and pT of the lepton pair."""
    code = np.abs(event.pdg_id)
    parton = (event.status == _OUTGOING) & ((code == _GLUON) | ((code > 0) & (code <= _TOP)))
    pt = np.hypot(event.momentum[:, 0], event.momentum[:, 1])
    mothers = np.maximum(event.mothers - 1, 0)
    direct = parton & np.any(event.status[mothers] < 0, axis=1)
    flavour = code[parton]
    return {
        "LHE_HT": float(pt[parton].sum()),
        "LHE_HTIncoming": float(pt[direct].sum()),
        "LHE_Vpt": _pair_pt(event),
        "LHE_Njets": len(flavour),
        "LHE_Nb": int(np.sum(flavour == _BEAUTY)),
        "LHE_Nc": int(np.sum(flavour == _CHARM)),
        "LHE_Nuds": int(np.sum(flavour <= _LIGHT)),
        "LHE_Nglu": int(np.sum(flavour == _GLUON)),
    }


def _pair_pt(event: LHEEvent) -> float:
    """Give pT of the last lepton and the last antilepton together, neutrinos where there is none; else 0."""
    last: dict[tuple[bool, bool], int] = {}
    for place, pdg_id in enumerate(event.pdg_id.tolist()):
        if abs(pdg_id) in (*_LEPTONS, *_NEUTRINOS):
            last[pdg_id > 0, abs(pdg_id) in _NEUTRINOS] = place
    for first, second in ((False, False), (False, True), (True, False), (True, True)):
        lepton, antilepton = last.get((True, first)), last.get((False, second))
        if lepton is not None and antilepton is not None:
            return float(np.hypot(*(event.momentum[lepton, :2] + event.momentum[antilepton, :2])))
    return 0.0
