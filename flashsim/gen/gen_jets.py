"""The ``GenJet`` and ``GenMET`` collections: what the visible final particles give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from flashsim.gen.libraries import require, stdout_captured
from flashsim.gen.particles import pseudorapidity
from flashsim.gen.status import is_hadron

if TYPE_CHECKING:
    from flashsim.gen.record import EventRecord

__all__ = ["GenJets", "gen_jets", "gen_met", "visible"]

RADIUS = 0.4
MIN_PT = 10.0
_GHOST_SCALE = 1e-18

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class GenJets:
    """Jets of a batch of events, sorted by falling pT in each.

    Parameters
    ----------
    branches
        ``GenJet`` branches under their NanoAOD names, one list per event.
    constituents
        For each event and jet, the record's places of the particles in it (event, jet, constituent).
    """

    branches: dict[str, ak.Array]
    constituents: ak.Array


def gen_jets(record: EventRecord) -> GenJets:
    """``GenJet`` branches: anti-kT jets (R = 0.4) of all final particles but neutrinos, pT above 10 GeV.

    As in CMS, prompt leptons are clustered too: a lone muon above 10 GeV is a jet.

    Flavours come from ghosts (CMS, CMS-DP-2014-020 and CMSSW ``JetFlavourClustering``): B and C hadrons
    without a daughter of the same heavy flavour give `hadronFlavour` 5, 4 or 0; the last partons before
    hadronization give `partonFlavour`, that of the hardest b, else of the hardest c, else of the hardest
    parton, else 0.

    Parameters
    ----------
    record
        The generator's particles.

    Raises
    ------
    MissingDependencyError
        If fastjet is not installed.
    """
    constituents = np.flatnonzero(visible(record))
    ghosts = {"b": _open_flavour(record, 5), "c": _open_flavour(record, 4), "parton": _last_partons(record)}
    ghost_index = np.flatnonzero(ghosts["b"] | ghosts["c"] | ghosts["parton"])

    index = np.concatenate([constituents, ghost_index])
    scale = np.ones(len(index))
    # Soft enough to change no jet, and massive or not of no matter.
    scale[len(constituents) :] = _GHOST_SCALE
    order = np.argsort(record.event_index[index], kind="stable")
    index, scale = index[order], scale[order]
    jets, members = _cluster(record, index, scale)

    starts = np.searchsorted(record.event_index[index], np.arange(record.events))
    places = members + starts  # in `index`
    flavour = _Flavours(record, ghosts, places, index, scale < 1.0)
    pt = np.hypot(jets.px, jets.py)
    columns = {
        "pt": pt,
        "eta": _like(pt, pseudorapidity(_flat(pt), _flat(jets.pz))),
        "phi": np.arctan2(jets.py, jets.px),
        "mass": np.sqrt(np.maximum(jets.E**2 - jets.px**2 - jets.py**2 - jets.pz**2, 0.0)),
        "partonFlavour": _like(pt, flavour.parton()),
        "hadronFlavour": _like(pt, flavour.hadron()),
    }
    by_pt = ak.argsort(pt, ascending=False, stable=True)
    return GenJets(
        branches={f"GenJet_{name}": values[by_pt] for name, values in columns.items()},
        constituents=_particles(places[by_pt], index, scale == 1.0),
    )


def gen_met(record: EventRecord) -> dict[str, NDArray[np.float64]]:
    """``GenMET`` branches: minus the vector sum of the final particles that jets are made of.

    Returns
    -------
    pT in GeV and azimuth, shape (events,).
    """
    seen = visible(record)
    event = record.event_index[seen]
    px, py = (
        -np.bincount(event, weights=component[seen], minlength=record.events)
        for component in (record.px, record.py)
    )
    return {"GenMET_pt": np.hypot(px, py), "GenMET_phi": np.arctan2(py, px)}


def visible(record: EventRecord) -> Mask:
    """Tell which particles jets and detectors see, shape (N,): final ones but neutrinos."""
    mask: Mask = (record.status == 1) & ~np.isin(record.abs_pdg_id, (12, 14, 16))
    return mask


def _open_flavour(record: EventRecord, quark: int) -> Mask:
    """Hadrons that hold a quark as their heaviest, and have no daughter that does."""
    code = record.abs_pdg_id
    holds = is_hadron(record.pdg_id) & ((code // 100 % 10 == quark) | (code // 1000 % 10 == quark))
    family = record.genealogy
    mother = np.repeat(np.arange(len(code)), np.diff(family.daughter_offsets))
    passed_on = np.bincount(mother[holds[family.daughters]], minlength=len(code)) > 0
    mask: Mask = holds & ~passed_on
    return mask


def _last_partons(record: EventRecord) -> Mask:
    """Quarks and gluons that enter hadronization, as MiniAOD keeps them: light ones above 5 GeV."""
    code = record.abs_pdg_id
    heavy = (code == 4) | (code == 5)
    light = (code == 21) | ((code >= 1) & (code <= 3))
    mask: Mask = np.isin(record.status, (71, 72)) & (heavy | (light & (record.pt > 5.0)))
    return mask


def _cluster(
    record: EventRecord, index: NDArray[np.int64], scale: NDArray[np.float64]
) -> tuple[ak.Array, ak.Array]:
    """Jets above threshold, and for each the places of its members in the event's part of `index`."""
    with stdout_captured():  # fastjet's banner
        fastjet: Any = require("fastjet")
        counts = np.bincount(record.event_index[index], minlength=record.events)
        particles = ak.unflatten(
            ak.zip(
                {
                    "px": record.px[index] * scale,
                    "py": record.py[index] * scale,
                    "pz": record.pz[index] * scale,
                    "E": record.energy[index] * scale,
                },
                with_name="Momentum4D",
            ),
            counts,
        )
        definition = fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS)
        sequence = fastjet.ClusterSequence(particles, definition)
        return sequence.inclusive_jets(min_pt=MIN_PT), sequence.constituent_index(min_pt=MIN_PT)


