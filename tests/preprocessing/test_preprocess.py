from __future__ import annotations

import logging

import awkward as ak
import numpy as np
import pandas as pd
import pytest

from flashsim.declarations.objects import ObjectDeclaration, load_object
from flashsim.errors import InputFileError, OutputFileError
from flashsim.events.conditioning import conditioning_columns
from flashsim.events.gen_chunk import gen_branches, gen_chunk
from flashsim.events.noise import EVENT_IDS
from flashsim.learning.tables import SPLITS, TRAINING_TABLES
from flashsim.nanoaod.reading import NanoFile
from flashsim.preprocessing.preprocess import preprocess

MATCHED = {
    "tt_2018_v5": {"jets": 3438, "muons": 295},
    "tt_2022_v12": {"jets": 1336, "muons": 140},
    "tt_2024_v15": {"jets": 1345, "muons": 66},
    "wjets_2015_v9": {"jets": 362, "muons": 38},
}
SLOW = pytest.mark.slow


@pytest.fixture
def toy(tmp_path, toy_nanoaod):
    """Give a toy file of 40 events and its truth."""
    path = tmp_path / "toy.root"
    return path, toy_nanoaod(path)


KINDS = ("objects", "unmatched/event", "sources/event", "events")


def whole(folder, kind):
    """All splits of a table, sorted by event; rows of one event keep their order."""
    tables = [TRAINING_TABLES.read(folder, split, kind).assign(split=split) for split in SPLITS]
    table = pd.concat([part for part in tables if len(part)], ignore_index=True)
    return table.sort_values("event", kind="stable", ignore_index=True)


def test_tables_hold_the_truth(toy, toy_declaration, tmp_path):
    path, truth = toy
    description = preprocess(toy_declaration, [path], tmp_path / "t")
    objects, unmatched, sources, events = (whole(tmp_path / "t", kind) for kind in KINDS)
    every = np.arange(len(truth.gen))
    assert np.array_equal(np.bincount(objects["event"], minlength=len(every)), truth.gen)
    assert np.array_equal(
        np.bincount(objects["event"], weights=objects["reconstructed"], minlength=len(every)), truth.found
    )
    assert np.array_equal(np.bincount(unmatched["event"], minlength=len(every)), truth.unmatched)
    assert np.array_equal(events["event"], every)
    assert np.array_equal(sources["number"], truth.unmatched)
    assert np.array_equal(sources["event"], every)
    assert sum(description.events.values()) == len(every)
    assert sum(description.gen_objects.values()) == truth.gen.sum()
    assert sum(description.reconstructed.values()) == truth.found.sum()
    assert sum(description.unmatched["event"].values()) == truth.unmatched.sum()


def test_targets_are_those_of_the_match(toy, toy_declaration, tmp_path):
    preprocess(toy_declaration, [toy[0]], tmp_path / "t")
    objects = whole(tmp_path / "t", "objects")
    found = objects[objects["reconstructed"]]
    assert found["target.pt"].to_numpy() == pytest.approx(found["conditioning.pt"].to_numpy() + 1.0, rel=1e-6)
    assert found["target.eta"].to_numpy() == pytest.approx(found["gen.eta"].to_numpy() + 0.01, abs=1e-5)
    lost = objects[~objects["reconstructed"]]
    assert lost.filter(like="target.").isna().all(axis=None)
    assert not objects.filter(like="conditioning.").isna().any(axis=None)


