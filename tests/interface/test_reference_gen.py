"""The generator's half of the reference simulation: what is made, what is used again, what is refused."""

from __future__ import annotations

import pytest
import uproot

from flashsim.declarations.eras import load_era
from flashsim.errors import OutputFileError, RecipeError
from flashsim.gen import minbias
from flashsim.interface.reference_gen import pileup_library, reference_events

EVENTS = 6


@pytest.fixture(scope="module")
def process(command_file):
    return command_file("vbf_hmumu")


@pytest.fixture(scope="module")
def made(process, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "vbf"
    return folder, reference_events(process, folder, events=EVENTS, seed=2)


def test_what_is_made(made):
    folder, result = made
    assert {path.name for path in folder.iterdir()} == {"gen.root", "particles.root"}
    assert not result.reused
    for path in (result.gen, result.particles):
        with uproot.open(path) as file:
            assert file["Events"].num_entries == EVENTS


def test_the_same_events_are_used_again(process, made):
    folder, _ = made
    before = (folder / "gen.root").stat().st_mtime_ns
    assert reference_events(process, folder, events=EVENTS, seed=2, era="run2").reused
    assert (folder / "gen.root").stat().st_mtime_ns == before


@pytest.mark.parametrize("changed", [{"seed": 3}, {"events": EVENTS + 1}, {"era": "run3"}])
def test_other_events_are_not_replaced_unasked(process, made, changed):
    folder, _ = made
    with pytest.raises(OutputFileError, match=r"gen.root: is of another process, seed, era or number"):
        reference_events(process, folder, **({"events": EVENTS, "seed": 2} | changed))


def test_another_process_is_not_taken_for_this_one(made, command_file):
    with pytest.raises(OutputFileError, match=r"gen.root: is of another process"):
        reference_events(command_file("dy_mumu"), made[0], events=EVENTS, seed=2)


@pytest.mark.parametrize("lost", ["gen.root", "particles.root"])
def test_a_file_that_is_missing_is_made_with_the_other(process, tmp_path, lost):
    first = reference_events(process, tmp_path, events=EVENTS, seed=2)
    (tmp_path / lost).unlink()
    with pytest.raises(OutputFileError, match="not complete"):
        reference_events(process, tmp_path, events=EVENTS, seed=2)
    again = reference_events(process, tmp_path, events=EVENTS, seed=2, force=True)
    assert not again.reused
    assert first.gen.is_file()
    assert first.particles.is_file()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"process": "none"}, r"no reference recipe 'none\.cmnd'"),
        ({"era": "none"}, "no reference recipe 'none'"),
        ({"era": "detector"}, "detector.yaml: is no era, as it has no section 'generation'"),
    ],
)
def test_unknown_names(tmp_path, names, message):
    names = {"process": "ttbar"} | names
    with pytest.raises(RecipeError, match=message):
        reference_events(output=tmp_path / "new", events=1, **names)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_folder_when_generation_fails(tmp_path):
    bad = tmp_path / "bad.cmnd"
    bad.write_text("include = cp5.cmnd\nNo:such = on\n")
    with pytest.raises(RecipeError, match="Pythia refuses"):
        reference_events(bad, tmp_path / "new", events=1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("era", ["run2", "run3"])
def test_pileup_has_the_energy_of_the_era(tmp_path, monkeypatch, era):
    asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(
        minbias, "write_minbias", lambda library, path, **_: (asked.append(library), path.write_text(""))
    )
    path = pileup_library(era)
    assert path.parent == tmp_path / "flashsim"
    assert pileup_library(era) == path
    assert [library.energy for library in asked] == [load_era(era).energy]
