from __future__ import annotations

import awkward as ak
import numpy as np
import pandas as pd
import pytest

from flashsim.declarations.refinement import load_gen_view, load_refiner
from flashsim.errors import InputFileError, OutputFileError, TableError
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter
from flashsim.refinement.matching import pair_branches, select_pairs
from flashsim.refinement.pairs import PAIRS, make_pairs, read_pairs

RECIPE = load_refiner("pt")
VIEW = load_gen_view(RECIPE)


def events(gen, reco):
    """Branches of one event: (pt, eta) of gen jets, (pt, eta, genJetIdx) of jets; all at phi of 3.1."""

    def jagged(values, dtype=np.float32):
        return ak.unflatten(np.array(values, dtype=dtype), [len(values)])

    wrap = [3.1 if k % 2 else -3.1 for k in range(len(reco))]  # 0.08 apart across the end of the circle
    return {
        "run": ak.Array([1]),
        "luminosityBlock": ak.Array([1]),
        "event": ak.Array([7]),
        "GenJet_pt": jagged([pt for pt, _ in gen]),
        "GenJet_eta": jagged([eta for _, eta in gen]),
        "GenJet_phi": jagged([3.1] * len(gen)),
        "GenJet_mass": jagged([5.0] * len(gen)),
        "GenJet_partonFlavour": jagged([1] * len(gen), np.int32),
        "GenJet_hadronFlavour": jagged([0] * len(gen), np.uint8),
        "Jet_pt": jagged([pt for pt, _, _ in reco]),
        "Jet_eta": jagged([eta for _, eta, _ in reco]),
        "Jet_phi": jagged(wrap),
        "Jet_genJetIdx": jagged([index for _, _, index in reco], np.int32),
    }


GEN = [(50.0, 0.0), (40.0, 2.0)]
CLEAN = [(51.0, 0.0, 0), (39.0, 2.0, 1)]


def select(fast, full, recipe=RECIPE):
    return select_pairs(recipe, VIEW, fast, full)


def test_made_events_have_the_branches_that_are_read():
    assert set(pair_branches(RECIPE, VIEW)) <= events(GEN, CLEAN).keys()


def test_clean_objects_become_pairs_across_the_end_of_the_circle():
    found = select(events(GEN, CLEAN), events(GEN, [(52.0, 0.1, 0), (38.0, 2.1, 1)]))
    assert found.columns["gen.pt"].tolist() == [50.0, 40.0]
    assert found.columns["fast.pt"].tolist() == [51.0, 39.0]
    assert found.columns["full.pt"].tolist() == [52.0, 38.0]
    assert found.columns["event"].tolist() == [7, 7]


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param([(39.0, 2.0, 1)], id="not reconstructed"),
        pytest.param([(51.0, 0.25, 0), (39.0, 2.0, 1)], id="too far"),
        pytest.param([(51.0, 0.0, 0), (20.0, 0.4, -1), (39.0, 2.0, 1)], id="not alone"),
        pytest.param([(20.0, 0.4, -1), (51.0, 0.0, 0), (39.0, 2.0, 1)], id="not alone, the other first"),
    ],
)
def test_cuts_are_the_same_on_both_sides(spoilt):
    clean, bad = events(GEN, CLEAN), events(GEN, spoilt)
    for fast, full in ((clean, bad), (bad, clean)):
        assert select(fast, full).columns["gen.pt"].tolist() == [40.0]


def test_the_closest_object_is_taken_not_the_first():
    gen, near = [(50.0, 0.0)], [(30.0, 0.15, 0), (49.0, 0.0, 0)]
    cuts = RECIPE.pairs.model_copy(update={"isolation": 0.01})
    recipe = RECIPE.model_copy(update={"pairs": cuts})
    found = select(events(gen, near), events(gen, near[::-1]), recipe)
    assert found.columns["fast.pt"].tolist() == found.columns["full.pt"].tolist() == [49.0]


def test_gen_objects_near_each_other_are_left_out():
    gen = [(50.0, 0.0), (40.0, 0.5), (30.0, 3.0)]
    reco = [(50.0, 0.0, 0), (40.0, 0.5, 1), (30.0, 3.0, 2)]
    assert select(events(gen, reco), events(gen, reco)).columns["gen.pt"].tolist() == [30.0]


def test_gen_objects_are_found_by_momentum_whatever_their_order():
    other = events(GEN[::-1], [(52.0, 0.1, 1), (38.0, 2.1, 0)])
    found = select(events(GEN, CLEAN), other)
    assert found.columns["full.pt"].tolist() == [52.0, 38.0]
    moved = select(events(GEN, CLEAN), events([(50.0, 0.0), (45.0, 2.0)], CLEAN))
    assert moved.columns["gen.pt"].tolist() == [50.0]
    assert moved.counts["in both files"] == 1


def test_events_without_objects_on_one_side_keep_step():
    """The public matcher masks one side with the other's mask and goes out of step here."""
    empty, whole = events(GEN, []), events(GEN, CLEAN)
    fast = {name: ak.concatenate([empty[name], whole[name]]) for name in whole}
    full = {name: ak.concatenate([whole[name], whole[name]]) for name in whole}
    assert select(fast, full).columns["gen.pt"].tolist() == [50.0, 40.0]


