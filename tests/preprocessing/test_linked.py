"""Whether leptons of training files follow from their jets is tested, and noted."""

from __future__ import annotations

import logging

import awkward as ak
import pytest

from flashsim.declarations.objects import load_object
from flashsim.learning.tables import OBJECTS, PLACED, SPLITS, TRAINING_TABLES
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter
from flashsim.preprocessing.preprocess import preprocess

TITLES = ["jetRelIso of the linked Jet", "jetPtRelv2 of the linked Jet"]


@pytest.mark.parametrize(("name", "exact"), [("tt_2022_v12", True), ("wjets_2015_v9", False)])
def test_formulas_of_puppi_jets_are_those_of_cms(nanoaod_dir, tmp_path, caplog, name, exact):
    """CHS jets of CMS have other corrections of pileup than ours."""
    description = preprocess(load_object("muons"), [str(nanoaod_dir / f"{name}.root")], tmp_path / "t")
    found = [test for test in description.relations if test.title in TITLES]
    assert [test.title for test in found] == 2 * TITLES
    assert [test.kept for test in found] == [False, False, exact, exact]
    assert [list(linked.formulas) for linked in description.declaration.linked] == exact * [
        ["jetRelIso", "jetPtRelv2"]
    ]
    assert ("the branch is drawn by itself" in caplog.text) != exact


def test_rows_with_a_jet_are_marked(nanoaod_dir, tmp_path):
    path = nanoaod_dir / "tt_2022_v12.root"
    description = preprocess(load_object("muons"), [str(path)], tmp_path / "t")
    kinds = [OBJECTS, PLACED]
    found = sum(
        TRAINING_TABLES.read(tmp_path / "t", split, kind)["linked.jetRelIso"].sum()
        for split in SPLITS
        for kind in kinds
    )
    with NanoFile(path) as file:
        with_jet = int(ak.sum(file.read(["Muon_jetIdx"])["Muon_jetIdx"] >= 0))
    # Some unmatched muons are in the cone of no source.
    assert with_jet - sum(description.sourceless.values()) <= found <= with_jet


def test_files_without_what_is_linked_go_without(made_nanoaod, tmp_path, caplog):
    with NanoFile(made_nanoaod) as file, NanoWriter(tmp_path / "in.root") as writer:
        branches = [branch for branch in file.branches.values() if branch.name != "Jet_area"]
        writer.tree("Events", branches)
        writer.extend("Events", file.read([branch.name for branch in branches]))
    with caplog.at_level(logging.INFO):
        description = preprocess(load_object("muons"), [str(tmp_path / "in.root")], tmp_path / "t")
    # Of made events no muon has a jet: what needs no area stays as it is declared.
    assert [(test.rows, test.kept) for test in description.relations if test.title in TITLES] == 2 * [
        (0, True)
    ]
    assert [linked.corrections for linked in description.declaration.linked] == [{}]
    assert "jetRelIso, jetPtRelv2 do not follow from Jet: the inputs do not have all of" in caplog.text
    assert "Jet_area" in caplog.text
