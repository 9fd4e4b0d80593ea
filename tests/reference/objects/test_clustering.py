from __future__ import annotations

import numpy as np
import pytest

from flashsim.events.collection import Collection
from flashsim.gen.libraries import stdout_captured
from flashsim.reference.objects.clustering import GHOST_AREA, anti_kt

fastjet = pytest.importorskip("fastjet")
LEAST = 3.0


def events(counts, seed=3):
    """Candidates of a falling spectrum, some of them in jets; azimuths cross the seam at pi."""
    rng = np.random.default_rng(seed)
    number = int(np.sum(counts))
    axis = rng.integers(0, 8, number)
    width = np.where(rng.random(number) < 0.3, 0.15, 3.0)
    eta = np.clip(np.linspace(-4.5, 4.5, 8)[axis] + width * rng.normal(size=number), -5.5, 5.5)
    phi = np.linspace(-np.pi, np.pi, 8)[axis] + width * rng.normal(size=number)
    pt = 0.3 / (1 - rng.random(number)) ** 0.8
    columns = {"pt": pt, "eta": eta, "phi": (phi + np.pi) % (2 * np.pi) - np.pi}
    columns["energy"] = np.hypot(pt * np.cosh(eta), 0.14)
    return Collection.of_counts(np.asarray(counts), columns)


def states(candidates):
    return np.arange(1, candidates.events + 1, dtype=np.uint64) << np.uint64(40)


def pseudojets(candidates, event):
    begin, end = candidates.offsets[event : event + 2]
    pt, eta, phi, energy = (candidates[name][begin:end] for name in ("pt", "eta", "phi", "energy"))
    rows = zip(pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy, strict=True)
    jets = [fastjet.PseudoJet(*map(float, row)) for row in rows]
    for number, jet in enumerate(jets):
        jet.set_user_index(int(begin) + number)
    return jets


def of_fastjet(candidates, radius, area=False):
    """Jets of each event as (pT, members, area)."""
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    found = []
    with stdout_captured():
        for event in range(candidates.events):
            particles = pseudojets(candidates, event)
            if area:
                ghosts = fastjet.AreaDefinition(fastjet.active_area, fastjet.GhostedAreaSpec(5.0, 1, 0.01))
                sequence = fastjet.ClusterSequenceArea(particles, definition, ghosts)
            else:
                sequence = fastjet.ClusterSequence(particles, definition)
            jets = fastjet.sorted_by_pt(sequence.inclusive_jets(LEAST))
            found.append(
                [
                    (
                        jet.pt(),
                        sorted(p.user_index() for p in jet.constituents() if p.user_index() >= 0),
                        sequence.area(jet) if area else 0.0,
                    )
                    for jet in jets
                ]
            )
    return found


@pytest.mark.parametrize("radius", [0.4, 0.8, 1.0])
def test_jets_are_those_of_fastjet(radius):
    candidates = events([300, 0, 1, 800, 2])
    found = anti_kt(candidates, np.ones(len(candidates)), states(candidates), radius=radius, min_pt=LEAST)
    expected = of_fastjet(candidates, radius)
    assert found.objects.counts.tolist() == [len(jets) for jets in expected]
    flat = [jet for jets in expected for jet in jets]
    np.testing.assert_allclose(found.objects["pt"], [jet[0] for jet in flat], rtol=1e-9)
    for number, (_, members, _) in enumerate(flat):
        assert sorted(found.members[found.offsets[number] : found.offsets[number + 1]]) == members


def test_areas_are_those_of_ghosts_that_fastjet_clusters():
    candidates = events([600] * 12)
    found = anti_kt(candidates, np.ones(len(candidates)), states(candidates), radius=0.4, min_pt=LEAST)
    expected = np.array([jet[2] for jets in of_fastjet(candidates, 0.4, area=True) for jet in jets])
    difference = found.objects["area"] - expected
    assert len(expected) > 200
    assert np.mean(difference) == pytest.approx(0.0, abs=4 * difference.std() / np.sqrt(len(expected)))
    # Where ghosts lie in their cells is drawn: two areas of fastjet itself differ by this much.
    assert difference.std() < 0.04
    assert np.corrcoef(found.objects["area"], expected)[0, 1] > 0.9
    assert np.std(found.objects["area"]) == pytest.approx(expected.std(), rel=0.1)


