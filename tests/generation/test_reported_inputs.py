"""Inputs that users' reports stand for, where they are at hand; other tests make such inputs themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from flashsim.errors import InputFileError

CASES = Path(__file__).parents[3] / "shared" / "cases" / "nanoaod"

REFUSED = {
    "pdgid_short": r"GenPart_pdgId has 19 values in entry 0 .*, expected 20 as GenPart_",
    "mother_short": r"GenPart_genPartIdxMother has 19 values in entry 0 .*, expected 20 as GenPart_",
    "genjet_eta_flat": r"GenJet_eta is float32, one for each event, expected float32, a list for each event",
    "genjet_nan": r"GenJet_pt is NaN or infinite in 12 of 70 values, first in entry 0",
    "nanogen_nopileup": r"has no Pileup_nTrueInt, .* --pileup drawn",
}


@pytest.fixture
def source():
    """Give the path of a reported input."""
    if not CASES.is_dir():
        pytest.skip(f"no reported inputs in {CASES}")
    return lambda name: CASES / f"{name}.root"


@pytest.mark.parametrize("name", REFUSED)
def test_refused(make_generator, source, tmp_path, name):
    with pytest.raises(InputFileError, match=rf"{name}\.root: {REFUSED[name]}"):
        make_generator().run(source(name), tmp_path / "out.root")
    assert not list(tmp_path.iterdir())


def test_friends_are_left_out_or_follow_the_events(make_generator, source, tmp_path):
    summary = make_generator().run(source("friends"), tmp_path / "out.root")
    assert (summary.trees_left, summary.objects_left) == (["Friends"], ["sub", "note", "hist"])
    kept = make_generator(oversample=3).run(source("friends"), tmp_path / "three.root", keep=["Friends"])
    assert kept.trees_left == []


def test_nanogen_has_a_profile(make_generator, source, tmp_path):
    summary = make_generator(pileup="run2_2018").run(source("nanogen_nopileup"), tmp_path / "out.root")
    assert summary.events == 12
    assert summary.pileup.startswith("the pileup is drawn from the profile run2_2018")
