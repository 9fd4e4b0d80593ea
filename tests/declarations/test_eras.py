from __future__ import annotations

import pytest

from flashsim.declarations.eras import load_era, shipped_eras
from flashsim.declarations.pileup import shipped_profiles
from flashsim.errors import RecipeError

GOOD = """
other: {a: 1}
generation:
  nanoaod: v15
  energy: 900.0
  pileup: {mean: 3.0, width: 1.0, least: 0.0, most: 9.0, whole_numbers: false}
  beam_spot: {x: [0, 1], y: [0, 1], z: [0, 1], t0: [0, 1]}
"""


def test_shipped_eras_are_valid():
    assert shipped_eras() == ["run2", "run3"]
    for name in shipped_eras():
        era = load_era(name)
        assert not isinstance(era.pileup, str) or era.pileup in shipped_profiles()
    assert (load_era("run2").nanoaod, load_era("run3").nanoaod) == ("v9", "v15")
    assert (load_era("run2").energy, load_era("run3").energy) == (13000.0, 13600.0)


def test_ones_own_era(tmp_path):
    path = tmp_path / "low.yaml"
    path.write_text(GOOD)
    era = load_era(path)
    assert (era.energy, era.pileup.mean, era.beam_spot.z) == (900.0, 3.0, (0.0, 1.0))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("generation:", "generations:", "is no era, as it has no section 'generation'; .* run2, run3"),
        ("v15", "v3", r"low.yaml: generation: nanoaod: expected 'v9' or 'v15', found 'v3' \(line 4\)"),
        ("900.0", "-1.0", r"energy: .* found -1.0 \(line 5\)"),
        ("whole_numbers: false", "whole: false", r"whole_numbers: is missing.*pileup.whole: is no key"),
        ("z: [0, 1]", "z: [0]", r"beam_spot.z"),
        ("mean: 3.0", "mean: -3.0", r"pileup.mean: .* found -3.0"),
    ],
)
def test_faults_are_named(tmp_path, old, new, message):
    path = tmp_path / "low.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(RecipeError, match=message):
        load_era(path)