def test_targets_that_the_file_lacks_are_left_out(toy, toy_declaration, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        description = preprocess(toy_declaration, [toy[0]], tmp_path / "t")
    assert "left out: absent" in caplog.text
    assert "absent" not in [target.branch for target in description.declaration.targets]
    assert description.declaration.derived == []
    assert TRAINING_TABLES.read_description(tmp_path / "t") == description


def test_values_that_are_not_allowed_are_told(toy, toy_declaration, tmp_path, caplog):
    content = toy_declaration.model_dump(mode="json")
    content["targets"][3]["range"] = [0, 10]
    preprocess(ObjectDeclaration.model_validate(content), [toy[0]], tmp_path / "t")
    assert "values of Jet_nConstituents are outside of what the declaration allows" in caplog.text
    assert "Jet_btag" not in caplog.text


@pytest.mark.parametrize(("seed", "named"), [(1, False), (2, True)], ids=["same", "other"])
def test_other_events_of_the_same_numbers_are_named(
    toy, toy_declaration, toy_nanoaod, tmp_path, caplog, seed, named
):
    again = tmp_path / "again.root"
    toy_nanoaod(again, seed=seed)
    preprocess(toy_declaration, [toy[0], again], tmp_path / "t", chunk=7)
    assert ("again.root: its events and those of " in caplog.text) == named


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_tables_do_not_depend_on_chunks_files_and_their_order(
    toy, toy_declaration, toy_nanoaod, tmp_path, chunk
):
    path, _ = toy
    other = tmp_path / "other.root"
    toy_nanoaod(other, events=15, first=1000)
    preprocess(toy_declaration, [path, other], tmp_path / "a")
    preprocess(toy_declaration, [other, path], tmp_path / "b", chunk=chunk)
    for kind in KINDS:
        pd.testing.assert_frame_equal(whole(tmp_path / "a", kind), whole(tmp_path / "b", kind))


def test_no_event_is_in_two_splits(toy, toy_declaration, tmp_path):
    preprocess(toy_declaration, [toy[0]], tmp_path / "t")
    tables = pd.concat([whole(tmp_path / "t", kind) for kind in KINDS])
    pairs = tables[["event", "split"]].drop_duplicates()
    assert pairs["event"].is_unique
    assert set(pairs["split"]) == set(SPLITS)


def test_the_splits_have_their_shares(toy_declaration, toy_nanoaod, tmp_path):
    toy_nanoaod(tmp_path / "many.root", events=4000)
    events = preprocess(toy_declaration, [tmp_path / "many.root"], tmp_path / "t").events
    assert [events[split] / 4000 for split in SPLITS] == pytest.approx([0.7, 0.15, 0.15], abs=0.02)


@pytest.mark.parametrize("counts", [[0, 0, 0], [0, 3, 0]])
def test_events_without_gen_objects_have_rows_of_their_own(toy_declaration, toy_nanoaod, tmp_path, counts):
    truth = toy_nanoaod(tmp_path / "few.root", events=3, counts=counts)
    preprocess(toy_declaration, [tmp_path / "few.root"], tmp_path / "t")
    assert len(whole(tmp_path / "t", "events")) == 3
    assert (
        sum(len(TRAINING_TABLES.read(tmp_path / "t", split, "objects")) for split in SPLITS)
        == truth.gen.sum()
    )


def test_files_without_events_add_nothing(toy, toy_declaration, toy_nanoaod, tmp_path):
    toy_nanoaod(tmp_path / "empty.root", events=0)
    preprocess(toy_declaration, [toy[0]], tmp_path / "a")
    preprocess(toy_declaration, [tmp_path / "empty.root", toy[0], tmp_path / "empty.root"], tmp_path / "b")
    pd.testing.assert_frame_equal(whole(tmp_path / "a", "objects"), whole(tmp_path / "b", "objects"))
    with pytest.raises(InputFileError, match=r"empty\.root: holds no events"):
        preprocess(toy_declaration, [tmp_path / "empty.root"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_generation_sees_the_conditioning_of_training(toy, toy_declaration, tmp_path):
    preprocess(toy_declaration, [toy[0]], tmp_path / "t", chunk=11)
    objects = whole(tmp_path / "t", "objects")
    with NanoFile(toy[0]) as file:
        chunk = gen_chunk(toy_declaration, file.read([*EVENT_IDS, *gen_branches(toy_declaration)]))
    for name, column in conditioning_columns(toy_declaration.conditioning, chunk, "GenJet").items():
        assert np.array_equal(objects[f"conditioning.{name}"], column.astype(np.float32)), name


def test_progress_ends_with_all_events(toy, toy_declaration, tmp_path):
    seen = []
    preprocess(
        toy_declaration,
        [toy[0], toy[0]],
        tmp_path / "t",
        chunk=30,
        progress=lambda *counts: seen.append(counts),
    )
    assert seen == [(30, 80), (40, 80), (70, 80), (80, 80)]


def test_tables_are_not_replaced_unasked(toy, toy_declaration, tmp_path):
    preprocess(toy_declaration, [toy[0]], tmp_path / "t")
    with pytest.raises(OutputFileError, match="holds training tables already"):
        preprocess(toy_declaration, [toy[0]], tmp_path / "t")
    preprocess(toy_declaration, [toy[0]], tmp_path / "t", force=True)


def test_a_file_that_breaks_midway_leaves_nothing(toy, toy_declaration, tmp_path, monkeypatch):
    def broken(self, names, size, **options):
        yield 0, 40, self.read(names)
        msg = "toy.root: is damaged"
        raise InputFileError(msg)

    monkeypatch.setattr(NanoFile, "chunks", broken)
    with pytest.raises(InputFileError, match="is damaged"):
        preprocess(toy_declaration, [toy[0]], tmp_path / "t")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("data_dimuon_2018", "collision data"),
        pytest.param("bad_missing_lumi", "lacks luminosityBlock", marks=SLOW),
        pytest.param("bad_no_genjet", "lacks .*GenJet", marks=SLOW),
        ("scouting_run3", "lacks Electron_eta.* needed to preprocess jets .*no Electron and no Jet"),
    ],
)
def test_unfit_files_are_refused(nanoaod_dir, tmp_path, file, fault):
    with pytest.raises(InputFileError, match=rf"{file}\.root: .*{fault}"):
        preprocess(load_object("jets"), [nanoaod_dir / f"{file}.root"], tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_versions_are_not_mixed(nanoaod_dir, tmp_path):
    files = [nanoaod_dir / "tt_2018_v5.root", nanoaod_dir / "sms_v9.root"]
    with pytest.raises(InputFileError, match=r"different NanoAOD versions .*v5.*v9.*preprocess them apart"):
        preprocess(load_object("muons"), files, tmp_path / "t")


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        pytest.param("tt_2018_v5", "muons", marks=SLOW),
        ("wjets_2015_v9", "jets"),
        pytest.param("tt_2018_v5", "jets", marks=SLOW),
        pytest.param("wjets_2015_v9", "muons", marks=SLOW),
        *(
            pytest.param(f"tt_{v}", name, marks=SLOW)
            for v in ("2022_v12", "2024_v15")
            for name in ("jets", "muons")
        ),
    ],
)
def test_shipped_objects_of_real_files(nanoaod_dir, tmp_path, sample, name):
    path = nanoaod_dir / f"{sample}.root"
    description = preprocess(load_object(name), [path], tmp_path / "t")
    declaration = description.declaration
    found = sum(description.reconstructed.values())
    assert found == MATCHED[sample][name]
    with NanoFile(path) as file:
        total = ak.sum(ak.num(file.read([f"{declaration.collection}_pt"])[f"{declaration.collection}_pt"]))
    unmatched = [*description.unmatched.values(), description.sourceless]
    assert found + sum(sum(by_split.values()) for by_split in unmatched) == total
    assert sum(description.sourceless.values()) == 0
    objects = whole(tmp_path / "t", "objects")
    assert description.non_finite == {}
    assert not objects.filter(like="conditioning.").isna().any(axis=None)
    matched = objects[objects["reconstructed"]]
    assert set(matched.filter(like="target.")) == {f"target.{t.branch}" for t in declaration.targets}
    assert not matched.filter(like="target.").isna().any(axis=None)
    response = matched["target.pt"] / matched["conditioning.pt"]
    assert response[matched["conditioning.pt"] > 30.0].median() == pytest.approx(1.0, abs=0.12)


