"""Made NanoAOD with two muons and some jets an event, near all thresholds of the selection."""

from __future__ import annotations

import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from flashsim.analysis.concepts import resolve
from flashsim.analysis.selection import load_selection
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import load_schema
from flashsim.nanoaod.writing import NanoWriter

# The command that executes the notebook stands beside the package; last, so that the installed one is tested.
sys.path.append(str(Path(__file__).resolve().parents[2]))


def write_dimuon_nanoaod(
    path, events=300, *, seed=1, detector=1, signal=False, folds=1, version="v9", drop=(), block=1
):
    """Write NanoAOD; files of one seed have the same gen events, and other objects with another detector.

    With folds every gen event stands there so often, each for its share of the weight. Files count their
    events alike, as many jobs do, but for `block`, the first luminosity block.
    """
    rng = np.random.default_rng(seed)
    arrays = _gen_level(rng, events, signal=signal)
    arrays["luminosityBlock"] += block - 1
    rows = np.repeat(np.arange(events), folds)
    arrays = {name: values[rows] for name, values in arrays.items()}
    arrays["genWeight"] = arrays["genWeight"] / folds
    if folds > 1:
        arrays["fold"] = np.tile(np.arange(folds), events)
    arrays |= _reconstructed(np.random.default_rng([seed, detector]), arrays)
    arrays = {name: values for name, values in arrays.items() if name not in drop}
    schema = load_schema(version)
    own = {
        "fold": Branch("fold", np.dtype("u2")),
        "HLT_IsoMu24": Branch("HLT_IsoMu24", np.dtype("bool")),
        "LHEScaleWeight": Branch("LHEScaleWeight", np.dtype("f4"), "LHEScaleWeight"),
    }
    branches = [own[name] if name in own else schema[name] for name in arrays]
    with NanoWriter(path) as writer:
        writer.tree("Events", branches)
        writer.extend("Events", arrays)
        sums = [Branch("run", np.dtype("u4")), Branch("genEventSumw", np.dtype("f8"), None, "sum of weights")]
        writer.tree("Runs", sums)
        writer.extend("Runs", {"run": [1], "genEventSumw": [float(np.sum(arrays["genWeight"]))]})
    return path


def _gen_level(rng, events, *, signal):
    mass = rng.normal(125.0, 1.0, events) if signal else rng.uniform(80.0, 150.0, events)
    pt = np.stack([mass * rng.uniform(0.35, 0.7, events), mass * rng.uniform(0.2, 0.6, events)], axis=1)
    muon = {
        "pt": pt,
        "eta": rng.uniform(-2.6, 2.6, (events, 2)),
        "phi": rng.uniform(-np.pi, np.pi, (events, 2)),
        "pdgId": np.where(rng.random((events, 1)) < 0.5, [[13, -13]], [[-13, 13]]),
        "statusFlags": np.full((events, 2), 8449),
        "mass": np.zeros((events, 2)),
    }
    number = rng.integers(1, 6, events)
    total = number.sum()
    jet = {
        "pt": 15.0 + rng.exponential(60.0 if signal else 40.0, total),
        "eta": rng.choice([-1.0, 1.0], total) * rng.uniform(1.0 if signal else 0.0, 5.0, total),
        "phi": rng.uniform(-np.pi, np.pi, total),
        "mass": rng.uniform(2.0, 12.0, total),
    }
    whole = np.arange(events)
    scales = ak.Array(rng.normal(1.0, 0.1, (events, 9)).astype(np.float32))
    return {
        "run": np.ones(events, dtype=np.int64),
        "luminosityBlock": 1 + whole // 50,
        "event": 1 + whole,
        "genWeight": rng.choice([1.0, 1.5], events),
        "HLT_IsoMu24": rng.random(events) < 0.8,
        "LHEScaleWeight": ak.from_regular(scales),
        **{f"GenPart_{name}": ak.from_regular(ak.Array(values)) for name, values in muon.items()},
        **{f"GenJet_{name}": ak.unflatten(values, number) for name, values in jet.items()},
    }


