from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.jet_corrections import EDGES, binned, payload
from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import RecipeError
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.reference.objects.corrections import OFFSET, RESPONSE, JetCorrections


@pytest.fixture
def path(tmp_path):
    outer = np.array(EDGES[:-1])[:, None] >= 2.4
    offset = {"L1FastJet": binned(OFFSET, ["JetPt", "JetA", "Rho"], np.where(outer, 0.9, 0.5))}
    parameters = np.where(outer, 1.1, 1.0) * np.array([1.0, 0.01, -0.002, 0.8, 1.0, 8.0, 900.0])
    response = {"L2Relative": binned(RESPONSE, ["JetPt"], parameters)}
    content = payload("Test", {"AK4PFchs": offset | response, "AK4PFPuppi": response})
    path = tmp_path / "test.json"
    path.write_text(json.dumps(content))
    return path


def raw_jets(number=2000):
    rng = np.random.default_rng(2)
    return {
        "area": rng.normal(0.5, 0.05, number),
        "eta": rng.uniform(-5, 5, number),
        "pt": 5 + rng.exponential(40, number),
        "rho": rng.uniform(0, 40, number),
    }


@pytest.mark.parametrize("jets", ["AK4PFchs", "AK4PFPuppi"])
def test_correctionlib_gives_the_same_corrections(path, jets):
    correctionlib = pytest.importorskip("correctionlib")
    raw = raw_jets()
    first, factor = JetCorrections.load(str(path)).factors(jets, **raw)
    compound = correctionlib.CorrectionSet.from_file(str(path)).compound[f"Test_L1L2L3_{jets}"]
    arguments = dict(zip(("JetA", "JetEta", "JetPt", "Rho"), raw.values(), strict=True))
    theirs = compound.evaluate(*(arguments[given.name] for given in compound.inputs))
    np.testing.assert_allclose(factor, theirs, rtol=1e-9)
    assert (first < 1).any() == (jets == "AK4PFchs")


def test_corrections_hold_anew_for_stored_jets(path):
    """pT, mass and rawFactor of NanoAOD have 10 and 6 bits: raw pT comes back within their steps."""
    raw = raw_jets()
    _, factor = JetCorrections.load(str(path)).factors("AK4PFchs", **raw)
    stored = {"pt": raw["pt"] * factor, "raw": 1 - 1 / factor, "area": raw["area"]}
    for name, bits in (("pt", 10), ("raw", 6), ("area", 10)):
        stored[name] = round_mantissa(stored[name].astype(np.float32), bits).astype(np.float64)
    anew = {"pt": stored["pt"] * (1 - stored["raw"]), "area": stored["area"]}
    _, again = JetCorrections.load(str(path)).factors("AK4PFchs", **(raw | anew))
    ratio = stored["pt"] / (anew["pt"] * again)
    assert np.median(ratio) == pytest.approx(1, abs=1e-3)
    assert ratio.std() < 5e-3


def test_more_pileup_lowers_the_correction(path):
    raw = raw_jets()
    load = JetCorrections.load(str(path))
    few, _ = load.factors("AK4PFchs", **(raw | {"rho": np.zeros(2000)}))
    many, _ = load.factors("AK4PFchs", **(raw | {"rho": np.full(2000, 30.0)}))
    np.testing.assert_array_equal(few, 1.0)
    assert (many < 1).all()
    assert (many >= 0.1).all()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is no payload of jet corrections"),
        ("{", "is no payload of jet corrections"),
        ("[]", "is no payload of jet corrections"),
        (
            {"corrections": [{"name": "A_L2Relative_B", "data": {"content": [{"expression": "x"}]}}]},
            "other formulas",
        ),
    ],
)
def test_a_file_that_is_no_payload_is_refused(tmp_path, content, sentence):
    path = tmp_path / "own.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(RecipeError, match=sentence) as error:
        JetCorrections.load(str(path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize("era", ["run2", "run3"])
@pytest.mark.parametrize("jets", ["AK4PFchs", "AK4PFPuppi", "AK8PFPuppi"])
def test_shipped_corrections_are_those_that_clients_apply(era, jets):
    correctionlib = pytest.importorskip("correctionlib")
    raw = raw_jets()
    first, factor = JetCorrections.load(era).factors(jets, **raw)
    path = recipe_folder("reference") / "corrections" / f"{era}.json"
    compound = correctionlib.CorrectionSet.from_file(str(path)).compound[f"FlashSim_{era}_L1L2L3_{jets}"]
    arguments = dict(zip(("JetA", "JetEta", "JetPt", "Rho"), raw.values(), strict=True))
    theirs = compound.evaluate(*(arguments[given.name] for given in compound.inputs))
    np.testing.assert_allclose(factor, theirs, rtol=1e-6)
    response = factor / first
    assert (response > 0.7).all()
    assert (response < 5.0).all()  # jets of 5 GeV at the border of HF: 4.1