class _Flavours:
    """Flavours of jets from the ghosts among their members."""

    def __init__(
        self,
        record: EventRecord,
        ghosts: dict[str, Mask],
        places: ak.Array,
        index: NDArray[np.int64],
        is_ghost: Mask,
    ) -> None:
        per_jet = _flat(ak.num(places, axis=2))
        self._jets = len(per_jet)
        jet = np.repeat(np.arange(self._jets), per_jet)
        place = ak.to_numpy(ak.flatten(places, axis=None))
        ghost = is_ghost[place]
        self._jet, self._particle = jet[ghost], index[place[ghost]]
        self._record, self._ghosts = record, ghosts

    def hadron(self) -> NDArray[np.uint8]:
        """5, 4 or 0 for each jet."""
        flavour = np.zeros(self._jets, dtype=np.uint8)
        for quark, kind in ((4, "c"), (5, "b")):
            flavour[self._jet[self._ghosts[kind][self._particle]]] = quark
        return flavour

    def parton(self) -> NDArray[np.int32]:
        """PDG number of the parton that names each jet."""
        chosen = self._ghosts["parton"][self._particle]
        jet, particle = self._jet[chosen], self._particle[chosen]
        code = self._record.abs_pdg_id[particle]
        rank = np.select([code == 5, code == 4], [2, 1], 0)
        # The last assignment to a jet stays: the highest rank, and in it the hardest.
        order = np.lexsort((self._record.pt[particle], rank))
        flavour = np.zeros(self._jets, dtype=np.int32)
        flavour[jet[order]] = self._record.pdg_id[particle[order]]
        return flavour


def _particles(places: ak.Array, index: NDArray[np.int64], chosen: Mask) -> ak.Array:
    """Particles of the record at the chosen ones of `places` in `index`."""
    flat = ak.flatten(places, axis=2)
    values = ak.to_numpy(ak.flatten(flat))
    per_jet = _flat(ak.num(places, axis=2))
    jet = np.repeat(np.arange(len(per_jet)), per_jet)
    keep = chosen[values]
    counts = np.bincount(jet[keep], minlength=len(per_jet))
    return ak.unflatten(ak.unflatten(index[values[keep]], counts), ak.num(places, axis=1))


def _flat(array: ak.Array) -> NDArray[Any]:
    return np.asarray(ak.to_numpy(ak.flatten(array)))


def _like(model: ak.Array, flat: NDArray[Any]) -> ak.Array:
    return ak.unflatten(flat, ak.num(model))
