"""The same physics in the ways in which generators write it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flashsim.declarations.gen_collections import StatusFlag
from flashsim.gen.hepmc.reader import HepMCReader
from flashsim.gen.particles import gen_part
from flashsim.gen.pythia import PythiaGenerator
from flashsim.gen.record import EventRecord
from flashsim.gen.status import status_flags

BEAM, INCOMING, RESONANCE, OUTGOING = 4, 21, 22, 23
LEPTONS = (11, 13)
Z_TO_LEPTONS = """
Beams:eCM = 13000.
WeakSingleBoson:ffbar2gmZ = on
23:onMode = off
23:onIfAny = 11 13
PhaseSpace:mHatMin = 60.
"""


@pytest.fixture
def read(record_of, hepmc_text, version, tmp_path):
    """Write events of named lines, and read them: the record, its flags, and the places of the names."""

    def make(lines, hard=None):
        record = record_of(list(lines.values()))
        place = {name: i for i, name in enumerate(lines)}
        vertex = [-1 if hard is None else record.production_vertex[place[hard]]]
        path = tmp_path / "events.hepmc"
        path.write_text(hepmc_text(record, version, hard=vertex))
        with HepMCReader(path) as reader:
            ((batch, _),) = reader.batches()
        found = batch.record
        # HepMC2 lists particles by their vertices.
        order = {
            name: int(np.flatnonzero((found.pdg_id == line.pdg_id) & np.isclose(found.px, line.px)
                                     & np.isclose(found.pz, line.pz))[0])
            for name, line in lines.items()
        }  # fmt: skip
        return found, status_flags(found), order

    return make


def prompt(flags, place, *names):
    return [bool(flags[place[name]] & StatusFlag.isPrompt) for name in names]


def hard(flags, place, *names):
    return [bool(flags[place[name]] & StatusFlag.fromHardProcess) for name in names]


def sherpa(line, copy, lepton=13):
    """Both beams twice; a pair of leptons without a Z, which radiates in one vertex; a B hadron."""
    return {
        "beam 1": line(2212, 4, px=0, pz=6500),
        "beam 2": line(2212, 4, px=0, pz=-6500),
        "copy 1": line(2212, copy, (0,), px=0, pz=6499),
        "copy 2": line(2212, copy, (1,), px=0, pz=-6499),
        "u": line(2, 3, (2, 3), px=0, pz=40),
        "ubar": line(-2, 3, (2, 3), px=0, pz=-50),
        "b": line(5, 11, (2, 3), px=21, pz=3),
        "l-": line(lepton, 3, (4, 5), px=30, pz=1),
        "l+": line(-lepton, 3, (4, 5), px=-31, pz=2),
        "l- bare": line(lepton, 1, (7, 8), px=28, pz=1),
        "l+ bare": line(-lepton, 1, (7, 8), px=-27, pz=2),
        "photon": line(22, 1, (7, 8), px=2),
        "B": line(-511, 2, (6,), px=20, pz=3, mass=5.28),
        "l from B": line(lepton, 1, (12,), px=9, pz=1),
        "nu from B": line(-lepton - 1, 1, (12,), px=8, pz=1),
    }


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("copy", [11, 2])
@pytest.mark.parametrize("lepton", LEPTONS)
def test_copies_of_beams_are_beams(read, line, copy, lepton, named):
    record, flags, place = read(sherpa(line, copy, lepton), hard="l-" if named else None)
    assert [record.status[place[name]] for name in ("beam 1", "copy 1", "copy 2")] == [BEAM] * 3
    assert [record.status[place[name]] for name in ("u", "ubar", "l-", "l+")] == [INCOMING] * 2 + [
        OUTGOING
    ] * 2
    assert all(prompt(flags, place, "l- bare", "l+ bare", "photon"))
    assert all(hard(flags, place, "l- bare", "l+ bare"))
    assert not any(prompt(flags, place, "l from B", "nu from B"))


def test_a_lepton_descends_from_itself_where_a_pair_radiates(read, line):
    lines = sherpa(line, 11)
    record, _, place = read(lines, hard="l-")
    kept = gen_part(record)
    index = {int(where): i for i, where in enumerate(kept.places)}
    mother = kept.branches["GenPart_genPartIdxMother"][0]
    for name in ("l-", "l+"):
        assert kept.places[mother[index[place[f"{name} bare"]]]] == place[name]


def beside(line):
    """Sherpa 2: the hard process beside the event, ending nowhere; its leptons come out of a shower."""
    return {
        "beam 1": line(2212, 4, px=0, pz=6500),
        "copy 1": line(2212, 11, (0,), px=0, pz=6499),
        "u": line(2, 3, px=0, pz=85),
        "ubar": line(-2, 3, px=0, pz=-245),
        "e-": line(11, 3, (2, 3), px=16, pz=18),
        "e+": line(-11, 3, (2, 3), px=-17, pz=-95),
        "s": line(3, 3, (2, 3), px=1, pz=50),
        "g 1": line(21, 11, (1,), px=0, pz=851),
        "g 2": line(21, 11, (1,), px=0, pz=-400),
        "e- again": line(11, 11, (7, 8), px=16.5, pz=18.5),
        "e+ again": line(-11, 11, (7, 8), px=-17.5, pz=-95.5),
        "s again": line(3, 11, (7, 8), px=1.5, pz=50.5),
        "soft e-": line(11, 1, (7, 8), px=1, pz=1),
        "e- bare": line(11, 1, (9, 10), px=15, pz=17),
        "e+ bare": line(-11, 1, (9, 10), px=-15, pz=-94),
        "pion": line(111, 2, (11,), px=3, pz=45, mass=0.135),
        "e of pion": line(11, 1, (15,), px=2.5, pz=40),
        "photon": line(22, 1, (15,), px=0.5, pz=5),
    }


def test_a_hard_process_beside_the_event_is_joined_to_it(read, line):
    record, flags, place = read(beside(line), hard="e-")
    assert [record.status[place[name]] for name in ("u", "ubar")] == [INCOMING] * 2
    names = ("e- again", "e- bare", "e+ again", "e+ bare")
    assert all(prompt(flags, place, *names))
    assert all(hard(flags, place, *names))
    assert not any(hard(flags, place, "soft e-", "e of pion"))
    assert not any(prompt(flags, place, "e of pion"))
    family = record.genealogy
    for name in ("e-", "e+"):
        again = place[f"{name} again"]
        assert list(family.mothers[family.mother_offsets[again] : family.mother_offsets[again + 1]]) == [
            place[name]
        ]


def loop():
    """Sherpa 1 in HepMC2: what leaves the hard process (vertex -2) enters the vertex of the shower (-1)."""
    p = {
        "beam 1": ("-11 0 0 17 17 0 4", -1),
        "beam 2": ("11 0 0 -17 17 0 4", -1),
        "in 1": ("-11 0 0 16 16 0 3", -2),
        "in 2": ("11 0 0 -16 16 0 3", -2),
        "shower": ("5 9 0 0 10.2 4.8 1", 0),
        "out 1": ("5 10 0 0 11.1 4.8 3", -1),
        "out 2": ("-13 -10 0 0 10 0.1 3", -1),
        "muon": ("-13 -9 0 0 9 0.1 1", 0),
    }
    number = {name: 10001 + i for i, name in enumerate(p)}
    lines = [f"P {number[name]} {text} 0 0 {end} 0" for name, (text, end) in p.items()]
    vertices = {-1: (["beam 1", "beam 2"], ["in 1", "in 2", "shower", "muon"]), -2: ([], ["out 1", "out 2"])}
    body = []
    for vertex, (orphans, out) in vertices.items():
        body.append(f"V {vertex} 0 0 0 0 0 {len(orphans)} {len(out)} 0")
        body += [lines[number[name] - 10001] for name in (*orphans, *out)]
    return body


@pytest.mark.parametrize("named", [True, False])
def test_a_loop_is_cut_at_the_hard_process_or_refused(tmp_path, named):
    from flashsim.errors import InputFileError

    path = tmp_path / "loop.hepmc"
    head = f"E 26 -1 -1 -1 -1 0 {-2 if named else 0} 2 10001 10002 0 1 1.0"
    text = ["HepMC::Version 2.06.05", "HepMC::IO_GenEvent-START_EVENT_LISTING", head, "U GEV MM", *loop()]
    path.write_text("\n".join([*text, "HepMC::IO_GenEvent-END_EVENT_LISTING", ""]))
    if not named:
        with pytest.raises(
            InputFileError, match=r"loop\.hepmc: event 1 \(number 26 in the file\): .* a loop"
        ):
            HepMCReader(path)
        return
    with HepMCReader(path) as reader:
        ((batch, _),) = reader.batches()
    record = batch.record
    by_momentum = {
        (int(code), float(px)): i for i, (code, px) in enumerate(zip(record.pdg_id, record.px, strict=True))
    }
    muon, outgoing = by_momentum[-13, -9.0], by_momentum[-13, -10.0]
    assert record.status[outgoing] == OUTGOING
    assert record.status[by_momentum[5, 10.0]] == OUTGOING
    assert sorted(record.status[record.pdg_id == 11]) == [BEAM, INCOMING]
    flags = status_flags(record)
    assert flags[muon] & StatusFlag.isPrompt
    assert flags[muon] & StatusFlag.fromHardProcess


def test_what_leaves_the_hard_process_never_enters_it(read, line):
    """Marked partons that go on as marked ones are outgoing still."""
    record, _, place = read(
        {
            "beam 1": line(2212, 4, px=0, pz=6500),
            "beam 2": line(2212, 4, px=0, pz=-6500),
            "u before": line(2, 3, (0,), px=0, pz=60),
            "u": line(2, 3, (2,), px=0, pz=40),
            "g": line(21, 3, (1,), px=0, pz=-50),
            "b": line(5, 3, (3, 4), px=30),
            "bbar": line(-5, 3, (3, 4), px=-30),
            "b after": line(5, 3, (5,), px=29),
            "gluon": line(21, 3, (5,), px=1),
            "B": line(-511, 1, (7,), px=28, mass=5.28),
        }
    )
    status = {name: int(record.status[i]) for name, i in place.items()}
    assert [status[name] for name in ("u before", "u", "g")] == [INCOMING] * 3
    assert [status[name] for name in ("b", "bbar", "gluon")] == [OUTGOING] * 3


def test_documentation_of_pythia_6(read, line):
    """All of the hard process has status 3, the beams as well."""
    record, flags, place = read(
        {
            "beam 1": line(2212, 3, px=0, pz=6500),
            "beam 2": line(2212, 3, px=0, pz=-6500),
            "u": line(2, 3, (0,), px=0, pz=40),
            "ubar": line(-2, 3, (1,), px=0, pz=-50),
            "Z": line(23, 3, (2, 3), px=1, mass=91),
            "tau": line(15, 3, (4,), px=30, mass=1.78),
            "mu": line(-13, 3, (4,), px=-31),
            "tau after": line(15, 2, (5,), px=29, mass=1.78),
            "nu": line(16, 1, (7,), px=10),
            "e": line(11, 1, (7,), px=9),
            "nu e": line(-12, 1, (7,), px=8),
            "mu after": line(-13, 1, (6,), px=-30.5),
        }
    )
    status = {name: int(record.status[i]) for name, i in place.items()}
    assert status["beam 1"] == status["beam 2"] == BEAM
    assert (status["u"], status["ubar"], status["Z"]) == (INCOMING, INCOMING, RESONANCE)
    assert (status["tau"], status["tau after"], status["mu"]) == (OUTGOING, 2, OUTGOING)
    assert prompt(flags, place, "mu after", "tau after", "e") == [True, True, False]
    assert hard(flags, place, "mu after", "tau after") == [True, True]
    assert flags[place["e"]] & StatusFlag.isDirectPromptTauDecayProduct


def test_nuclei_break_up_into_nucleons_that_are_no_decayed_hadrons(read, line):
    record, flags, place = read(
        {
            "lead": line(1000822080, 4, px=0, pz=500_000, mass=193.7),
            "proton": line(2212, 4, px=0, pz=-6500, mass=0.938),
            "nucleon": line(2112, 2, (0,), px=0, pz=2500, mass=0.94),
            "spectator": line(1000822070, 1, (0,), px=0, pz=497_500, mass=192.8),
            "pion": line(211, 1, (2, 1), px=2, mass=0.14),
            "pi0": line(111, 2, (2, 1), px=3, mass=0.135),
            "muon": line(13, 1, (2, 1), px=4, mass=0.106),
            "delta": line(2224, 2, (2, 1), px=5, mass=1.23),
            "electron": line(11, 1, (5,), px=2.5),
            "photon": line(22, 1, (5,), px=0.5),
            "proton of delta": line(2212, 1, (7,), px=4.5, mass=0.938),
            "pion of delta": line(211, 1, (7,), px=0.6, mass=0.14),
        }
    )
    assert [record.status[place[name]] for name in ("lead", "proton", "nucleon")] == [BEAM] * 3
    assert record.status[place["pi0"]] == record.status[place["delta"]] == 2
    assert prompt(flags, place, "muon", "electron", "proton of delta") == [True, False, False]
    assert not any(hard(flags, place, *place))


@pytest.mark.parametrize("beam", LEPTONS)
def test_beams_of_leptons_and_their_radiation(read, line, beam):
    record, flags, place = read(
        {
            "beam 1": line(beam, 4, px=0, pz=45.6),
            "beam 2": line(-beam, 4, px=0, pz=-45.7),
            "after 1": line(beam, 11, (0,), px=0, pz=45),
            "photon": line(22, 1, (0,), px=0.01, pz=0.6),
            "tau-": line(15, 11, (2, 1), px=30, mass=1.78),
            "tau+": line(-15, 2, (2, 1), px=-30, mass=1.78),
            "tau- after": line(15, 2, (4,), px=29, mass=1.78),
            "nu": line(16, 1, (6,), px=10),
            "pion": line(-211, 1, (6,), px=19, mass=0.14),
            "antinu": line(-16, 1, (5,), px=-10),
            "lepton": line(-beam, 1, (5,), px=-9),
            "nu of lepton": line(beam + 1, 1, (5,), px=-8),
        }
    )
    assert [record.status[place[name]] for name in ("beam 1", "beam 2", "after 1")] == [BEAM] * 3
    assert not np.isin(record.status[place["photon"]], (0, 2, 3))
    assert all(prompt(flags, place, "tau- after", "tau+", "photon"))
    assert all(hard(flags, place, "tau- after", "tau+"))
    assert prompt(flags, place, "lepton", "pion") == [False, False]
    assert flags[place["lepton"]] & StatusFlag.isPromptTauDecayProduct


@pytest.mark.parametrize("lepton", LEPTONS)
def test_scattered_leptons_of_the_beam_are_prompt(read, line, lepton):
    """Deep inelastic scattering: the lepton turns, and radiates."""
    record, flags, place = read(
        {
            "e": line(lepton, 4, px=0, pz=-27.5),
            "p": line(2212, 4, px=0, pz=920, mass=0.938),
            "p copy": line(2212, 11, (1,), px=0, pz=919, mass=0.938),
            "b": line(5, 11, (2,), px=0, pz=80),
            "e out": line(lepton, 11, (0, 3), px=15, pz=-10),
            "b out": line(5, 11, (0, 3), px=-15, pz=60),
            "e bare": line(lepton, 1, (4,), px=14, pz=-9),
            "photon": line(22, 1, (4,), px=1, pz=-1),
            "B": line(-511, 2, (5,), px=-14, pz=55, mass=5.28),
            "lepton of B": line(lepton, 1, (8,), px=-6, pz=20),
            "D": line(411, 2, (8,), px=-5, pz=21, mass=1.87),
            "lepton of D": line(-lepton, 1, (10,), px=-3, pz=10),
        }
    )
    assert record.status[place["p copy"]] == BEAM
    assert record.status[place["e out"]] == OUTGOING
    assert prompt(flags, place, "e bare", "photon", "lepton of B", "lepton of D") == [
        True,
        True,
        False,
        False,
    ]
    assert hard(flags, place, "e bare", "lepton of B") == [True, False]


def test_hadrons_without_a_mother_decay(read, line):
    """Some generators list hadrons without their origin, beside the beams."""
    record, flags, place = read(
        {
            "beam 1": line(2212, 4, px=0, pz=6500),
            "beam 2": line(2212, 4, px=0, pz=-6500),
            "pion": line(211, 1, (0, 1), px=3),
            "D": line(411, 2, px=10, mass=1.87),
            "muon": line(-13, 1, (3,), px=5),
            "nu": line(14, 1, (3,), px=4),
        }
    )
    assert record.status[place["D"]] == 2
    assert prompt(flags, place, "muon") == [False]


def test_hadrons_of_an_event_without_beams_decay(read, line):
    """As SIBYLL's and other generators' of air showers, which leave the beams out."""
    record, flags, place = read(
        {
            "delta": line(2224, 2, px=2, mass=1.23),
            "pi0": line(111, 2, px=4, mass=0.135),
            "eta": line(221, 2, px=6, mass=0.55),
            "proton": line(2212, 1, (0,), px=1.5, mass=0.938),
            "electron": line(11, 1, (1,), px=3),
            "positron": line(-11, 1, (1,), px=0.7),
            "muon": line(13, 1, (2,), px=5),
        }
    )
    assert [record.status[place[name]] for name in ("delta", "pi0", "eta")] == [2] * 3
    assert not any(prompt(flags, place, "proton", "electron", "positron", "muon"))


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    path = tmp_path_factory.mktemp("z") / "z.cmnd"
    path.write_text(Z_TO_LEPTONS)
    return next(PythiaGenerator(path, 11).batches(20)).record


def like_sherpa(record):
    """Events of Pythia with Sherpa's codes, and each beam twice."""
    parts = []
    vertices = int(max(record.production_vertex.max(), record.end_vertex.max())) + 1
    for start, stop in zip(record.offsets[:-1], record.offsets[1:], strict=True):
        own = np.arange(start, stop)
        beams = own[(record.status[own] == BEAM)]
        parts.append((own, beams))
    index = np.concatenate([np.concatenate([own, beams]) for own, beams in parts])
    copies = np.concatenate(
        [np.r_[np.zeros(len(own), bool), np.ones(len(beams), bool)] for own, beams in parts]
    )
    columns = {name: getattr(record, name)[index] for name in
               ("pdg_id", "status", "production_vertex", "end_vertex", "px", "py", "pz", "energy", "mass",
                "x", "y", "z")}  # fmt: skip
    new = vertices + np.arange(np.count_nonzero(copies))
    columns["production_vertex"] = columns["production_vertex"].copy()
    columns["production_vertex"][copies] = new
    first = np.concatenate([np.isin(np.concatenate([own, beams]), beams) for own, beams in parts]) & ~copies
    end = columns["end_vertex"].copy()
    end[first] = new
    status = columns["status"]
    status = np.where(np.isin(status, (1, 2, BEAM)), status, 11)
    status[copies] = 11
    columns |= {"end_vertex": end, "status": status.astype(np.int32)}
    counts = [len(own) + len(beams) for own, beams in parts]
    return EventRecord(offsets=np.concatenate([[0], np.cumsum(counts)]), **columns)


