"""Made events whose objects hang together in ways that are known."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.whole_events.reading import WholeEvents
from flashsim.events.collection import Collection

FIELDS = {
    "Jet": ["pt", "eta", "phi", "mass", "area", "rawFactor", "chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"],
    "Muon": ["pt", "eta", "phi", "ip3d", "dxy", "dz"],
    "Event": ["MET_pt", "MET_phi", "fixedGridRhoFastjetAll", "PV_npvsGood"],
}


@pytest.fixture(scope="session")
def fields():
    """Names of what is looked at, by collection."""
    return FIELDS


@pytest.fixture(scope="session")
def make_events():
    """Make events of three jets, the second of which holds a muon; the gen level is always the same."""

    def make(seed, *, events=400, adds_up=True, muon_in_jet=True, shared=0.0, unmatched=False):
        gen_rng, rng = np.random.default_rng(1), np.random.default_rng([2, seed])
        number = 3 * events
        gen = {
            "pt": gen_rng.exponential(30.0, number) + 20.0,
            "eta": gen_rng.uniform(-2.0, 2.0, number),
            "phi": np.tile([-2.0, 0.0, 2.0], events) + gen_rng.uniform(-0.3, 0.3, number),
            "mass": gen_rng.uniform(2.0, 9.0, number),
        }
        scale = np.repeat(rng.normal(0.0, shared, events), 3) + rng.normal(1.0, 0.1, number)
        shares = rng.dirichlet((5, 3, 2, 1), number)
        mu = np.where(np.arange(number) % 3 == 1, rng.uniform(0.05, 0.5, number), 0.0)
        total = 1.0 - mu if adds_up else (1.0 - mu) * rng.normal(1.0, 0.05, number)
        jet = {
            "pt": gen["pt"] * scale,
            "eta": gen["eta"] + rng.normal(0.0, 0.01, number),
            "phi": gen["phi"] + rng.normal(0.0, 0.01, number),
            "mass": gen["mass"] * rng.normal(1.0, 0.1, number),
            "area": rng.normal(0.5, 0.02, number),
            "rawFactor": rng.normal(0.05, 0.02, number),
            **dict(zip(("chHEF", "neHEF", "chEmEF", "neEmEF"), (shares * total[:, None]).T, strict=True)),
            "muEF": mu,
        }
        hidden = np.arange(number) % 3 == 2 if unmatched else np.zeros(number, dtype=bool)
        known = {f"gen.{name}": np.where(hidden, np.nan, values) for name, values in gen.items()}
        second = np.arange(1, number, 3)
        muon = {name: jet[name][second] for name in ("eta", "phi")}
        muon["pt"] = (jet["pt"] * (1.0 - jet["rawFactor"]) * jet["muEF"])[second]
        if not muon_in_jet:
            muon["phi"] = muon["phi"] + 1.0
        muon |= {"dxy": rng.normal(0.0, 0.01, events), "dz": rng.normal(0.0, 0.02, events)}
        muon["ip3d"] = np.hypot(muon["dxy"], muon["dz"])
        muon |= {f"gen.{name}": muon[name] for name in ("pt", "eta", "phi")}
        counts = np.full(events, 3)
        return WholeEvents(
            events,
            {
                "Jet": Collection.of_counts(counts, jet | known),
                "GenJet": Collection.of_counts(counts, gen),
                "Muon": Collection.of_counts(np.ones(events, dtype=np.int64), muon),
            },
            {
                "event": np.arange(events),
                "MET_pt": rng.exponential(20.0, events),
                "MET_phi": rng.uniform(-3.0, 3.0, events),
                "GenMET_pt": gen_rng.exponential(10.0, events),
                "GenMET_phi": gen_rng.uniform(-3.0, 3.0, events),
                "fixedGridRhoFastjetAll": rng.normal(20.0, 4.0, events),
                "PV_npvsGood": rng.integers(10, 40, events),
            },
        )

    return make
