"""Whether copies of the training are seen through the columns of a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fidelity import memorisation as module
from benchmarks.fidelity.memorisation import goal_of_memory, memorisation
from benchmarks.fidelity.samples import Sample, Workplace
from flashsim.models.object_model import ObjectModel


@pytest.fixture(scope="module")
def model(made_models):
    return ObjectModel.load(made_models / "jets.safetensors")


@pytest.fixture(scope="module")
def samples(made_process, model, tmp_path_factory):
    """Give a training, and two draws of other events."""
    place = Workplace(tmp_path_factory.mktemp("memory"), [model])
    full = Sample.read(place.tables(made_process, "full", model.declaration))
    again = Sample.read(place.tables(made_process, "full_1", model.declaration))
    return full, again


def test_another_draw_is_no_copy(model, samples, monkeypatch):
    monkeypatch.setattr(module, "LEAST", 20)
    training, held_out = samples
    found = memorisation(model, training, held_out, held_out)
    assert found["generated"]["share"] == pytest.approx(found["held out"]["share"], abs=0.15)
    assert found["rows"] > 50
    assert sum(found["generated"]["histogram"]) == pytest.approx(1.0, abs=1e-3)


def test_a_model_that_gives_its_training_back_is_found(model, samples):
    training, held_out = samples
    copied = replace(held_out, targets=training.targets, reconstructed=training.reconstructed)
    found = memorisation(model, training, held_out, copied)
    assert found["generated"]["close"] > 0.9
    assert found["generated"]["share"] > 0.65  # as many of the training as there are others: half of it
    assert found["held out"]["close"] < 0.05
    assert goal_of_memory(found)["passed"] is False


def test_verdicts():
    def found(share, other=0.5, close=0.01):
        return {
            "generated": {"share": share, "error": 0.005, "close": close, "asked": 4000},
            "held out": {"share": other, "error": 0.005, "close": 0.01, "asked": 4000},
        }

    assert goal_of_memory(found(0.505))["passed"] is True
    assert goal_of_memory(found(0.45))["passed"] is True
    assert goal_of_memory(found(0.56, other=0.55))["passed"] is True
    assert goal_of_memory(found(0.56))["passed"] is False
    assert goal_of_memory(found(0.505, close=0.05))["passed"] is False
    assert goal_of_memory(None)["passed"] is None


def test_few_objects_say_nothing(model, samples):
    training, held_out = samples
    assert memorisation(model, training, held_out.first(5), held_out.first(5)) is None
    assert np.count_nonzero(held_out.reconstructed) > 100
