"""Exact relations in what is written: as precise as NanoAOD's rounding, for matched and unmatched objects."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from flashsim.nanoaod.reading import NanoFile
from flashsim.transforms.relation_tests import RelationTests


@pytest.mark.parametrize("collection", ["Electron", "Jet", "Muon"])
@pytest.mark.parametrize("unmatched", [False, True])
def test_relations_hold_in_the_output(generated, loaded_models, collection, unmatched):
    (model,) = (m for m in loaded_models if m.declaration.collection == collection)
    d = model.declaration
    known = [relation for relation in d.relations if not relation.needs.gen]
    known = [relation for relation in known if not relation.needs.conditioning]
    d = d.model_copy(update={"relations": known})
    with NanoFile(generated[1]) as file:
        names = [target.branch for target in d.targets] + [d.match]
        arrays = file.read([f"{collection}_{name}" for name in names])
        columns = {name: np.asarray(ak.flatten(arrays[f"{collection}_{name}"])) for name in names}
    of_none = columns.pop(d.match) < 0
    tests = RelationTests(d, model.nanoaod_version)
    tests.add({name: values[of_none == unmatched] for name, values in columns.items()})
    assert len(tests.tests) >= 3
    for test in tests.tests:
        assert test.rows > 20
        # What a cut in a rounded value decides can be on its other side.
        assert test.held >= 0.98 * test.rows, test.sentence()
