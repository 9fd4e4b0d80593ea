from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flashsim.analysis.validation.samples import (
    common_columns,
    number_events,
    read_sample,
    shared_objects,
)
from flashsim.errors import InputFileError
from flashsim.interface.inspection import shipped_objects
from flashsim.learning.tables import SPLITS, TRAINING_TABLES
from flashsim.preprocessing.preprocess import preprocess


@pytest.fixture(scope="module")
def selected(declaration, made_process):
    return common_columns(declaration, [str(made_process / "full.root")])


@pytest.fixture(scope="module")
def read(selected, made_process):
    return {
        name: read_sample(made_process / f"{name}.root", selected, chunk=100)
        for name in ("full", "fast", "other")
    }


def test_objects_are_those_of_the_training_tables(read, declaration, made_process, tmp_path):
    preprocess(declaration, [str(made_process / "full.root")], tmp_path / "tables")
    kinds = ("objects", *(f"unmatched/{source.name}" for source in declaration.unmatched))
    objects, *of_sources = (
        [TRAINING_TABLES.read(tmp_path / "tables", split, kind) for split in SPLITS] for kind in kinds
    )
    unmatched = [table for tables in of_sources for table in tables]
    full = read["full"]
    found = np.concatenate([table["reconstructed"] for table in objects])
    assert len(full.found) == len(found)
    assert full.found.sum() == found.sum()
    assert full.unmatched.sum() == sum(map(len, unmatched))
    pt = np.concatenate([table["target.pt"][table["reconstructed"]] for table in objects])
    assert np.sort(full.matched("reco")["pt"]) == pytest.approx(np.sort(pt))


def test_chunks_make_no_difference(read, selected, made_process):
    whole = read_sample(made_process / "full.root", selected)
    for name in ("gen_event", "reco_event", "rows", "hashes", "contents"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(read["full"], name))
    np.testing.assert_array_equal(whole.reco["pt"], read["full"].reco["pt"])


def test_the_same_gen_events_have_the_same_numbers(read):
    numbers, total = number_events(read["full"], {"fast": read["fast"]})
    assert total == 240
    np.testing.assert_array_equal(numbers["fast"], np.arange(240))


def test_order_and_folds_do_not_matter(read):
    rows = np.array([5, 3, 3, 0])
    fast = read["fast"]
    few = replace(fast, events=np.arange(4), hashes=fast.hashes[rows], contents=fast.contents[rows])
    numbers, total = number_events(read["full"], {"few": few})
    assert numbers["few"].tolist() == rows.tolist()
    assert total == 240


def test_other_events_with_the_same_names_are_other_events(read):
    """Private productions count their events from one, all of them."""
    numbers, total = number_events(read["full"], {"other": read["other"]})
    assert total == 480
    assert sorted(numbers["other"]) == list(range(240, 480))


def test_the_first_events_stay_whole(read):
    full = read["full"]
    few = full.first(200)
    events = len(few.events)
    assert 190 < few.found.sum() <= 200
    assert few.gen_event.max() < events <= few.gen_event.max() + 3
    np.testing.assert_array_equal(few.unmatched, full.unmatched[full.reco_event < events])


def test_what_a_file_lacks_is_left_out(declaration, nanoaod_dir):
    found = common_columns(declaration, [str(nanoaod_dir / "tt_2018_v5.root")])
    assert {"btagDeepFlavB", "pt"} <= {target.branch for target in found.targets}
    both = common_columns(
        declaration, [str(nanoaod_dir / name) for name in ("tt_2018_v5.root", "tt_2024_v15.root")]
    )
    assert {target.branch for target in both.targets} <= {target.branch for target in found.targets}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("data_dimuon_2018.root", "generator level"),
        ("dy_empty.root", "no events"),
        ("none.root", "none.root"),
    ],
)
def test_files_that_cannot_be_compared_are_refused(declaration, nanoaod_dir, name, message):
    with pytest.raises(InputFileError, match=message):
        common_columns(declaration, [str(nanoaod_dir / name)])


def test_objects_that_all_files_have(made_process, dimuon_nanoaod):
    """Models may simulate fewer than the reference has; where nothing is left, the error is to name what."""
    shipped, paths = shipped_objects("object"), [str(made_process / "full.root"), str(dimuon_nanoaod)]
    assert shared_objects(shipped, paths[:1]) == shipped
    assert {one.collection for one in shared_objects(shipped, paths)} == {"Jet", "Muon"}
    electrons = [one for one in shipped if one.collection == "Electron"]
    assert shared_objects(electrons, paths) == electrons != []
