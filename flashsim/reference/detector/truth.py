"""What a detector is given: gen-level content, hidden variables and pileup of a chunk of events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.gen_collections import GenView
from flashsim.events.collection import Collection, flat_column
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.events.identity import event_keys
from flashsim.events.noise import EVENT_IDS, Stream
from flashsim.nanoaod.hidden import HIDDEN_BRANCHES as _HIDDEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    import awkward as ak
    from numpy.typing import NDArray

__all__ = ["GEN_BRANCHES", "HIDDEN_BRANCHES", "Noise", "Truth", "read_truth"]

_VIEW = GenView.model_validate(
    {
        "schema_version": 1,
        "collections": {
            "GenJet": {
                "branch": "GenJet",
                "fields": ["pt", "eta", "phi", "mass", "partonFlavour", "hadronFlavour"],
            },
            "GenPart": {
                "branch": "GenPart",
                "fields": ["pt", "eta", "phi", "pdgId", "status", "statusFlags", "charge", "origin"],
            },
        },
    }
)
_SCALARS = (
    *("Pileup_nTrueInt", "Pileup_nPU", "Pileup_pudensity"),
    *("GenMET_pt", "GenMET_phi", "GenVtx_x", "GenVtx_y", "GenVtx_z"),
)

GEN_BRANCHES: tuple[str, ...] = (*EVENT_IDS, *_SCALARS, *gen_view_branches(_VIEW))
"""Branches that a detector reads of the gen-level file."""

HIDDEN_BRANCHES: tuple[str, ...] = tuple(branch.name for branch in _HIDDEN)
"""Branches that a detector reads of the hidden file."""


@dataclass(frozen=True)
class Truth:
    """Gen-level content of E events.

    Parameters
    ----------
    key
        Shape (E,): `flashsim.events.identity.event_keys` of each event.
    jets
        Every GenJet: pt, eta, phi, mass, partonFlavour, hadronFlavour, and the columns of ``HiddenJet``.
    leptons
        Every stable electron and muon of GenPart: pt, eta, phi, pdgId, statusFlags, charge, origin (as in
        genPartFlav: 1 prompt, 15 prompt tau, 5 b, 4 c, 3 other), and the columns of ``HiddenLepton``.
    event
        One value an event by name: the scalars of the gen-level file (Pileup, GenMET, GenVtx), and the
        columns of ``HiddenEvent`` by their short names.
    """

    key: NDArray[np.uint64]
    jets: Collection
    leptons: Collection
    event: dict[str, NDArray[Any]]

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.key)


def read_truth(gen: Mapping[str, ak.Array], hidden: Mapping[str, ak.Array]) -> Truth:
    """Bring the branches of the two files of a chunk together.

    Parameters
    ----------
    gen
        At least `GEN_BRANCHES` of the chunk, by name.
    hidden
        `HIDDEN_BRANCHES` of the same events.
    """
    view = build_gen_view(_VIEW, gen)
    jets = view["GenJet"]
    jets = Collection(jets.offsets, jets.columns | _hidden_columns("HiddenJet", hidden))
    columns = _hidden_columns("HiddenLepton", hidden)
    offsets, _ = flat_column(hidden["HiddenLepton_genPartIdx"])
    counts = np.diff(offsets)
    particles = view["GenPart"]
    rows = np.repeat(particles.offsets[:-1], counts) + columns["genPartIdx"]
    of_particle = {name: values[rows] for name, values in particles.columns.items() if name != "status"}
    event = {name: np.asarray(gen[name]) for name in _SCALARS}
    event |= {
        name.removeprefix("HiddenEvent_"): np.asarray(hidden[name])
        for name in HIDDEN_BRANCHES
        if name.startswith("HiddenEvent_")
    }
    return Truth(
        key=event_keys(gen),
        jets=jets,
        leptons=Collection(offsets, of_particle | columns),
        event=event,
    )


def _hidden_columns(collection: str, hidden: Mapping[str, ak.Array]) -> dict[str, NDArray[Any]]:
    prefix = f"{collection}_"
    columns = {
        name.removeprefix(prefix): flat_column(hidden[name])[1]
        for name in HIDDEN_BRANCHES
        if name.startswith(prefix)
    }
    return {
        name: values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        for name, values in columns.items()
    }


@dataclass(frozen=True)
class Noise:
    """The random numbers of one detector in one draw.

    Parameters
    ----------
    seed
        The user's seed.
    detector
        Name of the detector, so that two of them differ. The empty name is for what all share: pileup.
    draw
        Number of the independent draw of the same gen events.
    """

    seed: int
    detector: str
    draw: int = 0

    @property
    def shared(self) -> Noise:
        """The noise that all detectors of this draw have in common."""
        return Noise(self.seed, "", self.draw)

    def normal(
        self, truth: Truth, objects: Collection, name: str, purpose: str, columns: int
    ) -> NDArray[np.float64]:
        """Draw standard normal numbers of each object, shape (N, columns).

        Parameters
        ----------
        truth
            The events.
        objects
            A collection of them; the numbers belong to the event and the position in its collection.
        name, purpose
            What is drawn, such as ``"Jet"``, and what for; different ones are independent.
        columns
            How many numbers an object gets.
        """
        return self._stream(name, purpose).normal(truth.key[objects.event_rows], objects.local_index, columns)

    def uniform(
        self, truth: Truth, objects: Collection, name: str, purpose: str, columns: int
    ) -> NDArray[np.float64]:
        """Draw numbers in (0, 1); parameters as for `normal`."""
        return self._stream(name, purpose).uniform(
            truth.key[objects.event_rows], objects.local_index, columns
        )

    def event_normal(self, truth: Truth, purpose: str, columns: int) -> NDArray[np.float64]:
        """Draw standard normal numbers of each event, shape (E, columns)."""
        return self._stream("Event", purpose).normal(truth.key, np.zeros(truth.events, np.int64), columns)

    def event_uniform(self, truth: Truth, purpose: str, columns: int) -> NDArray[np.float64]:
        """Draw numbers in (0, 1) of each event, shape (E, columns)."""
        return self._stream("Event", purpose).uniform(truth.key, np.zeros(truth.events, np.int64), columns)

    def _stream(self, name: str, purpose: str) -> Stream:
        return Stream(self.seed, f"{self.detector}/{name}", purpose, self.draw)
