"""Titles of branches, and files where uproot keeps them elsewhere."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import awkward as ak
import numpy as np
import pytest
import uproot

from flashsim.nanoaod import described_tree
from flashsim.nanoaod.described_tree import make_tree

TYPES = {"run": np.dtype("u4"), "Jet_pt": ak.types.ListType(ak.types.NumpyType("float32"))}


def write(path):
    with uproot.recreate(path) as file:
        tree = make_tree(
            file,
            "Events",
            TYPES,
            title="events",
            counter_name=lambda _: "nJet",
            titles={"nJet": "all jets"},
            counter_dtype=np.dtype("u4"),
        )
        tree.extend({"run": np.array([1, 2], "u4"), "Jet_pt": ak.values_astype([[1, 2], [3]], "f4")})
    with uproot.open(path) as file:
        assert file["Events"].title == "events"
        assert file["Events/Jet_pt"].array().tolist() == [[1, 2], [3]]
        return {branch.name: branch.title for branch in file["Events"].branches}


def test_titles_where_given(tmp_path):
    assert write(tmp_path / "a.root") == {"run": "run/i", "nJet": "all jets", "Jet_pt": "Jet_pt[nJet]/F"}


def test_other_trees_of_the_file_are_uproots(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        kinds = {"x": np.dtype("f4"), "Jet_pt": TYPES["Jet_pt"]}
        options = {"title": "", "counter_name": lambda _: "nJet"}
        make_tree(file, "a", kinds, titles={"x": "a number"}, counter_dtype=np.dtype("u4"), **options)
        file.mktree("b", kinds, **options)
    with uproot.open(tmp_path / "a.root") as file:
        assert [file[name]["x"].title for name in "ab"] == ["a number", "x/F"]
        assert [file[name]["nJet"].title for name in "ab"] == ["nJet/i", "nJet/I"]


def no_tree():
    raise TypeError


@pytest.mark.parametrize(
    "writing",
    [{}, {"writing": SimpleNamespace(_cascadetree=SimpleNamespace(Tree=no_tree))}],
    ids=["no writing", "other arguments"],
)
def test_files_are_written_without_titles_when_uproot_has_changed(tmp_path, monkeypatch, caplog, writing):
    monkeypatch.setattr(described_tree, "uproot", SimpleNamespace(__version__="9.0", **writing))
    monkeypatch.setattr(described_tree, "_warned", False)
    with caplog.at_level(logging.WARNING):
        for name in ("a.root", "b.root"):
            assert write(tmp_path / name) == {"run": "run/i", "nJet": "nJet/I", "Jet_pt": "Jet_pt[nJet]/F"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "titles are not written, and counters as Int_t" in caplog.text
