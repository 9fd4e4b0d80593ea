"""Exact relations: they hold for any noise, and what holds in training goes back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from flashsim.declarations.objects import Target
from flashsim.declarations.relations import Conditional, Formula, Nested, Probabilities, Simplex, arranged
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.transforms.codec import TargetCodec
from flashsim.transforms.columns import SMALLEST_PROBABILITY
from flashsim.transforms.layout import relation_block

ROWS = 3000
FRACTIONS = ["muEF", "chEmEF", "chHEF", "neEmEF", "neHEF"]
TAGS = ["B", "CvL", "CvB"]
CLASSES = {
    "kind": "probabilities",
    "classes": ["b", "c", "l"],
    "outputs": {
        "B": {"of": ["b"], "among": ["b", "c", "l"]},
        "CvL": {"of": ["c"], "among": ["c", "l"]},
        "CvB": {"of": ["c"], "among": ["c", "b"]},
    },
    "drawn": ["B", "CvL"],
}
PAYLOAD = {
    "schema_version": 2,
    "corrections": [
        {
            "name": name,
            "version": 1,
            "inputs": [{"name": n, "type": "real"} for n in inputs],
            "output": {"name": "factor", "type": "real"},
            "data": {
                "nodetype": "formula",
                "expression": text,
                "parser": "TFormula",
                "variables": inputs,
            },
        }
        for name, inputs, text in (
            ("offset", ["JetPt", "JetA", "Rho"], "max(0.1,1-y*0.8*z/x)"),
            ("response", ["JetPt", "JetEta"], "1.05+0.5/log(max(3.,x))+0.02*y*y"),
        )
    ],
    "compound_corrections": [
        {
            "name": "all",
            "inputs": [{"name": n, "type": "real"} for n in ("JetPt", "JetA", "JetEta", "Rho")],
            "output": {"name": "factor", "type": "real"},
            "inputs_update": ["JetPt"],
            "input_op": "*",
            "output_op": "*",
            "stack": ["offset", "response"],
        }
    ],
}
INPUTS = {"JetPt": "0", "JetA": "area", "JetEta": "eta", "Rho": "conditioning.rho"}


def targets_of(names, **settings_of_all):
    return [Target(branch=name, **settings_of_all) for name in names]


def stored(columns, bits):
    return {
        name: round_mantissa(values.astype(np.float32), bits).astype(float)
        for name, values in columns.items()
    }


def there_and_back(codec, columns, reference, rng, edge=1e-3):
    low, high = codec.bounds(columns, reference)
    u = low + rng.uniform(edge, 1.0 - edge, low.shape) * (high - low)
    return codec.decode(ndtri(np.clip(u, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)), reference)


def any_normal(codec, rng, rows=200, width=6.0):
    normal = rng.uniform(-width, width, (rows, codec.width))
    normal[0], normal[1] = -40.0, 40.0
    return normal


def fractions(rng, rows=ROWS, rest=0.0):
    """Energy fractions with exact zeros, jets of one kind of particle, and a rest that has no branch."""
    parts = rng.gamma(0.7, size=(rows, 6)) * (rng.random((rows, 6)) < [0.2, 0.3, 0.9, 0.9, 0.7, rest])
    parts[parts.sum(axis=1) == 0.0, 2] = 1.0
    parts[:50] = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    parts /= parts.sum(axis=1, keepdims=True)
    return dict(zip(FRACTIONS, parts.T[:5], strict=True))


@pytest.mark.parametrize("rest", [False, True])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_fractions_add_up_to_one(rest, seed):
    rng = np.random.default_rng(seed)
    exact = fractions(rng, rest=0.5 * rest)
    columns = stored(exact, 6)
    relation = Simplex(kind="simplex", of=FRACTIONS, rest=rest)
    codec = TargetCodec.fit(targets_of(FRACTIONS, range=(0, 1)), columns, {}, [6] * 5, [relation])
    assert codec.width == 4 + rest
    made = np.stack(list(codec.decode(any_normal(codec, rng), {}).values()))
    total = made.sum(axis=0)
    assert made.min() >= 0.0
    assert total.max() <= 1.0 + 1e-12
    assert rest or np.abs(total - 1.0).max() < 1e-12

    back = there_and_back(codec, columns, {}, rng)
    whole = np.abs(sum(exact.values()) - 1.0) < 1e-9
    for name in FRACTIONS:
        assert np.array_equal(back[name] == 0.0, columns[name] == 0.0), name
        assert np.abs(back[name] - columns[name]).max() < 0.03, name
    assert np.abs(sum(back.values())[whole] - 1.0).max() < 1e-12
    assert rest is False or np.mean(sum(back.values()) < 0.99) > 0.2


def test_shares_that_mean_nothing_are_spread_over_all():
    """Of a jet that is all muon, nothing is left to share."""
    columns = {name: np.tile([0.0, 1.0] if name == "a" else [0.5, 0.0], 500) for name in ("a", "b", "c")}
    relation = Simplex(kind="simplex", of=["a", "b", "c"])
    codec = TargetCodec.fit(targets_of("abc"), columns, {}, [6] * 3, [relation])
    low, high = codec.bounds(columns, {})
    assert (low[1::2, 1] == 0.0).all()
    assert (high[1::2, 1] == 1.0).all()


def test_a_fraction_can_be_relative_to_what_is_expected():
    rng = np.random.default_rng(5)
    expected = np.where(rng.random(ROWS) < 0.3, rng.uniform(0.05, 0.6, ROWS), 0.0)
    columns = fractions(rng)
    muons = np.where(expected > 0.0, np.minimum(expected * rng.normal(1.0, 0.01, ROWS), 0.9), 0.0)
    rest = 1.0 - columns["muEF"]
    columns = {n: v * (1.0 - muons) / np.where(rest > 0, rest, 1.0) for n, v in columns.items()}
    columns["muEF"] = muons
    columns["neHEF"] += 1.0 - sum(columns.values())
    columns = stored(columns, 6)
    targets = targets_of(FRACTIONS, range=(0, 1))
    expression = "where(conditioning.muon > 0, conditioning.muon, 1)"
    targets[0] = Target(branch="muEF", relation="ratio", to=expression, range=(0, 1))
    relation = Simplex(kind="simplex", of=FRACTIONS)
    reference = {"conditioning.muon": expected}
    codec = TargetCodec.fit(targets, columns, reference, [6] * 5, [relation])
    made = codec.decode(rng.normal(size=(ROWS, codec.width)), reference)
    assert np.abs(sum(made.values()) - 1.0).max() < 1e-12
    back = there_and_back(codec, columns, reference, rng)
    assert np.array_equal(back["muEF"] == 0.0, columns["muEF"] == 0.0)
    assert np.abs(back["muEF"] - columns["muEF"]).max() < 0.02


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_flags_imply_each_other(seed):
    rng = np.random.default_rng(seed)
    names = ["tight", "medium", "loose"]
    level = rng.integers(0, 4, ROWS)
    columns = {name: (level >= 3 - k).astype(float) for k, name in enumerate(names)}
    relation = Nested(kind="nested", of=names)
    codec = TargetCodec.fit(targets_of(names, values=[0, 1]), columns, {}, relations=[relation])
    assert codec.width == 1
    made = codec.decode(any_normal(codec, rng), {})
    assert (made["tight"] <= made["medium"]).all()
    assert (made["medium"] <= made["loose"]).all()
    back = there_and_back(codec, columns, {}, rng)
    assert all(np.array_equal(back[name], columns[name]) for name in names)


def tags(rng, rows=ROWS):
    """Outputs of a tagger: many jets are b or light with a probability next to 1; some have none."""
    p = rng.dirichlet([0.3, 0.15, 0.4], rows) + 1e-7
    p /= p.sum(axis=1, keepdims=True)
    b, c, light = p.T
    made = {"B": b, "CvL": c / (c + light), "CvB": c / (c + b)}
    none = rng.random(rows) < 0.1
    return {name: np.where(none, -1.0, values) for name, values in made.items()}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_outputs_of_a_tagger_are_those_of_probabilities(seed):
    rng = np.random.default_rng(seed)
    relation = Probabilities.model_validate(CLASSES)
    targets = targets_of(TAGS, range=(0, 1), special=[-1])
    columns = stored(tags(rng), 10)
    codec = TargetCodec.fit(targets, columns, {}, [10] * 3, [relation])
    assert codec.width == 2
    made = codec.decode(any_normal(codec, rng), {})
    none = made["B"] == -1.0
    assert all(np.array_equal(made[name] == -1.0, none) for name in TAGS)
    b, u, v = (made[name][~none] for name in TAGS)
    c = u * (1.0 - b)
    assert np.abs(v * (c + b) - c).max() < 1e-12

    back = there_and_back(codec, columns, {}, rng)
    again = stored(back, 10)
    for name in TAGS:
        # Of the few values beyond the outermost knots, and next to 0 where probabilities are in the tails.
        assert np.mean(np.abs(again[name] - columns[name]) <= 2e-3) > 0.98, name


def test_what_rounding_hides_of_one_output_the_others_tell():
    """At B = 0.9995 what is left is unknown to a factor, but decides CvB, of which it is known."""
    left = np.geomspace(1e-6, 4e-4, ROWS)
    exact = {"B": 1.0 - left, "CvL": np.full(ROWS, 0.25), "CvB": 0.25 * left / (0.25 * left + 1.0 - left)}
    columns = stored(exact, 10)
    relation = Probabilities.model_validate(CLASSES)
    targets = targets_of(TAGS, range=(0, 1), special=[-1])
    block = relation_block(relation, targets)
    drawn = block.cells(columns, dict.fromkeys(TAGS, 10))[0].value
    np.testing.assert_allclose(1.0 - drawn, left, rtol=0.02)


@pytest.mark.parametrize("correction", ["response", "all"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_correction_is_undone(correction, seed):
    rng = np.random.default_rng(seed)
    names = {"response": ["JetPt", "JetEta"], "all": list(INPUTS)}[correction]
    formula = Formula.model_validate(
        {
            "kind": "formula",
            "branch": "rawFactor",
            "expression": "1 - 1 / jec",
            "corrections": {
                "jec": {
                    "file": "none",
                    "name": correction,
                    "inputs": {name: INPUTS[name] for name in names},
                    "solve": {"input": "JetPt", "product": "pt"},
                    "payload": json.dumps(PAYLOAD),
                }
            },
        }
    )
    raw, area, eta = rng.exponential(40.0, ROWS) + 15.0, rng.normal(0.5, 0.03, ROWS), rng.uniform(-3, 3, ROWS)
    rho = rng.exponential(15.0, ROWS) + 1.0
    after = raw * (np.maximum(0.1, 1 - area * 0.8 * rho / raw) if correction == "all" else 1.0)
    factor = after / raw * (1.05 + 0.5 / np.log(np.maximum(3.0, after)) + 0.02 * eta**2)
    columns = {"pt": raw * factor, "area": area, "eta": eta, "rawFactor": 1.0 - 1.0 / factor}
    targets = targets_of(["rawFactor", "pt", "area", "eta"])
    reference = {"conditioning.rho": rho}
    codec = TargetCodec.fit(targets, columns, reference, relations=[formula])
    assert codec.width == 3
    back = there_and_back(codec, columns, reference, rng)
    given_now = {name: back[name] for name in ("pt", "area", "eta")}
    raw = back["pt"] * (1.0 - back["rawFactor"])
    after = raw * (np.maximum(0.1, 1 - given_now["area"] * 0.8 * rho / raw) if correction == "all" else 1.0)
    made = after * (1.05 + 0.5 / np.log(np.maximum(3.0, after)) + 0.02 * given_now["eta"] ** 2)
    np.testing.assert_allclose(made, back["pt"], rtol=2e-5)
    # A row is what it is by itself.
    block = relation_block(formula, targets)
    some = {name: values[::7] for name, values in {**back, **reference}.items()}
    every = block.decode([], {**back, **reference})["rawFactor"]
    assert np.array_equal(every[::7], block.decode([], some)["rawFactor"])


def test_relative_to_what_was_decoded_before():
    """Isolation with all particles is never below that with the charged ones, and often equal to it."""
    rng = np.random.default_rng(3)
    charged = np.where(rng.random(ROWS) < 0.4, 0.0, rng.exponential(0.1, ROWS))
    columns = {
        "all": charged + np.where(rng.random(ROWS) < 0.5, 0.0, rng.exponential(0.1, ROWS)),
        "charged": charged,
    }
    targets = [
        Target(branch="all", relation="difference", to="charged", range=(0, 100)),
        Target(branch="charged", range=(0, 100)),
    ]
    codec = TargetCodec.fit(targets, columns, {})
    made = codec.decode(any_normal(codec, rng, rows=ROWS), {})
    assert list(made) == ["all", "charged"]
    assert (made["all"] >= made["charged"]).all()
    back = there_and_back(codec, columns, {}, rng)
    assert np.array_equal(back["all"] == back["charged"], columns["all"] == columns["charged"])


def test_checks_see_what_does_not_hold():
    rng = np.random.default_rng(2)
    bits = dict.fromkeys([*FRACTIONS, *TAGS, "x", "y"], 10)
    simplex = relation_block(Simplex(kind="simplex", of=FRACTIONS), targets_of(FRACTIONS))
    columns = stored(fractions(rng), 10)
    assert simplex.check(columns, bits)[0].all()
    columns["neHEF"][:3] += 0.1
    holds, deviation = simplex.check(columns, bits)
    assert not holds[:3].any()
    assert holds[3:].all()
    assert deviation.max() == pytest.approx(0.1, abs=0.01)

    relation = Probabilities.model_validate(CLASSES)
    tagger = relation_block(relation, targets_of(TAGS, range=(0, 1), special=[-1]))
    columns = stored(tags(rng), 10)
    assert tagger.check(columns, bits)[0].mean() > 0.999
    assert tagger.check({**columns, "CvB": columns["CvB"][::-1]}, bits)[0].mean() < 0.5

    formula = relation_block(Formula(kind="formula", branch="y", expression="x ** 2"), targets_of(["x", "y"]))
    exact = rng.uniform(0.1, 9.0, ROWS)
    columns = stored({"x": exact, "y": exact**2}, 10)
    assert formula.check(columns, bits)[0].all()
    assert not formula.check({**columns, "y": columns["y"] * 1.02}, bits)[0].any()

    nested = relation_block(Nested(kind="nested", of=["x", "y"]), targets_of(["x", "y"]))
    assert nested.check({"x": np.array([1, 1, 0]), "y": np.array([1, 0, 1])}, {})[0].tolist() == [1, 0, 1]


def test_of_two_relations_the_first_counts_and_circles_are_errors():
    targets = targets_of(["a", "b", "c"])
    one, other = (
        Formula(kind="formula", branch="a", expression="b"),
        Formula(kind="formula", branch="a", expression="c"),
    )
    assert [group.relation for group in arranged(targets, [other, one])] == [None, None, other]
    assert [group.relation for group in arranged(targets, [one, other])] == [None, one, None]
    with pytest.raises(ValueError, match="in a circle"):
        arranged(targets, [one, Formula(kind="formula", branch="b", expression="a + 1")])


def test_a_fraction_is_at_least_its_floor():
    """Muons that were drawn before are in the jet: its muon energy is theirs, or more by those too soft."""
    rng = np.random.default_rng(6)
    floor = np.where(rng.random(ROWS) < 0.3, rng.uniform(0.05, 0.9, ROWS), 0.0)
    more = np.where(rng.random(ROWS) < 0.1, rng.uniform(0.05, 0.5, ROWS), 0.0) * (1.0 - floor)
    exact = fractions(rng)
    others = 1.0 - exact["muEF"]
    exact = {n: v * (1.0 - floor - more) / np.where(others > 0, others, 1.0) for n, v in exact.items()}
    exact["muEF"] = floor + more
    exact["neHEF"] += 1.0 - sum(exact.values())
    columns = stored(exact, 6)
    relation = Simplex(kind="simplex", of=FRACTIONS, floors={"muEF": "conditioning.muon / energy"})
    targets = [*targets_of(FRACTIONS, range=(0, 1)), Target(branch="energy")]
    columns["energy"] = rng.uniform(20.0, 100.0, ROWS)
    reference = {"conditioning.muon": floor * columns["energy"]}
    codec = TargetCodec.fit(targets, columns, reference, [6] * 5 + [None], [relation])
    made = codec.decode(rng.normal(size=(ROWS, codec.width)), reference)
    least = np.minimum(reference["conditioning.muon"] / made["energy"], 1.0)
    assert (made["muEF"] >= least).all()
    assert np.mean(made["muEF"][least > 0] == least[least > 0]) > 0.8
    assert np.abs(sum(made[name] for name in FRACTIONS) - 1.0).max() < 1e-12
    back = there_and_back(codec, columns, reference, rng)
    only = (floor > 0.0) & (more == 0.0)
    assert np.abs(back["muEF"] - floor)[only].max() < 1e-5
    assert np.abs(back["muEF"] - columns["muEF"]).max() < 0.03


def test_a_branch_is_constant_where_its_condition_is_not_met():
    rng = np.random.default_rng(8)
    pt = rng.uniform(15.0, 40.0, ROWS)
    columns = {"tag": np.where(pt < 20.0, -1.0, rng.random(ROWS)), "pt": pt}
    relation = Conditional(kind="conditional", branch="tag", where="pt >= 20", elsewhere=-1)
    targets = [Target(branch="tag", range=(0, 1), special=[-1]), Target(branch="pt")]
    codec = TargetCodec.fit(targets, columns, {}, relations=[relation])
    made = codec.decode(any_normal(codec, rng, rows=ROWS), {})
    assert np.array_equal(made["tag"] == -1.0, made["pt"] < 20.0)
    low, high = codec.bounds(columns, {})
    assert (high - low)[pt < 20.0, 1].min() == 1.0
    block = relation_block(relation, targets)
    assert block.check(columns, {})[0].all()
    assert not block.check({**columns, "tag": np.full(ROWS, 0.5)}, {})[0][pt < 20.0].any()


def test_where_a_branch_follows_from_a_linked_object_its_condition_tells_nothing():
    rng = np.random.default_rng(9)
    columns = {"tag": rng.random(ROWS), "pt": rng.uniform(15.0, 40.0, ROWS)}
    linked = rng.random(ROWS) < 0.5
    columns["tag"][(columns["pt"] < 20.0) & ~linked] = -1.0
    relation = Conditional(kind="conditional", branch="tag", where="pt >= 20", elsewhere=-1)
    targets, reference = [Target(branch="tag"), Target(branch="pt")], {"linked.tag": linked}
    codec = TargetCodec.fit(targets, columns, reference, relations=[relation])
    low, high = codec.bounds(columns, reference)
    drawn = (columns["pt"] >= 20.0) & ~linked
    assert (high - low)[~drawn, 1].min() == 1.0
    assert (high - low)[drawn, 1].max() < 1.0


def test_of_several_solutions_one_is_drawn():
    """raw * (1 + 2 exp(-((raw - 20) / 4)^2)) rises, falls and rises: between, three raw pT give the same."""
    payload = json.loads(json.dumps(PAYLOAD))
    payload["corrections"][0] |= {"inputs": [{"name": "JetPt", "type": "real"}]}
    payload["corrections"][0]["data"] |= {"expression": "1+2*exp(-pow((x-20)/4,2))", "variables": ["JetPt"]}
    formula = Formula.model_validate(
        {
            "kind": "formula",
            "branch": "raw",
            "expression": "pt / jec",
            "corrections": {
                "jec": {
                    "file": "none",
                    "name": "offset",
                    "inputs": {"JetPt": "0"},
                    "solve": {"input": "JetPt", "product": "pt", "several": "pt < 70"},
                    "payload": json.dumps({**payload, "compound_corrections": []}),
                }
            },
        }
    )
    rng = np.random.default_rng(9)
    raw = rng.uniform(12.0, 60.0, ROWS)
    factor = 1.0 + 2.0 * np.exp(-(((raw - 20.0) / 4.0) ** 2))
    columns = {"raw": raw, "pt": raw * factor}
    targets = targets_of(["raw", "pt"])
    codec = TargetCodec.fit(targets, columns, {}, relations=[formula])
    assert codec.width == 2
    back = there_and_back(codec, columns, {}, rng)
    # Next to a turning point two solutions are too near to each other to be told apart.
    assert np.mean(np.abs(back["raw"] / raw - 1.0) < 1e-3) > 0.95
    made = codec.decode(any_normal(codec, rng, rows=ROWS), {})
    again = made["raw"] * (1.0 + 2.0 * np.exp(-(((made["raw"] - 20.0) / 4.0) ** 2)))
    np.testing.assert_allclose(again, made["pt"], rtol=2e-4)
    assert relation_block(formula, targets).check(columns, {"raw": 10, "pt": 10})[0].mean() > 0.95
