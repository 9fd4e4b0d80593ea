"""A small NanoAOD file with known truth."""

from __future__ import annotations

from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest

from flashsim.declarations.objects import ObjectDeclaration
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.writing import NanoWriter

IDS = {"run": "u4", "luminosityBlock": "u4", "event": "u8"}
GEN_JET = {"pt": "f4", "eta": "f4", "phi": "f4", "mass": "f4", "partonFlavour": "i4"}
JET = {"pt": "f4", "eta": "f4", "phi": "f4", "nConstituents": "i4", "btag": "f4", "genJetIdx": "i4"}

DECLARATION = {
    "schema_version": 1,
    "name": "toys",
    "collection": "Jet",
    "gen": "GenJet",
    "match": "genJetIdx",
    "gen_view": {
        "schema_version": 1,
        "collections": {
            "GenJet": {
                "branch": "GenJet",
                "fields": ["pt", "eta", "phi", "partonFlavour", "index"],
                "min_pt": 5.0,
            }
        },
    },
    "conditioning": [
        {"kind": "field", "name": "pt", "field": "pt", "scale": "log"},
        {"kind": "field", "name": "eta", "field": "eta"},
        {"kind": "closest", "name": "closestJet", "of": "GenJet", "cone": 2.0},
        {"kind": "event", "name": "nPU", "branch": "Pileup_nPU"},
    ],
    "targets": [
        {"branch": "pt", "relation": "excess", "threshold": 15.0, "width": 10.0},
        {"branch": "eta", "relation": "difference"},
        {"branch": "phi", "relation": "angle", "range": [-3.1415927410125732, 3.1415927410125732]},
        {"branch": "nConstituents", "discrete": True, "range": [0, 255]},
        {"branch": "btag", "range": [0, 1], "special": [-1]},
        {"branch": "absent", "until": "v5"},
    ],
    "derived": [{"branch": "twice", "source": "reco", "field": "absent", "factor": 2.0}],
    "unmatched": [
        {
            "name": "event",
            "source": "event",
            "conditioning": [
                {"kind": "event", "name": "nPU", "branch": "Pileup_nPU"},
                {"kind": "activity", "name": "genHT", "of": "GenJet"},
            ],
            "max_count": 3,
        }
    ],
}


@pytest.fixture(scope="session")
def toy_declaration():
    """Give the declaration of the objects of a toy file, with a target that the file does not have."""
    return ObjectDeclaration.model_validate(DECLARATION)


@pytest.fixture(scope="session")
def toy_nanoaod():
    """Give the function that writes a toy file and returns its truth."""
    return write_toy_nanoaod


def write_toy_nanoaod(path, events=40, first=0, seed=1, counts=None):
    """Write gen jets, 0 to 4 an event, and what a toy detector makes of them.

    Every gen jet above 20 GeV is found, with pT + 1 GeV, eta + 0.01, phi + 0.01; one jet in ten twice, its
    copy farther away; and every event with an odd number has one of no gen jet, with a
    negative index or, as in real files, one beyond the gen jets.

    Returns the number of gen jets above 5 GeV, of found ones and of unmatched jets, by event.
    """
    rng = np.random.default_rng(seed + first)
    numbers = first + np.arange(events)
    gen_counts = rng.integers(0, 5, events) if counts is None else np.asarray(counts)
    total = gen_counts.sum()
    gen = {
        "pt": rng.uniform(2.0, 100.0, total).astype(np.float32),
        "eta": rng.normal(0.0, 1.5, total).astype(np.float32),
        "phi": rng.uniform(-3.1, 3.1, total).astype(np.float32),
        "mass": rng.uniform(0.0, 9.0, total).astype(np.float32),
        "partonFlavour": rng.choice([0, 1, -2, 4, -5, 21], total),
    }
    event = np.repeat(np.arange(events), gen_counts)
    index = np.arange(total) - np.repeat(np.cumsum(gen_counts) - gen_counts, gen_counts)
    found = np.flatnonzero(gen["pt"] > 20.0)
    twice = found[rng.random(len(found)) < 0.1]
    odd = np.flatnonzero(numbers % 2 == 1)
    parts = [
        (
            event[found],
            index[found],
            gen["pt"][found] + 1,
            gen["eta"][found] + 0.01,
            gen["phi"][found] + 0.01,
        ),
        (event[twice], index[twice], gen["pt"][twice] + 2, gen["eta"][twice] + 0.3, gen["phi"][twice]),
        (odd, np.where(odd % 4 == 1, -1, 1_100_000), np.full(len(odd), 15.0), odd * 0.01, odd * 0.01),
    ]
    rows, reference, pt, eta, phi = (np.concatenate(column) for column in zip(*parts, strict=True))
    reco = {"pt": pt, "eta": eta, "phi": phi, "genJetIdx": reference}
    reco["nConstituents"] = 5 + rng.integers(0, 20, len(rows))
    reco["btag"] = np.where(rng.random(len(rows)) < 0.2, -1.0, rng.random(len(rows)))
    order = np.lexsort((-pt, rows))
    reco_counts = np.bincount(rows, minlength=events)
    arrays = {"run": np.ones(events), "luminosityBlock": 1 + numbers // 10, "event": numbers}
    arrays = {name: values.astype(np.int64) for name, values in arrays.items()}
    arrays["Pileup_nPU"] = numbers % 50
    arrays |= {f"GenJet_{name}": ak.unflatten(values, gen_counts) for name, values in gen.items()}
    arrays |= {f"Jet_{name}": ak.unflatten(values[order], reco_counts) for name, values in reco.items()}
    branches = [Branch(name, np.dtype(kind)) for name, kind in {**IDS, "Pileup_nPU": "i4"}.items()]
    branches += [Branch(f"GenJet_{name}", np.dtype(kind), "GenJet") for name, kind in GEN_JET.items()]
    branches += [Branch(f"Jet_{name}", np.dtype(kind), "Jet") for name, kind in JET.items()]
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", arrays)
    selected = gen["pt"] >= 5.0
    return SimpleNamespace(
        gen=np.bincount(event[selected], minlength=events),
        found=np.bincount(event[found], minlength=events),
        unmatched=np.bincount(event[twice], minlength=events) + (numbers % 2 == 1),
        arrays=arrays,
    )
