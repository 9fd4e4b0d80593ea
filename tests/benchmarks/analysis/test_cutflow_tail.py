from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from benchmarks.analysis.cutflow_tail import cutflow_tail, pick, promising
from flashsim.interface.reference import simulate
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter

MUON, TAU = 13, 15
JET = (60.0, 1.0, 0.0, 5.0)
BACK = (60.0, -1.0, 3.0, 5.0)
NEAR = (60.0, 1.1, 0.1, 5.0)


def write_gen(path, events):
    """Write events of particles (pt, eta, pdgId, status) and jets (pt, eta, phi, mass)."""
    schema = load_schema("v9")
    fields = {"GenPart": ("pt", "eta", "pdgId", "status"), "GenJet": ("pt", "eta", "phi", "mass")}
    branches = [schema[f"{c}_{name}"] for c, names in fields.items() for name in names]
    arrays = {
        f"{c}_{name}": ak.Array([[row[k] for row in event[number]] for event in events])
        for number, (c, names) in enumerate(fields.items())
        for k, name in enumerate(names)
    }
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", arrays)
    return path


def test_events_with_two_muons_and_massive_jets_are_promising(tmp_path):
    muons = [(30.0, 1.0, MUON, 1), (15.0, -2.4, -MUON, 1)]
    events = [
        (muons, [JET, BACK]),
        (muons[:1], [JET, BACK]),
        ([muons[0], (15.0, -2.4, -TAU, 2)], [JET, BACK]),
        ([muons[0], (5.0, 0.0, -MUON, 1)], [JET, BACK]),
        (muons, [JET, NEAR]),
        (muons, [JET]),
        (muons, [NEAR, JET, BACK]),
    ]
    found = promising(write_gen(tmp_path / "gen.root", events))
    assert found.tolist() == [True, False, False, False, False, False, True]


def test_what_is_picked_is_as_it_was(tmp_path, made_process):
    chosen = np.arange(240) % 3 == 1
    path = pick(made_process / "gen.root", tmp_path / "some.root", chosen)
    with NanoFile(made_process / "gen.root") as whole, NanoFile(path) as some:
        assert some.num_entries == 80
        assert some.trees == whole.trees
        before, after = (file.read(list(whole.branches)) for file in (whole, some))
    for name, column in before.items():
        assert ak.array_equal(after[name], column[chosen], dtype_exact=False), name


@pytest.mark.slow
def test_rare_steps_are_compared(tmp_path, few_interactions):
    process = tmp_path / "vbf_hmumu"
    simulate("vbf_hmumu", process, events=80, seed=3, workers=1, minbias=few_interactions)
    (tmp_path / "work").mkdir()
    found = cutflow_tail(process, tmp_path / "work", 3, few_interactions)
    assert 20 < found["picked"] < 80
    assert set(found["picked_share"].values()) <= {*np.round(np.linspace(0, 1, 10_001), 4)}
    assert found["picked_share"]["mjj"] > 0.9
    ratio, error = found["ratio"]["muons"]
    assert abs(ratio - 1.0) < 6.0 * error + 0.05
