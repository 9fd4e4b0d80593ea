"""Taggers: files, what they make of a network's output."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from flashsim.errors import ModelFileError, RecipeError
from flashsim.events.collection import Collection
from flashsim.learning.perceptron_module import PerceptronModule
from flashsim.reference.taggers.scores import Taggers, pileup_id
from flashsim.reference.taggers.tagger import Score, Tagger, load_taggers, matrix

OUTPUTS = ("b", "c", "uds", "g")
SCORES = {
    "btagDeepFlavB": Score(("b",), ("c", "uds", "g")),
    "btagDeepFlavCvL": Score(("c",), ("uds", "g")),
    "btagDeepFlavCvB": Score(("c",), ("b",)),
}


@pytest.fixture
def module():
    torch.manual_seed(1)
    return PerceptronModule(3, 4, width=16, depth=2).eval()


@pytest.fixture
def tagger(module):
    return Tagger(
        collections=("Jet",),
        inputs=("log pt", "abs eta", "mass"),
        outputs=OUTPUTS,
        network=module.trained(),
        centre=np.array([3.0, 1.0, 5.0], dtype=np.float32),
        width=np.array([1.0, 0.5, 2.0], dtype=np.float32),
        scores=SCORES,
    )


def jets(number=200, seed=1):
    rng = np.random.default_rng(seed)
    return {
        "pt": rng.exponential(40.0, number) + 15.0,
        "eta": rng.uniform(-4.0, 4.0, number),
        "mass": rng.exponential(6.0, number),
    }


def test_output_is_that_of_torch(tagger, module):
    features = jets()
    rows = np.stack([np.log1p(features["pt"]), np.abs(features["eta"]), features["mass"]], axis=1)
    scaled = np.clip((rows - tagger.centre) / tagger.width, -6.0, 6.0).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(scaled)).numpy()
    found = np.stack(list(tagger.logits(features).values()), axis=1)
    assert found == pytest.approx(expected, abs=1e-4)


def test_scores_are_shares_of_one_set_of_probabilities(tagger):
    columns, logits = tagger.columns(jets()), tagger.logits(jets())
    weights = np.exp(np.stack([logits[name] for name in OUTPUTS]))
    b, c, uds, g = weights / weights.sum(axis=0)
    assert columns["btagDeepFlavB"] == pytest.approx(b, rel=1e-6)
    assert columns["btagDeepFlavCvL"] == pytest.approx(c / (c + uds + g), rel=1e-6)
    assert columns["btagDeepFlavCvB"] == pytest.approx(c / (c + b), rel=1e-6)
    every = sum(Score((one,), tuple(set(OUTPUTS) - {one})).stored(logits, jets()) for one in OUTPUTS)
    assert every == pytest.approx(np.ones(200))


def test_an_object_does_not_depend_on_those_that_come_with_it(tagger):
    features = jets()
    few = {name: column[17:29] for name, column in features.items()}
    for name, column in tagger.columns(few).items():
        assert (column == tagger.columns(features)[name][17:29]).all()


def test_outside_of_its_range_a_score_is_a_fixed_value(tagger):
    score = Score(("b",), ("c",), inside={"eta": (-2.5, 2.5), "pt": (20.0, 1e6)}, outside=-1.0)
    features = jets()
    found = score.stored(tagger.logits(features), features)
    inside = (np.abs(features["eta"]) <= 2.5) & (features["pt"] >= 20)
    assert (found[~inside] == -1.0).all()
    assert ((found[inside] > 0) & (found[inside] < 1)).all()


def test_a_range_keeps_the_order(tagger):
    features = jets()
    logits = tagger.logits(features)
    score = Score(("b",), ("c",), low=-1.0)
    found, ratio = score.stored(logits, features), score.logarithm(logits)
    assert (np.diff(found[np.argsort(ratio)]) >= 0).all()
    assert ((found > -1) & (found < 1)).all()
    assert found == pytest.approx(np.tanh(ratio / 2))


def test_working_points_follow_from_the_stored_score():
    score = Score(("a",), points={"loose": 0.2, "number": [0.2, 0.5, 0.8]})
    found = score.passed(np.array([0.1, 0.2, 0.6, 0.9]))
    assert found["loose"].tolist() == [False, True, True, True]
    assert found["number"].tolist() == [0, 1, 2, 3]
    assert replace(score, bits=True).passed(np.array([0.1, 0.6, 0.9]))["number"].tolist() == [0, 3, 7]


def test_a_file_gives_the_same_tagger(tagger, tmp_path):
    score = Score(("b",), low=-1.0, inside={"eta": (-1.0, 1.0)}, points={"y": [0.1], "z": 0.5})
    written = replace(tagger, scores={**SCORES, "x": score})
    written.write(tmp_path / "net.safetensors")
    (read,) = load_taggers(tmp_path)["Jet"]
    for name, column in written.columns(jets()).items():
        assert (column == read.columns(jets())[name]).all()


def test_a_damaged_file_is_refused(tagger, tmp_path):
    path = tmp_path / "net.safetensors"
    tagger.write(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match=r"net\.safetensors"):
        load_taggers(tmp_path)


def test_names_of_inputs_say_how_they_are_taken():
    rows = matrix({"x": np.array([-3.0, np.nan, 2.0])}, ["x", "abs x", "log x"])
    assert rows[:, 0] == pytest.approx([-3.0, 0.0, 2.0])
    assert rows[:, 1] == pytest.approx([3.0, 0.0, 2.0])
    assert rows[:, 2] == pytest.approx([-np.log(4.0), 0.0, np.log(3.0)])


@pytest.mark.parametrize(
    ("score", "pt", "eta", "bits"),
    [(-0.99, 25, 0.0, 0), (-0.5, 25, 0.0, 4), (0.7, 25, 0.0, 6), (0.95, 25, 0.0, 7), (0.95, 45, 0.0, 4),
     (0.0, 25, 2.6, 6), (0.0, 25, 2.9, 7), (-0.2, 35, 4.0, 4)],
)  # fmt: skip
def test_pileup_identification_depends_on_momentum_and_place(score, pt, eta, bits):
    assert pileup_id(np.array([score]), np.array([pt]), np.array([eta])) == [bits]


def test_scores_are_added_to_the_columns(tagger):
    features = jets()
    objects = Collection.of_counts(np.array([120, 80]), features)
    pileup = replace(tagger, scores={"puIdDisc": SCORES["btagDeepFlavB"]})
    scored = Taggers({"Jet": [tagger, pileup]}).scored("Jet", objects, features)
    assert {"pt", "btagDeepFlavB", "puIdDisc", "puId"} <= set(scored.columns)
    assert scored.offsets is objects.offsets
    assert Taggers({}).scored("Jet", objects, features).columns == objects.columns


def test_taggers_of_an_unknown_name_are_refused(tagger, tmp_path):
    tagger.write(tmp_path / "net.safetensors")
    assert set(Taggers.load(str(tmp_path)).by_collection) == {"Jet"}
    with pytest.raises(RecipeError, match="'taggers': there are none by the name 'run9'"):
        Taggers.load("run9")
