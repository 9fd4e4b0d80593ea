from __future__ import annotations

import numpy as np
import pytest
from toy_events import detector, recorded, some_events, stable

from flashsim.events.collection import Collection


def collections(events):
    return {
        name: getattr(events, name) for name in ("particles", "tracks", "clusters", "vertices", "candidates")
    }


ROWS = ("track", "cluster", "vertex", "particle", "candidate", "ecal", "hit", "mother", "event")


def own(rows: Collection, event: int, names):
    part = slice(rows.offsets[event], rows.offsets[event + 1])
    return {name: rows[name][part] for name in names}


@pytest.mark.parametrize(("first", "last"), [(0, 4), (4, 10)])
def test_events_do_not_depend_on_the_chunk(first, last):
    hard, whole = stable(10, 60, seed=2), some_events()
    part = recorded(_cut(hard, first, last), first)
    for (name, one), other in zip(collections(part).items(), collections(whole).values(), strict=True):
        names = [column for column in one.columns if column not in ROWS]
        assert len(names) > 5
        for event in range(last - first):
            expected = own(other, first + event, names)
            for column, values in own(one, event, names).items():
                np.testing.assert_array_equal(values, expected[column], err_msg=f"{name} {column}")
    for name, values in part.rho.items():
        np.testing.assert_array_equal(values, whole.rho[name][first:last])


def _cut(hard: Collection, first: int, last: int) -> Collection:
    part = slice(hard.offsets[first], hard.offsets[last])
    return Collection(
        hard.offsets[first : last + 1] - hard.offsets[first], {n: c[part] for n, c in hard.columns.items()}
    )


def test_recording_again_gives_the_same_bits():
    again = recorded(stable(10, 60, seed=2))
    for one, other in zip(collections(again).values(), collections(some_events()).values(), strict=True):
        for name, values in one.columns.items():
            np.testing.assert_array_equal(values, other[name])


def test_rows_refer_to_the_same_event():
    events = some_events()
    for name, target in (
        ("track", "tracks"),
        ("cluster", "clusters"),
        ("vertex", "vertices"),
        ("particle", "particles"),
    ):
        rows = events.candidates[name]
        has = rows >= 0
        assert has.any()
        other = getattr(events, target)
        np.testing.assert_array_equal(_event(other)[rows[has]], _event(events.candidates)[has])
    tracks = events.tracks
    np.testing.assert_array_equal(_event(events.vertices)[tracks["vertex"]], _event(tracks))
    linked = tracks["ecal"] >= 0
    np.testing.assert_array_equal(_event(events.clusters)[tracks["ecal"][linked]], _event(tracks)[linked])


def _event(rows: Collection):
    return np.repeat(np.arange(rows.events), rows.counts)


def test_charged_candidates_have_their_tracks_momentum_and_charge():
    candidates, tracks = some_events().candidates, some_events().tracks
    charged = candidates["charge"] != 0
    np.testing.assert_array_equal(charged, candidates["track"] >= 0)
    hadrons = np.abs(candidates["pdgId"]) == 211
    rows = candidates["track"][hadrons]
    np.testing.assert_array_equal(candidates["pt"][hadrons], tracks["pt"][rows])
    np.testing.assert_array_equal(candidates["charge"][hadrons], tracks["charge"][rows])
    assert len(np.unique(candidates["track"][charged])) == charged.sum()


def test_association_is_of_the_values_of_miniaod():
    candidates, vertices = some_events().candidates, some_events().vertices
    primary = candidates["vertex"] == np.repeat(vertices.offsets[:-1], candidates.counts)
    charged = candidates["charge"] != 0
    from_pv = candidates["fromPV"]
    assert set(np.unique(from_pv)) == {0, 1, 2, 3}
    assert (from_pv[primary & charged] >= 2).all()
    assert (from_pv[~charged] == 1).all()
    assert (vertices["ndof"][candidates["vertex"][from_pv == 0]] >= 4).all()
    assert not np.isin(np.abs(candidates["pdgId"][from_pv < 2]), (11, 13)).any()


