"""Truth written by hand: events whose gen-level content a test knows."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.events.collection import Collection
from flashsim.events.noise import event_hash
from flashsim.reference.detector.parameters import load_detector
from flashsim.reference.detector.truth import Noise, Truth

JET = {
    "pt": 60.0,
    "eta": 0.5,
    "phi": 1.0,
    "mass": 8.0,
    "partonFlavour": 1,
    "hadronFlavour": 0,
    "nConstituents": 25,
    "nCharged": 15,
    "chHEF": 0.6,
    "neHEF": 0.1,
    "chEmEF": 0.0,
    "neEmEF": 0.3,
    "muEF": 0.0,
    "ptD": 0.4,
    "girth": 0.1,
    "leading": 0.3,
    "neutrinoPt": 0.0,
    "flight": 0.0,
    "d0Second": 0.0,
    "d0Third": 0.0,
}
LEPTON = {
    "pt": 40.0,
    "eta": 0.7,
    "phi": -1.0,
    "pdgId": 13,
    "statusFlags": 8449,
    "charge": -1,
    "origin": 1,
    "genPartIdx": 3,
    "dxy": 0.0,
    "dz": 0.0,
    **dict.fromkeys(("charged03", "neutral03", "photon03", "charged04", "neutral04", "photon04"), 0.0),
}
EVENT = {
    "Pileup_nTrueInt": 33.0,
    "Pileup_nPU": 33,
    "Pileup_pudensity": 0.0,
    "GenMET_pt": 30.0,
    "GenMET_phi": 0.5,
    "GenVtx_x": 0.01,
    "GenVtx_y": 0.04,
    "GenVtx_z": 1.0,
    "nTracks": 80,
    "nHadrons": 17,
    "sumPt2": 3000.0,
    "sumEt": 500.0,
}


def _column(value, count):
    return np.full(count, value, dtype=np.float64 if isinstance(value, float) else np.int64)


def _truth_of(events, *, leptons=1, jets=0, lepton=None, jet=None, event=None):
    def collection(default, given, number):
        columns = {name: _column(value, events * number) for name, value in default.items()}
        return Collection.of_counts(np.full(events, number), columns | (given or {}))

    numbers = np.arange(events)
    values = {name: _column(value, events) for name, value in EVENT.items()} | (event or {})
    return Truth(
        key=event_hash(np.ones(events, dtype=np.int64), numbers // 100, numbers),
        jets=collection(JET, jet, jets),
        leptons=collection(LEPTON, lepton, leptons),
        event=values,
    )


@pytest.fixture(scope="session")
def truth_of():
    """Make a truth of alike events; columns and values may be given in place of the defaults."""
    return _truth_of


@pytest.fixture(scope="session", params=["full", "fast"])
def detector(request):
    """The parameters of each shipped detector."""
    return load_detector(request.param)


@pytest.fixture(scope="session")
def full():
    """The parameters of the detector that stands for full simulation."""
    return load_detector("full")


@pytest.fixture(scope="session")
def noise():
    """The random numbers of a detector."""
    return Noise(7, "full")


@pytest.fixture(scope="session")
def reco_jets():
    """Make reconstructed jets of events, `number` each, far from everything unless columns say where."""

    def make(events, number=0, **columns):
        default = {"pt": 50.0, "eta": 4.5, "phi": 0.0, "rawFactor": 0.1, "genJetIdx": -1}
        values = {name: _column(value, events * number) for name, value in default.items()}
        return Collection.of_counts(np.full(events, number), values | columns)

    return make