def with_relations(declaration, *relations):
    return ObjectDeclaration.model_validate(
        declaration.model_dump(mode="json") | {"relations": list(relations)}
    )


def test_relations_are_tested_and_those_that_do_not_hold_are_left_out(toy, toy_declaration, tmp_path, caplog):
    """Found jets have a pT that is 1 GeV above that of the gen jet; the constituents say nothing of it."""
    declaration = with_relations(
        toy_declaration,
        {"kind": "formula", "branch": "nConstituents", "expression": "2 * pt"},
        {"kind": "formula", "branch": "pt", "expression": "conditioning.pt + 1"},
    )
    with caplog.at_level(logging.WARNING):
        description = preprocess(declaration, [toy[0]], tmp_path / "t", chunk=7)
    assert [relation.branch for relation in description.declaration.relations] == ["pt"]
    wrong, right = description.relations
    assert (wrong.kept, right.kept) == (False, True)
    assert (right.held, right.rows, right.largest) == (right.rows, sum(description.reconstructed.values()), 0)
    assert wrong.held < wrong.rows
    assert "relation 'formula of nConstituents': holds in " in caplog.text
    assert "left out, the branches are drawn by themselves" in caplog.text
    assert "relation 'formula of pt'" not in caplog.text


@pytest.mark.parametrize("branch", ["absent", "nConstituents"])
def test_relations_of_branches_that_the_file_lacks_are_left_out(toy, toy_declaration, tmp_path, branch):
    other = "absent" if branch == "nConstituents" else "nConstituents"
    relation = {"kind": "formula", "branch": branch, "expression": other}
    description = preprocess(with_relations(toy_declaration, relation), [toy[0]], tmp_path / "t")
    assert description.declaration.relations == description.relations == []