def _reconstructed(rng, arrays):
    """Smear, lose, and let each cut of the selection fail for some objects."""
    found = ak.unflatten(
        rng.random(ak.sum(ak.num(arrays["GenPart_pt"]))) < 0.93, ak.num(arrays["GenPart_pt"])
    )
    muon = {name: arrays[f"GenPart_{name}"][found] for name in ("pt", "eta", "phi", "pdgId")}
    counts = ak.num(muon["pt"])
    number = int(ak.sum(counts))

    def column(values):
        return ak.unflatten(values, counts)

    muon["pt"] = muon["pt"] * column(rng.normal(1.0, 0.02, number))
    order = ak.argsort(muon["pt"], axis=1, ascending=False)
    muon = {name: values[order] for name, values in muon.items()}
    flipped = column(rng.choice([1, -1], number, p=[0.95, 0.05]))
    muon["charge"] = -np.sign(muon.pop("pdgId")) * flipped
    muon["mass"] = column(np.full(number, 0.10566))
    muon["ptErr"] = muon["pt"] * column(rng.uniform(0.01, 0.03, number))
    muon["pfRelIso04_all"] = column(rng.exponential(0.1, number))
    muon["mediumId"] = column(rng.random(number) < 0.95)
    jet = {name: arrays[f"GenJet_{name}"] for name in ("pt", "eta", "phi", "mass")}
    counts = ak.num(jet["pt"])
    number = int(ak.sum(counts))
    jet["pt"] = jet["pt"] * column(rng.normal(1.0, 0.15, number))
    jet["jetId"] = column(rng.choice([0, 2, 6], number, p=[0.05, 0.05, 0.9]))
    jet["puId"] = column(rng.choice([0, 4, 6, 7], number, p=[0.1, 0.1, 0.1, 0.7]))
    jet["qgl"] = column(rng.random(number))
    jet["btagDeepB"] = column(rng.random(number) ** 3)
    order = ak.argsort(jet["pt"], axis=1, ascending=False)
    return {
        **{f"Muon_{name}": values for name, values in muon.items()},
        **{f"Jet_{name}": values[order] for name, values in jet.items()},
    }


@pytest.fixture(scope="session")
def selection():
    """Give the shipped selection."""
    return load_selection("vbf_hmumu")


@pytest.fixture(scope="session")
def dimuon_nanoaod(tmp_path_factory):
    """Give a made file."""
    return write_dimuon_nanoaod(tmp_path_factory.mktemp("dimuon") / "full.root", 600)


@pytest.fixture
def resolved(selection):
    """Resolve the selection for files."""

    def make(*paths, **options):
        branches = {}
        for path in paths:
            with NanoFile(path) as file:
                branches[str(path)] = frozenset(file.branches)
        return resolve(selection, branches, **{"era": "UL2018", **options})

    return make


@pytest.fixture(scope="session")
def made_samples(tmp_path_factory):
    """Give a folder with made samples of signal and background, and the YAML file that names them."""
    folder = tmp_path_factory.mktemp("samples")
    for process, signal in (("higgs", True), ("dy", False)):
        for name, options in {
            "full": {},
            "flash": {"detector": 2},
            "over": {"detector": 3, "folds": 2},
            "other": {"seed": 7 + signal},
        }.items():
            path = folder / f"{process}_{name}.root"
            seed = {"seed": 1 + signal}
            write_dimuon_nanoaod(path, 1500, **{**seed, "signal": signal, **options})
    (folder / "samples.yaml").write_text(SAMPLES.replace("FOLDER", str(folder)), encoding="utf-8")
    return folder


SAMPLES = """
schema_version: 1
era: UL2018
luminosity: 59.8
reference: full
simulations:
  flash: {label: FlashSim}
  full: {label: reference}
  over: {label: oversampled}
  other: {label: other events}
  gen: {label: generated, view: gen}
processes:
  higgs:
    label: signal
    signal: true
    cross_section: 0.5
    files: {full: [FOLDER/higgs_full.root], flash: [FOLDER/higgs_flash.root], over: [FOLDER/higgs_over.root],
            other: [FOLDER/higgs_other.root], gen: [FOLDER/higgs_full.root]}
  dy:
    label: background
    cross_section: 20
    files: {full: [FOLDER/dy_full.root], flash: [FOLDER/dy_flash.root], over: [FOLDER/dy_over.root],
            other: [FOLDER/dy_other.root], gen: [FOLDER/dy_full.root]}
"""
