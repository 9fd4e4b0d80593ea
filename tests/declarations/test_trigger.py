"""The trigger recipe."""

from __future__ import annotations

import re
from functools import reduce

import pytest

from flashsim.declarations.objects import load_object
from flashsim.declarations.recipes import parse_recipe
from flashsim.declarations.trigger import OnlineMomentum, TriggerRecipe, load_trigger
from flashsim.errors import RecipeError
from flashsim.interface.inspection import shipped_objects
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.schema import VERSIONS

RECIPE = load_trigger("trigger.yaml")

YEARS = {"v5": "tt_2018_v5", "v9": "pfnano_tt_2018", "v15": "tt_2024_v15"}
"""Real files that have decisions."""


def changed(place, value):
    content = RECIPE.model_dump(mode="json")
    *above, last = place.split(".")
    part = reduce(lambda found, key: found[int(key) if key.isdecimal() else key], above, content)
    part[int(last) if last.isdecimal() else last] = value
    return parse_recipe(TriggerRecipe, content, origin="x.yaml")


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("filters.jet.of", "tau", "filters.jet: names tau, which is not among objects: electron, muon, jet"),
        ("values.ht.of", "tau", "values.ht: names tau, which is not among objects"),
        ("paths.0.legs.0.filter", "lepton", "HLT_IsoMu20: names lepton, which is not among filters"),
        ("paths.0.legs.0.bits", ["Isolated"], "HLT_IsoMu20: Isolated is no bit of muon; known are 1mu,"),
        ("paths.0.legs", [], "HLT_IsoMu20: asks for nothing"),
        ("paths.0.min_mass", 8.0, "HLT_IsoMu20: min_mass is that of two legs"),
        ("paths.0.values", [{"value": "x", "above": 1}], "HLT_IsoMu20: names x, which is not among values"),
        ("paths.0.until", "v3", "unknown NanoAOD version 'v3'"),
        ("paths.0.since", "v15", None),
        ("paths.1.since", "v15", "exists since v15, but only until v9"),
        ("paths.0.name", "HLT_IsoMu24", "HLT_IsoMu24 is declared twice"),
        ("filters.jet.efficiency", [[5.0, 1.2]], "expected efficiencies from 0 to 1, found 1.2"),
        ("filters.jet.efficiency", [[2.0, 1.0], [1.0, 1.0]], "expected upper ends of |eta| that rise"),
        ("filters.jet.given", [{"where": "pt >", "factor": 1}], "is no expression"),
        ("bits.0.of.muon", {"Iso": 63}, "less than or equal to 62"),
    ],
)
def test_what_cannot_be_is_one_clear_sentence(place, value, says):
    if says is None:
        assert changed(place, value)
        return
    with pytest.raises(RecipeError, match=re.escape(says)):
        changed(place, value)


def test_legs_of_one_object_share_a_filter():
    legs = [{"filter": "muon", "pt": 17}, {"filter": "isolated_muon", "pt": 8}]
    with pytest.raises(RecipeError, match="HLT_IsoMu20: legs of one object need the same filter"):
        changed("paths.0.legs", legs)


def test_shipped_paths_read_what_shipped_objects_simulate():
    declared = {d.collection: {*d.fields()} for d in shipped_objects("object")}
    for kind in RECIPE.objects.values():
        assert {"pt", "eta", "phi"} <= declared[kind.collection]
    for name, asked in RECIPE.filters.items():
        assert set(asked.branches) <= declared[RECIPE.objects[asked.of].collection], name
    event = set(load_object("event").fields())
    for value in RECIPE.values.values():
        if isinstance(value, OnlineMomentum):
            assert any(f"{prefix}_pt" in event for prefix in value.branches)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_has_its_single_lepton_paths_and_bits(version):
    paths = {path.name for path in RECIPE.paths if path.exists_in(version)}
    assert {"HLT_IsoMu24", "HLT_IsoMu27", "HLT_Mu50", "HLT_Ele32_WPTight_Gsf", "HLT_PFHT1050"} <= paths
    assert ("HLT_IsoTkMu24" in paths) == (version in {"v5", "v6", "v9"})
    bits = RECIPE.bits_of(version)
    # An isolated muon that fired alone is what most analyses match: bits 1 and 3, in all versions.
    assert (bits.of["muon"]["Iso"], bits.of["muon"]["1mu"], bits.of["electron"]["1e (WPTight)"]) == (1, 3, 1)


@pytest.mark.parametrize("version", YEARS)
def test_paths_are_those_of_real_files(nanoaod_dir, version):
    """A file of 2018 lacks those of 2016 alone."""
    with NanoFile(nanoaod_dir / f"{YEARS[version]}.root") as file:
        lacking = [p for p in RECIPE.paths if p.exists_in(version) and not file.has(p.name)]
    assert all(path.years == "2016" for path in lacking), [path.name for path in lacking]


@pytest.mark.parametrize("version", ["v5", "v9"])
def test_bits_are_those_of_titles_of_real_files(nanoaod_dir, version):
    with NanoFile(nanoaod_dir / f"{YEARS[version]}.root") as file:
        title = file.branches["TrigObj_filterBits"].title
    parts = dict(zip(("electron", "muon"), title.split(";"), strict=False))
    for kind, numbers in RECIPE.bits_of(version).of.items():
        for name, number in numbers.items():
            assert f"{1 << number} = {name}" in parts[kind]
