from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import RecipeError
from flashsim.gen.pythia import CrossSection, PythiaGenerator


@pytest.fixture(scope="module")
def ttbar(command_file):
    generator = PythiaGenerator(command_file("ttbar"), seed=11)
    return next(generator.batches(30)), generator.cross_section()


def test_momentum_is_conserved_at_every_vertex(ttbar):
    record = ttbar[0].record
    vertices = 1 + max(record.production_vertex.max(), record.end_vertex.max())
    out, into = record.production_vertex >= 0, record.end_vertex >= 0
    # Vertices of hadrons and their decays; partons take recoils from elsewhere in a shower.
    decay = np.zeros(vertices, dtype=bool)
    decay[record.end_vertex[into & (record.status == 2)]] = True
    assert decay.sum() > 1000
    for component in ("px", "py", "pz", "energy"):
        value = getattr(record, component)
        before = np.bincount(record.end_vertex[into], value[into], vertices)[decay]
        after = np.bincount(record.production_vertex[out], value[out], vertices)[decay]
        np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-4)


def test_final_particles_carry_the_energy_of_the_beams(ttbar):
    record = ttbar[0].record
    final, beam = record.status == 1, record.status == 4
    assert np.all(np.bincount(record.event_index[beam]) == 2)
    energy = np.bincount(record.event_index[final], record.energy[final])
    np.testing.assert_allclose(energy, 13000, rtol=1e-4)
    assert np.all(record.end_vertex[final] == -1)
    assert np.all(record.production_vertex[beam] == -1)


def test_status_is_that_of_hepmc(ttbar):
    record = ttbar[0].record
    assert np.all(record.status > 0)
    decayed = record.status == 2
    assert np.all((record.abs_pdg_id[decayed] > 100) | np.isin(record.abs_pdg_id[decayed], (13, 15)))
    assert np.all(record.end_vertex[decayed] >= 0)
    top = record.abs_pdg_id == 6
    assert set(record.status[top]) >= {22, 62}


def test_hadrons_of_a_string_have_its_partons_as_mothers(ttbar):
    record = ttbar[0].record
    family = record.genealogy
    primary = np.flatnonzero((record.abs_pdg_id == 211) & (np.diff(family.mother_offsets) > 1))
    assert len(primary) > 100
    mothers = np.concatenate(
        [family.mothers[family.mother_offsets[i] : family.mother_offsets[i + 1]] for i in primary]
    )
    # 63: beam remnants that need no copy before they hadronize.
    assert set(record.status[mothers]) <= {63, *range(71, 80)}


def test_cross_section_is_about_that_of_leading_order(ttbar):
    cross_section = ttbar[1]
    assert 300 < cross_section.value < 700
    assert 0 < cross_section.error < 0.25 * cross_section.value
    assert cross_section.tried >= 30


def test_cross_sections_combine_by_their_points():
    whole = CrossSection.combined([CrossSection(1.0, 0.3, 100), CrossSection(2.0, 0.4, 300)])
    assert whole.value == pytest.approx(1.75)
    assert whole.error == pytest.approx(np.hypot(0.25 * 0.3, 0.75 * 0.4))
    assert whole.tried == 400


def test_weights_of_a_biased_phase_space(command_file):
    biased = command_file("dy_mumu", "PhaseSpace:bias2Selection = on", "PhaseSpace:bias2SelectionPow = 1.")
    batch = next(PythiaGenerator(biased, seed=3).batches(20))
    assert np.unique(batch.weight).size == 20
    assert np.all(batch.weight > 0)
    # Selection in pT-hat to the power 1 is undone by the weight.
    assert np.all(np.diff(batch.weight[np.argsort(batch.pt_hat)]) <= 0)


def test_shipped_processes_initialise(command_file):
    files = {path.name.removesuffix(".cmnd") for path in recipe_folder("reference").glob("*.cmnd")}
    processes = {"vbf_hmumu", "dy_mumu", "dy_ee", "ttbar", "ewk_zjj_like"}
    assert files - {"cp5", "shower_variations", "minbias"} == processes
    for process, lepton in (("vbf_hmumu", 13), ("dy_mumu", 13), ("dy_ee", 11), ("ewk_zjj_like", 13)):
        batch = next(PythiaGenerator(command_file(process), seed=1).batches(5))
        leptons = (batch.record.status == 1) & (batch.record.abs_pdg_id == lepton) & (batch.record.pt > 5)
        assert np.all(np.bincount(batch.record.event_index[leptons], minlength=5) >= 1)


def test_pythia_that_never_ends_a_file_is_stopped(command_file, monkeypatch):
    generator = PythiaGenerator(command_file("dy_mumu"), seed=1, origin=Path("events.lhe"))
    calls = []

    class Stuck:
        def nextBatch(self, events, mode):  # noqa: N802  # Pythia's name
            calls.append(events)
            raise RuntimeError

        def infoPython(self):  # noqa: N802  # Pythia's name
            return self

        def atEndOfFile(self):  # noqa: N802  # Pythia's name
            return False

    monkeypatch.setattr(generator, "_pythia", Stuck())
    with pytest.raises(RecipeError, match=r"^events\.lhe: Pythia does not come to the end of these events"):
        list(generator.showered(7))
    assert len(calls) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("HiggsSM:nonsense = on\n", "HiggsSM:nonsense"),
        ("include = no_such_file.cmnd\n", "no_such_file.cmnd"),
        ("Beams:eCM = 13000.\n", "refuses these settings"),
        ("Beams:frameType = 4\nBeams:LHEF = events.lhe\n", "reads events: give them to 'flashsim gen'"),
        ("Beams:eCM = 13000.\nPrint:quiet = on\n", r"ProcessLevel::init: no process switched on\)"),
        (
            "PDF:pSet = LHAPDF6:NNPDF31_nnlo_as_0118\nWeakSingleBoson:ffbar2gmZ = on\n",
            "libpythia8lhapdf6.so.*pythia8mc comes without LHAPDF",
        ),
        ("SUSY:all = on\nSLHA:file = nothere.spc\n", "SLHA:file = nothere.spc: there is no such file"),
        ("include = bad.cmnd\n", r"include each other without end \(bad.cmnd -> bad.cmnd\)"),
    ],
)
def test_bad_settings_are_refused_with_their_reason(command_file, tmp_path, capfd, text, message):
    path = tmp_path / "bad.cmnd"
    path.write_text(text)
    before = os.environ.get("PYTHIA8CMND")
    with pytest.raises(RecipeError, match=message) as error:
        PythiaGenerator(path, seed=1)
    assert str(path) in str(error.value)
    assert capfd.readouterr().out == ""
    assert os.environ.get("PYTHIA8CMND") == before
