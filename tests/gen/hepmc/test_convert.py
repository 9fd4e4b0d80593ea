from __future__ import annotations

import gzip
import json
import warnings

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from flashsim.declarations.eras import load_era
from flashsim.errors import InputFileError, OutputFileError
from flashsim.gen import convert_hepmc, generate_gen
from flashsim.gen.hepmc.reader import HepMCReader
from flashsim.gen.pythia import PythiaGenerator, block_seed
from flashsim.gen.weights import weight_branches

pyhepmc = pytest.importorskip("pyhepmc", reason="pyhepmc is not installed (extra 'reference')")

EVENTS, SEED = 12, 5
WEIGHTS = ["nominal", "MUR=2 MUF=1", "MUR=0.5 MUF=1"]


def hepmc_events(generated, run, *, cm=False, shift=(0.0, 0.0, 0.0)):
    """Events of Pythia in HepMC's classes; in MeV and cm with `cm`, shifted by some mm."""
    units = pyhepmc.Units
    record = generated.record
    momentum, length = (1000.0, 0.1) if cm else (1.0, 1.0)
    for number, (start, stop) in enumerate(zip(record.offsets[:-1], record.offsets[1:], strict=True)):
        event = pyhepmc.GenEvent(*((units.MEV, units.CM) if cm else (units.GEV, units.MM)))
        event.run_info, event.event_number = run, number
        event.weights = [generated.weight[number], 2.0 + number, -3.0]
        vertices, roots = {}, []
        for i in range(start, stop):
            p = [momentum * values[i] for values in (record.px, record.py, record.pz, record.energy)]
            particle = pyhepmc.GenParticle(p, int(record.pdg_id[i]), int(record.status[i]))
            particle.generated_mass = momentum * record.mass[i]
            born, ends = record.production_vertex[i], record.end_vertex[i]
            if born >= 0:
                vertex = vertices.setdefault(born, pyhepmc.GenVertex())
                vertex.add_particle_out(particle)
                place = np.array([record.x[i], record.y[i], record.z[i]]) + shift
                vertex.position = (*(length * place), 0.0)
            else:
                roots.append(particle)
            if ends >= 0:
                vertices.setdefault(ends, pyhepmc.GenVertex()).add_particle_in(particle)
        event.add_tree(roots)
        cross_section, pdf = pyhepmc.GenCrossSection(), pyhepmc.GenPdfInfo()
        cross_section.set_cross_section(40.0 + number, 2.0, number + 1, number + 1)
        pdf.scale = generated.scale_pdf[number]
        pdf.parton_id1, pdf.parton_id2 = int(generated.id1[number]), int(generated.id2[number])
        pdf.x1, pdf.x2 = generated.x1[number], generated.x2[number]
        pdf.xf1, pdf.xf2 = generated.xpdf1[number], generated.xpdf2[number]
        event.cross_section, event.pdf_info = cross_section, pdf
        yield event


@pytest.fixture(scope="module")
def settings(command_file):
    return command_file("ttbar")


@pytest.fixture(scope="module")
def write(settings, tmp_path_factory):
    """Write the events that `generate_gen` makes with SEED to a file of a given name."""
    folder = tmp_path_factory.mktemp("hepmc")
    generated = next(PythiaGenerator(settings, block_seed(SEED, 0)).batches(EVENTS))

    def make(name, output_format="HepMC3", **options):
        path = folder / name
        run = pyhepmc.GenRunInfo()
        run.weight_names = WEIGHTS
        with pyhepmc.open(path, "w", format=output_format) as file:
            for event in hepmc_events(generated, run, **options):
                file.write(event)
        return path

    return make


@pytest.fixture(scope="module")
def source(write):
    return write("plain.hepmc.gz")


