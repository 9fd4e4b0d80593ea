from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.fidelity.judge import REFERENCE, SECOND, Judge
from benchmarks.fidelity.observables import load_observables
from benchmarks.fidelity.samples import Sample, Workplace
from benchmarks.fidelity.surroundings import load_surroundings, with_surroundings
from flashsim.declarations.objects import load_object
from flashsim.interface.inspection import shipped_objects
from flashsim.models.object_model import ObjectModel

OBJECTS = {declaration.name: declaration for declaration in shipped_objects() if declaration.per == "object"}


@pytest.mark.parametrize("name", OBJECTS)
def test_surroundings_are_beside_the_conditioning_of_every_object(name):
    declaration = OBJECTS[name]
    wider = with_surroundings(declaration)
    # Validated anew: names are distinct, and collections and fields are there.
    assert type(declaration).model_validate(wider.model_dump()) == wider
    assert wider.conditioning[: len(declaration.conditioning)] == declaration.conditioning


def test_tables_tell_them_apart(made_process, made_models, tmp_path):
    model = ObjectModel.load(made_models / "jets.safetensors")
    sample = Sample.read(Workplace(tmp_path, [model]).tables(made_process, "full", model.declaration))
    assert list(sample.surroundings) == load_surroundings().columns
    assert list(sample.conditioning) == list(model.conditioning.transforms)
    assert {len(column) for column in sample.surroundings.values()} == {len(sample)}
    few = sample.first(10)
    assert {len(column) for column in few.surroundings.values()} == {len(few)}


def test_a_model_that_is_right_on_average_only_is_given_away():
    """Isolation follows the jet around a muon; the model draws it from all of them."""
    random = np.random.default_rng(1)
    events = 6000
    share = random.exponential(0.2, events)

    def isolation(around):
        return around * random.uniform(0.7, 1.0, events)

    drawn = {REFERENCE: share, SECOND: share, "flash": random.permutation(share)}
    samples = {name: _sample(share, isolation(around)) for name, around in drawn.items()}
    model = SimpleNamespace(declaration=load_object("muons").with_targets(["pfRelIso04_all"]))
    judge = Judge(model, samples, load_observables())
    blind = judge.classifier(importance=False)
    knowing = judge.classifier(importance=False, surroundings=True)
    assert blind["flash"]["auc"] < 0.54
    assert knowing["flash"]["auc"] > 0.8
    assert knowing[SECOND]["auc"] < 0.54


def _sample(share, isolation):
    number = np.arange(len(share))
    return Sample(
        identity=number.astype(np.uint64),
        event=number,
        reconstructed=np.ones(len(share), dtype=bool),
        conditioning={"pt": np.full(len(share), 40.0)},
        gen={"pt": np.full(len(share), 40.0)},
        targets={"pfRelIso04_all": isolation},
        unmatched_event=number[:0],
        unmatched={},
        surroundings={"aroundClosestJet_rest_share": share},
    )