def test_a_lone_particle_has_the_area_of_a_circle():
    pt = np.full(200, 50.0)
    columns = {"pt": pt, "eta": np.linspace(-3, 3, 200), "phi": np.linspace(-3, 3, 200)}
    columns["energy"] = pt * np.cosh(columns["eta"])
    lone = Collection.of_counts(np.ones(200, dtype=np.int64), columns)
    found = anti_kt(lone, np.ones(200), states(lone), radius=0.4, min_pt=1.0)
    assert np.mean(found.objects["area"]) == pytest.approx(np.pi * 0.16, rel=0.01)
    ghosts = found.objects["area"] / GHOST_AREA
    np.testing.assert_allclose(ghosts, np.rint(ghosts), atol=1e-9)
    np.testing.assert_allclose(found.objects["eta"], columns["eta"], atol=1e-9)


def test_momenta_are_the_sums_of_weighted_members():
    candidates = events([500, 500])
    weight = np.random.default_rng(5).choice([0.0, 0.4, 1.0], len(candidates))
    found = anti_kt(candidates, weight, states(candidates), radius=0.4, min_pt=LEAST)
    assert (weight[found.members] > 0).all()
    scaled = {name: (candidates[name] * weight)[found.members] for name in ("pt", "energy")}
    eta, phi = candidates["eta"][found.members], candidates["phi"][found.members]
    px, py = found.total(scaled["pt"] * np.cos(phi)), found.total(scaled["pt"] * np.sin(phi))
    np.testing.assert_allclose(np.hypot(px, py), found.objects["pt"], rtol=1e-9)
    np.testing.assert_allclose(found.total(scaled["energy"]), found.objects["energy"], rtol=1e-9)
    pz = found.total(scaled["pt"] * np.sinh(eta))
    np.testing.assert_allclose(np.arcsinh(pz / np.hypot(px, py)), found.objects["eta"], atol=1e-9)


def test_an_event_does_not_depend_on_those_beside_it():
    candidates, both = events([400, 500]), {}
    whole = anti_kt(candidates, np.ones(len(candidates)), states(candidates), radius=0.4, min_pt=LEAST)
    for event in range(2):
        begin, end = candidates.offsets[event : event + 2]
        columns = {name: values[begin:end] for name, values in candidates.columns.items()}
        alone = Collection.of_counts(np.array([end - begin]), columns)
        part = anti_kt(
            alone, np.ones(end - begin), states(candidates)[event : event + 1], radius=0.4, min_pt=LEAST
        )
        both[event] = part.objects
    for name in ("pt", "area", "mass"):
        np.testing.assert_array_equal(whole.objects[name], np.concatenate([both[0][name], both[1][name]]))


def test_jets_keep_their_members_when_some_are_selected_and_reordered():
    candidates = events([400, 300])
    found = anti_kt(candidates, np.ones(len(candidates)), states(candidates), radius=0.4, min_pt=LEAST)
    keep = found.objects["pt"] > 2 * LEAST
    order = np.lexsort((found.objects["eta"], found.objects.event_rows))
    for changed, rows in ((found.select(keep), np.flatnonzero(keep)), (found.take(order), order)):
        np.testing.assert_array_equal(changed.objects["pt"], found.objects["pt"][rows])
        np.testing.assert_allclose(
            changed.total(candidates["energy"][changed.members]), changed.objects["energy"], rtol=1e-9
        )
        assert (
            changed.jet_of_member.tolist()
            == np.repeat(np.arange(len(rows)), np.diff(found.offsets)[rows]).tolist()
        )


def test_no_events_and_no_candidates_give_no_jets():
    for counts in ([], [0, 0]):
        empty = events(counts) if counts else events(np.zeros(0, dtype=np.int64))
        found = anti_kt(empty, np.ones(0), states(empty), radius=0.4, min_pt=LEAST)
        assert len(found.objects) == 0
        assert found.objects.events == len(counts)
        assert found.offsets.tolist() == [0]
