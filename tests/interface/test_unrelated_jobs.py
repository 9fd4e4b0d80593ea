"""Jobs of different seeds share no noise, whatever they call their events."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from scipy.stats import norm, rankdata

import flashsim
from flashsim.events.noise import EVENT_IDS, hash_events
from flashsim.generation import generate as module
from flashsim.interface.gen import make_gen
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter

EXAMPLE = Path(__file__).parents[2] / "examples" / "vbf_hmumu_gen.root"
JETS = 6
FIRST = {"run": np.uint32(1), "luminosityBlock": np.uint32(1)}


def responses(path, events):
    """Response in pT of the leading gen jets, shape (events, JETS); NaN where none was found."""
    with NanoFile(path) as file:
        arrays = file.read(["Jet_pt", "Jet_genJetIdx", "GenJet_pt"])
    found = np.full((events, JETS), np.nan)
    for row, (pt, index, gen) in enumerate(zip(*(arrays[name].to_list() for name in arrays), strict=True)):
        for value, k in zip(pt, index, strict=True):
            if 0 <= k < min(JETS, len(gen)):
                found[row, k] = value / gen[k]
    return found


def shared_part(values):
    """Correlation of responses at equal places, over all pairs of jobs, and its error; shape (J, E, JETS).

    Leading jets differ from others, which is no noise: they are compared among themselves, by rank.
    """
    z = np.full(values.shape, np.nan)
    for k in range(values.shape[2]):
        known = ~np.isnan(values[..., k])
        ranks = rankdata(values[..., k][known])
        z[..., k][known] = norm.ppf((ranks - 0.5) / len(ranks))
    known = ~np.isnan(z)
    z = np.where(known, z, 0.0)
    products = (z.sum(axis=0) ** 2 - (z**2).sum(axis=0)).sum() / 2
    pairs = (known.sum(axis=0) * (known.sum(axis=0) - 1)).sum() / 2
    return products / pairs, pairs**-0.5


def renumbered(source, target, start, events):
    """Write some events as a job does that counts from run 1, block 1, event 1."""
    with NanoFile(source) as file, NanoWriter(target) as writer:
        names = [name for name in file.branches if name.startswith(("Gen", "Pileup", "gen", *EVENT_IDS))]
        arrays = file.read(names, start, start + events)
        arrays |= {name: ak.Array(np.full(events, value)) for name, value in FIRST.items()}
        arrays["event"] = ak.Array(np.arange(1, events + 1, dtype=np.uint64))
        writer.tree("Events", [file.branches[name] for name in names])
        writer.extend("Events", arrays)
    return target


def simulated(paths, events, folder, **options):
    flashsim.generate(list(map(str, paths)), folder, seed=1, device="cpu", **options)
    return np.array([responses(folder / f"{path.stem}_flash.root", events) for path in paths])


@pytest.mark.parametrize("key", ["numbers and content", "numbers"])
def test_jobs_that_count_alike_share_no_noise(tmp_path, monkeypatch, key):
    """The events of the example as twenty jobs of 50; by their numbers alone they have one noise."""
    paths = [renumbered(EXAMPLE, tmp_path / f"{k}.root", 50 * k, 50) for k in range(20)]
    if key == "numbers":
        monkeypatch.setattr(module, "event_keys", hash_events)
    correlation, error = shared_part(simulated(paths, 50, tmp_path / "out"))
    assert error < 0.006
    if key == "numbers":
        assert correlation > 0.2
    else:
        assert abs(correlation) < 4 * error


@pytest.mark.slow
@pytest.mark.weekly
def test_a_hundred_jobs_of_pythia_share_no_noise(command_file, tmp_path):
    """A seed each, and numbers as they are by default."""
    paths = [tmp_path / f"{seed}.root" for seed in range(100)]
    for seed, path in enumerate(paths):
        make_gen(command_file("vbf_hmumu"), path, events=8, seed=seed)
    blocks = [int(NanoFile(path).read(["luminosityBlock"])["luminosityBlock"][0]) for path in paths]
    assert len(set(blocks)) == 100
    correlation, error = shared_part(simulated(paths, 8, tmp_path / "out"))
    assert error < 0.006
    assert abs(correlation) < 4 * error