@pytest.fixture(scope="module")
def direct(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("direct")
    paths = folder / "gen.root", folder / "particles.root"
    generate_gen(settings, paths[0], events=EVENTS, seed=SEED, particles=paths[1])
    return tuple(map(read, paths))


@pytest.fixture(scope="module")
def converted(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("converted") / "gen.root"
    return path, convert_hepmc(source, path, seed=SEED)


def read(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def stables(events, field):
    """Values of the stable particles of every event, in order: files have orders of their own."""
    return ak.sort(events[f"GenStable_{field}"])


def particles(events):
    """Particles of every event, in an order that does not depend on the file's."""
    names = [name for name in events.fields if name.startswith("GenPart_") and "Mother" not in name]
    return [sorted(zip(*(event[name] for name in names), strict=True)) for event in events[names].to_list()]


def mothers(events):
    """PDG number and pT of each particle from a decay, with the mother's."""
    place = events.GenPart_genPartIdxMother
    # A hadron from a string has several mothers, and which is first depends on the order of the file.
    decayed = (place >= 0) & (events.GenPart_statusFlags[place] & 2 > 0)
    columns = (events.GenPart_pdgId, events.GenPart_pt)
    values = [column[decayed] for column in columns] + [column[place[decayed]] for column in columns]
    return [sorted(zip(*event, strict=True)) for event in zip(*(v.to_list() for v in values), strict=True)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("same.hepmc", {}),
        ("units.hepmc.gz", {"cm": True, "shift": (0.2, -0.1, 31.0)}),
        ("old.hepmc2", {"output_format": "HepMC2"}),
    ],
)
def test_events_are_those_written_straight_from_pythia(write, direct, tmp_path, name, options):
    convert_hepmc(
        write(name, **options), tmp_path / "gen.root", seed=SEED, particles=tmp_path / "particles.root"
    )
    gen, stable = read(tmp_path / "gen.root"), read(tmp_path / "particles.root")
    assert particles(gen) == particles(direct[0])
    assert mothers(gen) == mothers(direct[0])
    assert sum(map(len, mothers(gen))) > EVENTS
    # HepMC does not hold pT-hat; sums over particles round as their order has it. Numbers, pileup and
    # vertices belong to the particles in their order. The rest is the same.
    own = ("GenPart_", "GenMET_", "GenVtx_", "Pileup_", "Generator_binvar", "luminosityBlock")
    for field in direct[0].fields:
        if not field.startswith(own):
            assert_close(gen[field], direct[0][field], 2e-3)
    # Without neutrinos it is nothing but rounding, and its azimuth has no meaning.
    for turn in (np.cos, np.sin):
        assert_close(*(e.GenMET_pt * turn(e.GenMET_phi) for e in (gen, direct[0])), 1e-2)
    assert ak.all(stable.nGenStable == direct[1].nGenStable)
    for field in ("pt", "mass", "pdgId"):
        assert_close(stables(stable, field), stables(direct[1], field), 1e-3)
    assert set(gen.Generator_binvar) == {-1.0}


def assert_close(values, expected, slack):
    flat, wanted = (ak.to_numpy(ak.flatten(array, axis=None)) for array in (values, expected))
    np.testing.assert_allclose(flat, wanted, rtol=slack, atol=1e-5)


def test_weights_are_carried_with_their_names(converted):
    path, summary = converted
    with uproot.open(path) as file:
        text = json.loads(str(file["flashsim_gen"]))
        runs = file["Runs"].arrays()[0]
        title = file["Events"]["GenWeight_MUR_2_MUF_1"].title
    events = read(path)
    assert "MUR=2 MUF=1" in title
    assert text["weight"] == "nominal"
    assert text["weights"] == dict(zip(weight_branches(WEIGHTS[1:]), WEIGHTS[1:], strict=True))
    assert events.GenWeight_MUR_2_MUF_1.to_list() == [2.0 + number for number in range(EVENTS)]
    assert set(events.GenWeight_MUR_0_5_MUF_1) == {-3.0}
    assert runs.GenWeightSumw_MUR_0_5_MUF_1 == -3.0 * EVENTS
    assert runs.genEventSumw == summary.sum_of_weights == np.sum(events.genWeight)


def test_branches_of_weights_are_distinct_and_legal():
    names = ["a b", "a_b", "", "PDF:303600 member 1", "a b"]
    branches = weight_branches(names)
    assert len(set(branches)) == len(names)
    assert all(branch.isidentifier() and branch.startswith("GenWeight_") for branch in branches)


def test_cross_section_is_the_last_estimate(converted):
    assert converted[1].cross_section == 40.0 + EVENTS - 1
    assert converted[1].cross_section_error == 2.0


def test_coffea_reads_weights_by_name(converted):
    with warnings.catch_warnings():
        # Cross references to collections that a gen-level file has not.
        warnings.simplefilter("ignore", RuntimeWarning)
        events = NanoEventsFactory.from_root(
            {str(converted[0]): "Events"}, schemaclass=NanoAODSchema, mode="eager"
        ).events()
    assert ak.all(events.GenWeight.MUR_0_5_MUF_1 == -3.0)
    assert len(events.genWeight) == EVENTS


def test_number_of_events_can_be_limited(source, converted, tmp_path):
    done = []
    summary = convert_hepmc(
        source, tmp_path / "a.root", events=5, seed=SEED, progress=lambda *counts: done.append(counts)
    )
    assert summary.events == 5
    assert done == [(5, 5)]
    assert ak.array_equal(read(tmp_path / "a.root").GenJet_pt, read(converted[0]).GenJet_pt[:5])


def test_batches_change_nothing(source, converted, tmp_path, monkeypatch):
    monkeypatch.setattr("flashsim.gen.hepmc.reader._BATCH", 5)
    convert_hepmc(source, tmp_path / "a.root", seed=SEED)
    events, expected = read(tmp_path / "a.root"), read(converted[0])
    assert all(ak.array_equal(events[name], expected[name]) for name in expected.fields)


@pytest.fixture(scope="module")
def text(source):
    return gzip.decompress(source.read_bytes())


def damaged(text):
    middle = text.index(b"\nE 7 ") + 2000
    return {
        "absent.hepmc": (None, "no such file"),
        "empty.hepmc": (b"", "is empty"),
        "other.hepmc": (b"1 2 3\n" * 100, "is not HepMC"),
        "partons.hepmc": (
            b"<LesHouchesEvents version='3.0'>\n",
            "is LHE, expected HepMC text; give it to 'flashsim gen'",
        ),
        "header.hepmc": (b"\n".join([*text.split(b"\n")[:2], text[-38:].strip(), b""]), "holds no event"),
        "cut.hepmc": (text[:middle], r"event 8 is cut off.*--events 7"),
        "between.hepmc": (text[: text.index(b"\nE 7 ") + 1], r"END_EVENT_LISTING is missing after 7 events"),
        "garbled.hepmc": (text[:middle] + b"\nP x y\n" + text[middle:], r"event 8 is cut off or damaged"),
        "cut.hepmc.gz": (gzip.compress(text, 1)[:-20_000], r"cut off or damaged.*--events \d+"),
    }


@pytest.mark.parametrize("name", list(damaged(b"HepMC\nE 7 ")))
def test_broken_files_are_told_and_leave_nothing(text, tmp_path, name):
    content, message = damaged(text)[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputFileError, match=rf"{name}: .*{message}"):
        convert_hepmc(path, tmp_path / "out.root", seed=SEED)
    assert [found.name for found in tmp_path.iterdir()] == ([name] if content is not None else [])


@pytest.mark.parametrize("name", ["plain.hepmc.gz", "packed.hepmc"])
def test_the_suffix_does_not_matter(text, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.startswith("packed") else text)
    with HepMCReader(path) as reader:
        assert sum(len(weights) for _, weights in reader.batches()) == EVENTS


def test_complete_events_of_a_cut_file_can_be_taken(text, tmp_path):
    path = tmp_path / "cut.hepmc"
    path.write_bytes(text[: text.index(b"\nE 7 ") + 2000])
    assert convert_hepmc(path, tmp_path / "a.root", events=7, seed=SEED).events == 7


def test_refuses_to_overwrite_and_no_events(source, tmp_path):
    taken = tmp_path / "taken.root"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputFileError, match="exists"):
        convert_hepmc(source, taken)
    assert taken.read_bytes() == b"mine"
    with pytest.raises(ValueError, match="at least 1"):
        convert_hepmc(source, taken, events=0, force=True)


def test_weights_without_names_are_numbered(tmp_path):
    event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
    beam, muon = pyhepmc.GenParticle((0, 0, 5, 5), 2212, 4), pyhepmc.GenParticle((3, 0, 4, 5), 13, 1)
    vertex = pyhepmc.GenVertex()
    vertex.add_particle_in(beam)
    vertex.add_particle_out(muon)
    event.add_tree([beam])
    event.weights = [1.0, 2.0]
    with pyhepmc.open(tmp_path / "a.hepmc", "w") as file:
        file.write(event)
    with HepMCReader(tmp_path / "a.hepmc") as reader:
        assert reader.weight_names == ["0", "1"]
        batch, weights = next(reader.batches())
    assert weights.tolist() == [[1.0, 2.0]]
    assert (batch.scale_pdf[0], batch.id1[0], reader.cross_section) == (-1.0, -1, None)
    # The mass that the file leaves out follows from the momentum.
    assert batch.record.mass.tolist() == [0.0, 0.0]


@pytest.mark.slow
def test_from_hepmc_to_simulated_events(source, tmp_path):
    """A person without any CMS file: HepMC, gen-level NanoAOD, simulated NanoAOD."""
    from typer.testing import CliRunner

    from flashsim.cli.main import app

    runner = CliRunner()
    gen, flash = tmp_path / "g.root", tmp_path / "f.root"
    made = runner.invoke(app, ["gen", str(source), "--output", str(gen)], catch_exceptions=False)
    assert made.exit_code == 0
    assert f"{EVENTS} events from plain.hepmc.gz, cross section 51 +- 2 pb" in made.stdout
    done = runner.invoke(
        app, ["generate", "--input", str(gen), "--output", str(flash)], catch_exceptions=False
    )
    assert done.exit_code == 0
    events = read(flash)
    assert len(events) == EVENTS
    assert ak.sum(events.nJet) > EVENTS
    assert set(events.GenWeight_MUR_0_5_MUF_1) == {-3.0}


def test_files_of_one_run_are_joined(source, converted, text, tmp_path):
    second = tmp_path / "second.hepmc"
    second.write_bytes(text)
    summary = convert_hepmc([source, second], tmp_path / "both.root", seed=SEED)
    assert summary.events == 2 * EVENTS
    assert summary.sum_of_weights == pytest.approx(2 * converted[1].sum_of_weights)
    assert summary.cross_section == pytest.approx(converted[1].cross_section)
    assert summary.cross_section_error == pytest.approx(converted[1].cross_section_error / np.sqrt(2))
    events = read(tmp_path / "both.root")
    assert len(set(zip(events.luminosityBlock.to_list(), events.event.to_list(), strict=True))) == 2 * EVENTS
    assert ak.array_equal(events.GenPart_pdgId[EVENTS:], read(converted[0]).GenPart_pdgId)
    few = convert_hepmc([source, second], tmp_path / "few.root", seed=SEED, events=EVENTS + 3)
    assert few.events == EVENTS + 3


def test_files_of_other_weights_are_not_joined(source, text, tmp_path):
    other = tmp_path / "other.hepmc"
    other.write_bytes(text.replace(b"MUR=2", b"MUR=3"))
    with pytest.raises(InputFileError, match=r"other\.hepmc: its weights have other names .*MUR.*one run"):
        convert_hepmc([source, other], tmp_path / "out.root", seed=SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["other.hepmc"]


def test_particles_are_those_written_straight_from_pythia(source, settings, tmp_path):
    generate_gen(settings, tmp_path / "a.root", events=EVENTS, seed=SEED, particles=tmp_path / "direct.root")
    convert_hepmc(source, tmp_path / "b.root", seed=SEED, particles=tmp_path / "converted.root")
    direct, converted = read(tmp_path / "direct.root"), read(tmp_path / "converted.root")
    for name in ("GenStable_pt", "GenStable_pdgId", "GenStable_vx"):
        for one, other in zip(direct[name], converted[name], strict=True):
            np.testing.assert_allclose(np.sort(one), np.sort(other), rtol=3e-4, atol=1e-5)


def test_events_of_run3_have_its_version_and_pileup(source, converted, tmp_path):
    convert_hepmc(source, tmp_path / "run3.root", seed=SEED, era=load_era("run3"))
    before, now = read(converted[0]), read(tmp_path / "run3.root")
    assert "TrackGenJetAK4_pt" in now.fields
    assert "TrackGenJetAK4_pt" not in before.fields
    assert now.GenPart_genPartIdxMother.to_list() == before.GenPart_genPartIdxMother.to_list()
    assert ak.mean(now.Pileup_nPU) > ak.mean(before.Pileup_nPU)
