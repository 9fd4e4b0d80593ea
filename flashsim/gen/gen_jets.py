"""The ``GenJet``, ``GenJetAK8``, ``TrackGenJetAK4`` and ``GenMET`` collections, made of final particles.

Definitions are those of CMS (CMSSW, PhysicsTools/NanoAOD: jetMC_cff).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from flashsim.gen.libraries import require, stdout_captured
from flashsim.gen.particles import pseudorapidity
from flashsim.gen.soft_drop import soft_drop
from flashsim.gen.status import is_charged, is_hadron

if TYPE_CHECKING:
    from flashsim.gen.record import EventRecord

__all__ = ["GenJets", "gen_fat_jets", "gen_jets", "gen_met", "track_jets", "visible"]

RADIUS, FAT_RADIUS = 0.4, 0.8
MIN_PT, FAT_MIN_PT = 10.0, 100.0
_TRACK_PT, _TRACK_JET_PT = 0.3, 1.0
_Z_CUT = 0.1
# What CMS lets jets and missing momentum be made of (CMSSW, genParticlesForJetsNoNu): no neutrinos, nor
# neutralinos, sneutrinos, gravitinos, gravitons and the like.
_UNSEEN = (
    *(12, 14, 16, 39, 1000012, 1000014, 1000016, 1000022, 1000039, 2000012, 2000014, 2000016),
    *(4000012, 4000014, 4000016, 5100039, 9900012, 9900014, 9900016),
)
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
    return _flavoured_jets(record, "GenJet", RADIUS, MIN_PT)


def gen_fat_jets(record: EventRecord) -> dict[str, ak.Array]:
    """``GenJetAK8`` and ``SubGenJetAK8`` branches: jets with R = 0.8, pT above 100 GeV, and their subjets.

    Subjets are those of soft drop with a cut of 0.1 and beta = 0, the harder one of a jet first: two for each
    jet, or one where a lone lepton is left.
    """
    jets = _flavoured_jets(record, "GenJetAK8", FAT_RADIUS, FAT_MIN_PT)
    members = ak.flatten(jets.constituents)
    index = ak.to_numpy(ak.flatten(members))
    offsets = np.concatenate([[0], np.cumsum(ak.to_numpy(ak.num(members)))]).astype(np.int64)
    momenta = np.stack([getattr(record, name)[index] for name in ("px", "py", "pz", "energy")], axis=1)
    counts, subjets = soft_drop(offsets, momenta, z_cut=_Z_CUT)
    event = np.repeat(np.arange(record.events), ak.to_numpy(ak.num(jets.constituents)))
    number = np.bincount(event, weights=counts, minlength=record.events).astype(np.int64)
    columns = {name: ak.unflatten(values, number) for name, values in _kinematics(*subjets.T).items()}
    return jets.branches | {f"SubGenJetAK8_{name}": values for name, values in columns.items()}


def track_jets(record: EventRecord, pruned: Mask) -> dict[str, ak.Array]:
    """``TrackGenJetAK4`` branches: anti-kT jets (R = 0.4) of charged particles, pT above 1 GeV.

    Parameters
    ----------
    record
        The generator's particles.
    pruned
        Shape (N,): those that MiniAOD keeps, as CMS makes these jets of no others. Charged final ones among
        them are leptons, decay products of taus, and protons.
    """
    charged = visible(record) & pruned & is_charged(record.pdg_id) & (record.pt > _TRACK_PT)
    index = np.flatnonzero(charged)
    jets, _ = _cluster(record, index, np.ones(len(index)), RADIUS, _TRACK_JET_PT)
    columns = _by_pt(_branches(jets))[0]
    return {f"TrackGenJetAK4_{name}": columns[name] for name in ("pt", "eta", "phi")}


def _flavoured_jets(record: EventRecord, name: str, radius: float, min_pt: float) -> GenJets:
    """Jets of the visible final particles, with the flavours that ghosts tell."""
    constituents = np.flatnonzero(visible(record))
    ghosts = {"b": _open_flavour(record, 5), "c": _open_flavour(record, 4), "parton": _last_partons(record)}
    ghost_index = np.flatnonzero(ghosts["b"] | ghosts["c"] | ghosts["parton"])

    index = np.concatenate([constituents, ghost_index])
    scale = np.ones(len(index))
    # Soft enough to change no jet, and massive or not of no matter.
    scale[len(constituents) :] = _GHOST_SCALE
    order = np.argsort(record.event_index[index], kind="stable")
    index, scale = index[order], scale[order]
    jets, members = _cluster(record, index, scale, radius, min_pt)

    starts = np.searchsorted(record.event_index[index], np.arange(record.events))
    places = members + starts  # in `index`
    flavour = _Flavours(record, ghosts, places, index, scale < 1.0)
    columns = _branches(jets)
    for column, values in flavour.columns().items():
        columns[column] = ak.unflatten(values, ak.num(columns["pt"]))
    columns, by_pt = _by_pt(columns)
    return GenJets(
        branches={f"{name}_{column}": values for column, values in columns.items()},
        constituents=_particles(places[by_pt], index, scale == 1.0),
    )


def _branches(jets: ak.Array) -> dict[str, ak.Array]:
    """Kinematics of jets, a list per event."""
    flat = _kinematics(*(_flat(jets[name]) for name in ("px", "py", "pz", "E")))
    return {name: ak.unflatten(values, ak.num(jets.px)) for name, values in flat.items()}


def _by_pt(columns: dict[str, ak.Array]) -> tuple[dict[str, ak.Array], ak.Array]:
    """Columns by falling pT in each event, and the order."""
    order = ak.argsort(columns["pt"], ascending=False, stable=True)
    return {name: values[order] for name, values in columns.items()}, order


def _kinematics(
    px: NDArray[np.float64], py: NDArray[np.float64], pz: NDArray[np.float64], energy: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    pt = np.hypot(px, py)
    return {
        "pt": pt,
        "eta": pseudorapidity(pt, pz),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0)),
    }


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
    """Tell which particles jets and detectors see, shape (N,): final ones but neutrinos and their like."""
    mask: Mask = (record.status == 1) & ~np.isin(record.abs_pdg_id, _UNSEEN)
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
    record: EventRecord,
    index: NDArray[np.int64],
    scale: NDArray[np.float64],
    radius: float,
    min_pt: float,
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
        definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
        sequence = fastjet.ClusterSequence(particles, definition)
        return sequence.inclusive_jets(min_pt=min_pt), sequence.constituent_index(min_pt=min_pt)


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

    def columns(self) -> dict[str, NDArray[Any]]:
        """Flavours of each jet, and the numbers of hadrons that they come from."""
        beauty, charm = (self._count(kind) for kind in ("b", "c"))
        return {
            "partonFlavour": self.parton(),
            "hadronFlavour": np.select([beauty > 0, charm > 0], [5, 4], 0),
            "nBHadrons": beauty,
            "nCHadrons": charm,
        }

    def _count(self, kind: str) -> NDArray[np.int64]:
        return np.bincount(self._jet[self._ghosts[kind][self._particle]], minlength=self._jets)

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
