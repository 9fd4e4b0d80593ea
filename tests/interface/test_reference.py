"""The whole reference simulation: what is made, what is used again, what is refused."""

from __future__ import annotations

import awkward as ak
import pytest
import uproot

from flashsim.errors import OutputFileError, RecipeError
from flashsim.gen.blocks import EVENTS_PER_BLOCK
from flashsim.interface.reference import simulate

EVENTS = 8


@pytest.fixture(scope="module")
def process(command_file):
    return command_file("vbf_hmumu")


@pytest.fixture(scope="module")
def made(process, tmp_path_factory, few_interactions):
    folder = tmp_path_factory.mktemp("made") / "vbf"
    return folder, simulate(process, folder, events=EVENTS, seed=2, draws=2, minbias=few_interactions)


def read(path):
    with uproot.open(path) as file:
        return file["Events"].arrays()


def test_what_is_made(made):
    folder, result = made
    files = {path.name for path in folder.iterdir()}
    assert files == {"gen.root", "particles.root", "full.root", "fast.root", "full_1.root", "fast_1.root"}
    assert not result.reused
    assert [detection.events for detection in result.detections] == [EVENTS] * 4
    for detection in result.detections:
        events = read(detection.output)
        for name, number in detection.objects.items():
            assert ak.sum(ak.num(events[f"{name}_pt"])) == number


def test_detectors_run_again_on_the_same_events(process, made, few_interactions):
    folder, _ = made
    before = (folder / "gen.root").stat().st_mtime_ns
    content = read(folder / "full.root")
    options = {"detectors": {"full": "full"}, "force": True, "minbias": few_interactions}
    again = simulate(process, folder, events=EVENTS, seed=2, **options)
    assert again.reused
    assert (folder / "gen.root").stat().st_mtime_ns == before
    assert ak.array_equal(read(folder / "full.root").Jet_pt, content.Jet_pt)


@pytest.mark.parametrize("changed", [{"seed": 3}, {"events": EVENTS + 1}, {"era": "run3"}])
def test_gen_level_events_of_another_kind_are_not_replaced_unasked(process, made, changed):
    folder, _ = made
    options = {"events": EVENTS, "seed": 2, "detectors": {"third": "full"}} | changed
    with pytest.raises(
        OutputFileError, match=r"gen.root: is of another process, seed, era or number of events"
    ):
        simulate(process, folder, **options)


def test_another_process_is_not_taken_for_this_one(made, command_file):
    folder, _ = made
    with pytest.raises(OutputFileError, match=r"gen.root: is of another process"):
        simulate(command_file("dy_mumu"), folder, events=EVENTS, seed=2, detectors={"third": "full"})


def test_outputs_are_not_replaced_unasked(process, made):
    with pytest.raises(OutputFileError, match=r"full.root: exists already; .*--force"):
        simulate(process, made[0], events=EVENTS, seed=2)


def test_unknown_names(tmp_path):
    with pytest.raises(RecipeError, match=r"no reference recipe 'none\.cmnd'"):
        simulate("none", tmp_path, events=1)
    with pytest.raises(RecipeError, match="no reference recipe 'none'"):
        simulate("ttbar", tmp_path, events=1, detectors={"full": "none"})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RecipeError, match="no reference recipe 'run9'"):
        simulate("ttbar", tmp_path, events=1, era="run9")
    with pytest.raises(ValueError, match="draws must be at least 1"):
        simulate("ttbar", tmp_path, events=1, draws=0)


def test_a_folder_that_cannot_be_made(process, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFileError, match="cannot be made"):
        simulate(process, tmp_path / "file" / "x", events=1)


@pytest.mark.slow
def test_workers_do_not_matter(process, tmp_path, few_interactions):
    events = EVENTS_PER_BLOCK + 20
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        simulate(process, folder, events=events, workers=workers, minbias=few_interactions)
    for name in ("gen", "full", "fast"):
        one, two = (read(tmp_path / str(workers) / f"{name}.root") for workers in (1, 2))
        assert one.fields == two.fields
        assert all(ak.array_equal(one[field], two[field]) for field in one.fields)