def quiet(**changes):
    """The detector without material, noise, fakes and other crossings."""
    recipe = detector()
    material = dict.fromkeys(("conversions", "bremsstrahlung", "nuclear_interactions", "decays"), False)
    return recipe.model_copy(
        update={
            "material": recipe.material.model_copy(update=material),
            "tracker": recipe.tracker.model_copy(update={"fakes": 0.0}),
            "calorimeters": recipe.calorimeters.model_copy(update={"noise": 0.0, **changes}),
        }
    )


def test_photons_alone_keep_their_energy():
    hard = stable(30, 4, seed=4, scale=30.0, kinds=(22,))
    candidates = recorded(hard, pileup=0, recipe=quiet()).candidates
    photons = candidates["pdgId"] == 22
    assert photons.mean() > 0.95
    measured = np.bincount(_event(candidates), weights=candidates["pt"], minlength=30)
    per_event = hard["pt"].reshape(30, 4).sum(axis=1)
    assert np.median(measured / per_event) == pytest.approx(1.0, abs=0.03)


def test_muons_and_their_directions_are_found():
    hard = stable(30, 3, seed=5, scale=30.0, kinds=(13,))
    candidates = recorded(hard, pileup=0, recipe=quiet()).candidates
    muons = np.abs(candidates["pdgId"]) == 13
    assert muons.sum() > 0.85 * len(hard)
    particle = candidates["particle"][muons]
    np.testing.assert_allclose(candidates["pt"][muons], hard["pt"][particle], rtol=0.3)
    np.testing.assert_allclose(candidates["eta"][muons], hard["eta"][particle], atol=0.01)
    assert (candidates["charge"][muons] == -1).all()


def test_fake_tracks_beside_muons_are_muons_without_segments_and_no_candidates():
    hard = stable(30, 3, seed=5, scale=30.0, kinds=(13,))
    recipe = quiet()
    seeded = recipe.tracker.model_copy(update={"seeded_fakes": 1.0})
    recipe = recipe.model_copy(update={"tracker": seeded})
    events = recorded(hard, pileup=0, recipe=recipe)
    fake = events.tracks["particle"] < 0
    assert fake.sum() > 0.85 * len(hard)
    assert (events.tracks["chambers"][fake] == -1).all()
    assert not fake[events.candidates["track"][events.candidates["track"] >= 0]].any()


def test_charged_hadrons_are_not_counted_twice():
    hard = stable(40, 5, seed=6, scale=20.0, kinds=(211, -211))
    events = recorded(hard, pileup=0, recipe=quiet())
    total = np.bincount(_event(events.candidates), weights=events.candidates["pt"], minlength=40)
    assert np.median(total / hard["pt"].reshape(40, 5).sum(axis=1)) == pytest.approx(1.0, abs=0.12)


def test_events_without_particles_have_a_vertex_and_no_density():
    events = recorded(stable(3, 0, seed=1), pileup=0, recipe=quiet())
    np.testing.assert_array_equal(events.vertices.counts, 1)
    assert all((values == 0.0).all() for values in events.rho.values())
    assert len(events.candidates) == 0


def test_leaving_out_nuclear_interactions_makes_more_tracks():
    hard = stable(20, 30, seed=8, kinds=(211, -211))
    recipe = detector()
    without = recipe.model_copy(
        update={"material": recipe.material.model_copy(update={"nuclear_interactions": False})}
    )
    full, fast = (_found(recorded(hard, pileup=0, recipe=r), len(hard)) for r in (recipe, without))
    assert fast > full + 0.03


def _found(events, size):
    tracks = events.tracks
    same = np.abs(tracks["pt"] / events.particles["pt"][tracks["particle"]] - 1.0) < 0.1
    return len(np.unique(tracks["particle"][same & (tracks["particle"] >= 0)])) / size
