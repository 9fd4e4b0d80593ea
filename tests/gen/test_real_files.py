"""Gen-level objects made anew of the particles in CMS files are those that CMS has made."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.gen.gen_taus import gen_visible_taus
from flashsim.gen.particle_level import dressed_leptons
from flashsim.gen.particles import GenParticles
from flashsim.gen.record import EventRecord

FILES = ("tt_2018_v5.root", "tt_2024_v15.root", "htt_fastsim_v9.root", "wjets_2015_v9.root")


@pytest.fixture(scope="module", params=FILES)
def real(request, nanoaod_dir):
    with uproot.open(nanoaod_dir / request.param) as file:
        return file["Events"].arrays(filter_name=["GenPart_*", "GenVisTau_*", "GenDressedLepton_*"])


def record_of_nanoaod(events):
    """Record of the particles that NanoAOD keeps, and these as `GenParticles`."""
    counts = ak.to_numpy(ak.num(events.GenPart_pt))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    start = np.repeat(offsets[:-1], counts)
    flat = {
        name.removeprefix("GenPart_"): ak.to_numpy(ak.flatten(events[name]))
        for name in events.fields
        if name.startswith("GenPart_")
    }
    mother = flat["genPartIdxMother"].astype(np.int64)
    mother[mother >= 0] += start[mother >= 0]
    # A vertex for each mother.
    end = np.full(len(mother), -1, dtype=np.int64)
    end[mother[mother >= 0]] = mother[mother >= 0]
    pt, eta, phi = (flat[name].astype(np.float64) for name in ("pt", "eta", "phi"))
    masses = {11: 0.000511, 13: 0.10566, 211: 0.13957, 321: 0.49368, 130: 0.49761, 310: 0.49761}
    known = np.array([masses.get(code, 0.0) for code in np.abs(flat["pdgId"]).tolist()])
    pz = pt * np.sinh(np.clip(eta, -30.0, 30.0))
    zero = np.zeros(len(pt))
    record = EventRecord(
        offsets=offsets,
        pdg_id=flat["pdgId"].astype(np.int32),
        status=flat["status"].astype(np.int32),
        production_vertex=mother,
        end_vertex=end,
        px=pt * np.cos(phi),
        py=pt * np.sin(phi),
        pz=pz,
        energy=np.sqrt(pt**2 + pz**2 + known**2),
        mass=known,
        x=zero,
        y=zero,
        z=zero,
    )
    everything = np.ones(len(pt), dtype=np.bool_)
    flags = flat["statusFlags"].astype(np.int32)
    branches = {"GenPart_pt": events.GenPart_pt}
    return record, GenParticles(branches, np.arange(len(pt)), flags, everything)


def shares(events, found, collection, names):
    """Share of CMS's objects that are found with the same pT and `names`, and how many there are too many."""
    same = total = 0
    for event in range(len(events)):
        theirs, mine = (
            [arrays[f"{collection}_{name}"][event].to_list() for name in ("pt", *names)]
            for arrays in (events, found)
        )
        total += len(theirs[0])
        for pt, *others in zip(*theirs, strict=True):
            same += any(
                abs(own / pt - 1) < 0.02 and values == others for own, *values in zip(*mine, strict=True)
            )
    return same / total, ak.sum(ak.num(found[f"{collection}_pt"])) / total


def test_visible_taus(real):
    record, particles = record_of_nanoaod(real)
    found = gen_visible_taus(record, particles)
    same, number = shares(real, found, "GenVisTau", ("status", "charge"))
    # Of soft taus that are not prompt, NanoAOD keeps only a part of the decay.
    assert same > 0.9
    assert 0.9 < number < 1.1


def test_dressed_leptons(real):
    if "GenDressedLepton_pt" not in real.fields or not ak.sum(ak.num(real.GenDressedLepton_pt)):
        pytest.skip("the file has no dressed leptons")
    record, particles = record_of_nanoaod(real)
    found = dressed_leptons(record, particles.flags)
    same, number = shares(real, found, "GenDressedLepton", ("pdgId", "hasTauAnc"))
    assert same > 0.97
    assert 0.98 < number < 1.03