@pytest.fixture(scope="module")
def made_pairs(made_process, tmp_path_factory, small):
    folder = tmp_path_factory.mktemp("pairs") / "jets"
    files = [(str(made_process / "fast.root"), str(made_process / "full.root"))]
    return folder, make_pairs(small("jets"), files, folder)


def test_tables_hold_every_pair_once_divided_by_event(made_pairs):
    folder, description = made_pairs
    tables = {split: pd.read_parquet(folder / f"{split}.parquet") for split in description.pairs}
    assert {split: len(table) for split, table in tables.items()} == description.pairs
    assert description.events == 240
    assert sum(description.pairs.values()) == description.counts["alone, full"] > 30
    numbers = {split: set(table["event"]) for split, table in tables.items()}
    assert not numbers["train"] & numbers["test"]
    assert PAIRS.read_description(folder) == description


def test_how_events_are_cut_changes_nothing(made_pairs, made_process, tmp_path, small):
    files = [(str(made_process / "fast.root"), str(made_process / "full.root"))]
    recipe = small("jets")
    assert make_pairs(recipe, files, tmp_path, chunk=7) == made_pairs[1]
    for split in ("train", "test"):
        one, other = (read_pairs(folder, split, recipe) for folder in (made_pairs[0], tmp_path))
        assert np.array_equal(one.fast, other.fast)
        assert np.array_equal(one.full, other.full)


def test_values_are_those_of_the_files(made_pairs, made_process, small):
    recipe = small("jets")
    rows = read_pairs(made_pairs[0], "train", recipe)
    for name, values in (("fast", rows.fast), ("full", rows.full)):
        with NanoFile(made_process / f"{name}.root") as file:
            pts = ak.to_numpy(ak.flatten(file.read(["Jet_pt"])["Jet_pt"]))
        assert np.isin(values[:, 0], pts).all()
    assert set(rows.gen[:, recipe.gen_fields.index("hadronFlavour")]) <= {0.0, 4.0, 5.0}


def test_there_are_no_pairs_of_other_events(made_process, tmp_path, small, caplog):
    files = [(str(made_process / "fast.root"), str(made_process / "fast.root"))]
    other = str(made_process / "other.root")
    with NanoFile(other) as file:
        same_numbers = file.read(["event"])["event"][0] == 10_000_000_000
    assert same_numbers  # other gen objects under the same numbers: none is in both files
    made = make_pairs(small("jets"), [(files[0][0], other)], tmp_path / "other")
    assert made.counts["in both files"] == 0
    (line,) = caplog.messages
    assert "no gen object is in both files" in line
    assert "other.root" in line


def test_events_are_found_among_others_of_the_same_numbers(made_pairs, made_process, tmp_path, small):
    """A file may hold several jobs that count alike; the others stand first here."""
    paths = [made_process / f"{name}.root" for name in ("other", "full")]
    with (
        NanoFile(paths[0]) as other,
        NanoFile(paths[1]) as full,
        NanoWriter(tmp_path / "both.root") as writer,
    ):
        branches = [b for b in full.branches.values() if b.name in other.branches]
        writer.tree("Events", branches)
        for file in (other, full):
            writer.extend("Events", file.read([b.name for b in branches]))
    recipe = small("jets")
    files = [(str(made_process / "fast.root"), str(tmp_path / "both.root"))]
    made = make_pairs(recipe, files, tmp_path / "pairs")
    assert made.counts == made_pairs[1].counts
    one, same = (read_pairs(folder, "train", recipe) for folder in (made_pairs[0], tmp_path / "pairs"))
    assert np.array_equal(one.full, same.full)


def test_files_without_a_common_event_are_refused(made_process, tmp_path, small, monkeypatch):
    from flashsim.refinement import pairs

    keys = iter([1, 2, 3, 4])
    for name in ("hash_events", "event_keys"):
        monkeypatch.setattr(pairs, name, lambda a, *_: np.full(len(a["run"]), next(keys), np.uint64))
    files = [(str(made_process / "fast.root"), str(made_process / "full.root"))]
    with pytest.raises(InputFileError, match="has no event in common"):
        make_pairs(small("jets"), files, tmp_path / "pairs")
    assert not (tmp_path / "pairs" / "pairs.json").exists()


def test_pairs_are_not_replaced_without_force(made_pairs, made_process, small):
    folder, description = made_pairs
    files = [(str(made_process / "fast.root"), str(made_process / "full.root"))]
    with pytest.raises(OutputFileError, match="add --force"):
        make_pairs(small("jets"), files, folder)
    assert make_pairs(small("jets"), files, folder, force=True) == description


def test_folders_without_pairs_are_refused(tmp_path, made_pairs, small):
    with pytest.raises(TableError, match="holds no pairs"):
        PAIRS.read_description(tmp_path)
    (tmp_path / PAIRS.file).write_bytes((made_pairs[0] / PAIRS.file).read_bytes())
    with pytest.raises(TableError, match=r"is missing; make the pairs again with 'flashsim refine pairs'"):
        read_pairs(tmp_path, "train", small("jets"))
    with pytest.raises(TableError, match=r"lacks gen.origin, fast.pfRelIso04_all"):
        read_pairs(made_pairs[0], "train", small("muons"))
