from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.whole_events.judged import comparable, is_matched, read_judged_events
from flashsim.analysis.whole_events.reading import WholeEvents
from flashsim.declarations.objects import load_object


@pytest.fixture(scope="module")
def declarations():
    return [load_object(name) for name in ("jets", "muons", "event")]


@pytest.fixture(scope="module")
def full(made_process, declarations):
    return read_judged_events(made_process / "full.root", declarations)


def test_objects_know_their_gen_objects(full):
    """A gen object is close to what was made of it, and is that of one object only."""
    for name in ("Jet", "Muon"):
        objects = full[name]
        matched = is_matched(objects)
        assert np.count_nonzero(matched) > 0
        near = np.abs(objects["eta"] - objects["gen.eta"])[matched]
        assert np.quantile(near, 0.9) < 0.2
        named = objects.event_rows[matched] * 10_000 + objects["gen.index"][matched]
        assert len(np.unique(named)) == len(named)


def test_the_first_events_are_those_of_the_whole_file(full, made_process, declarations):
    few = read_judged_events(made_process / "full.root", declarations, stop=50)
    assert few.events == 50
    np.testing.assert_array_equal(few["Jet"]["gen.pt"], full["Jet"]["gen.pt"][: len(few["Jet"])])


def test_only_what_all_samples_have_is_compared(full, declarations):
    poorer = full.take(np.arange(full.events))
    del poorer["Jet"].columns["area"]
    del poorer.values["MET_pt"]
    fields, samples = comparable(declarations, [full, poorer])
    assert "area" not in fields["Jet"]
    assert "MET_pt" not in fields["Event"]
    assert {"pt", "eta", "phi"} <= {*fields["Jet"]}
    for sample in samples:
        assert sample["Jet"].columns.keys() == samples[0]["Jet"].columns.keys()
        assert sample.values.keys() == samples[0].values.keys()
    assert "hadronFlavour" not in samples[0]["Jet"].columns  # it follows from gen


def test_joined_events_are_those_of_the_parts(full):
    both = WholeEvents.joined([full, full.take(np.arange(10))])
    assert both.events == full.events + 10
    assert len(both["Jet"]) == len(full["Jet"]) + full["Jet"].offsets[10]
    np.testing.assert_array_equal(both.values["event"][full.events :], full.values["event"][:10])