def leptons(record):
    """Final leptons above 1 GeV of each event with what CMS says of their origin."""
    bits = StatusFlag.isPrompt | StatusFlag.isPromptTauDecayProduct | StatusFlag.isDirectHadronDecayProduct
    flags = status_flags(record)
    chosen = np.flatnonzero((record.status == 1) & np.isin(record.abs_pdg_id, (11, 13, 15)) & (record.pt > 1))
    return sorted(
        (
            int(record.event_index[i]),
            int(record.pdg_id[i]),
            round(float(record.px[i]), 6),
            int(flags[i] & bits),
        )
        for i in chosen
    )


def test_leptons_of_z_are_prompt_as_in_pythia(generated, hepmc_text, version, tmp_path):
    path = tmp_path / "like_sherpa.hepmc"
    path.write_text(hepmc_text(like_sherpa(generated), version))
    with HepMCReader(path) as reader:
        ((batch, _),) = reader.batches()
    found = leptons(batch.record)
    assert found == leptons(generated)
    assert sum(flags & StatusFlag.isPrompt > 0 for *_, flags in found) >= 2 * generated.events


def test_without_the_copies_of_beams_nothing_changes(read, line):
    lines = sherpa(line, 11)
    _, with_copies, place = read(lines, hard="l-")
    few = {name: one for name, one in lines.items() if not name.startswith("copy")}
    moved = {2: 0, 3: 1}
    few = {
        name: replace(one, mothers=tuple(moved.get(m, m - 2 if m > 3 else m) for m in one.mothers))
        for name, one in few.items()
    }
    _, without, other = read(few, hard="l-")
    for name in few:
        assert with_copies[place[name]] == without[other[name]] or name.startswith("beam")
