"""The realism benchmark: what it reads, what it counts as equal, and how it measures whole events."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from benchmarks.realism.__main__ import main
from benchmarks.realism.compare import LEAST, Comparison, Comparisons, compare, compared
from benchmarks.realism.groups import groups
from benchmarks.realism.page import Judgement, goals, numbers_page, page
from benchmarks.realism.samples import REAL_FILES, half_of, joined, like
from flashsim.analysis.whole_events.joint import JointLine, joint_lines, joint_quantities
from flashsim.analysis.whole_events.reading import read_whole_events

SIZE = 2000
EVENTS = 300
CHECK_JOINT = Path(__file__).resolve().parents[3] / "shared" / "tools" / "check_joint.py"


def jets_like(seed, shift=0.0, zero=0.3):
    random = np.random.default_rng(seed)
    columns = {name: random.normal(shift, 1.0, SIZE) for name in ("response", "mass", "chHEF", "qgl")}
    for name, point in {"chHEF": 0.0, "qgl": -1.0}.items():
        columns[name][random.uniform(size=SIZE) < zero] = point
    return columns | {"jetId": random.choice((0, 2, 6), SIZE), "isTight": random.integers(0, 2, SIZE)}


def nano(path, seed=1, events=EVENTS, shift=0.0, leptons=1, pileup=(20, 40)):
    """Write a small NanoAOD file: jets with gen jets, a muon and an electron in jets, missing momentum."""
    random = np.random.default_rng(seed)
    counts = random.integers(2, 7, events)
    number = counts.sum()
    gen = {
        "pt": random.exponential(40.0, number) + 15.0,
        "eta": random.uniform(-2.4, 2.4, number),
        "phi": random.uniform(-np.pi, np.pi, number),
        "mass": random.uniform(2.0, 9.0, number),
        "hadronFlavour": random.choice((0, 4, 5), number),
        "partonFlavour": random.choice((1, 2, 3, 21), number),
    }
    share = random.dirichlet((5, 3, 2, 1, 1), number)
    jet = {
        "pt": gen["pt"] * random.normal(1.0 + shift, 0.1, number),
        "eta": gen["eta"] + random.normal(0.0, 0.01, number),
        "phi": gen["phi"] + random.normal(0.0, 0.01, number),
        "mass": gen["mass"] * random.normal(1.0, 0.1, number),
        "rawFactor": random.normal(0.05, 0.02, number),
        "btagDeepFlavB": np.where(gen["hadronFlavour"] == 5, 0.6, 0.2) + random.uniform(0, 0.4, number),
        "genJetIdx": np.concatenate([np.arange(count) for count in counts]),
        **dict(zip(("chHEF", "neHEF", "chEmEF", "neEmEF", "muEF"), share.T, strict=True)),
    }
    starts = np.cumsum(counts) - counts
    first = {name: column[starts] for name, column in jet.items()}
    lepton = {"pt": first["pt"] * (1 - first["rawFactor"]), "eta": first["eta"], "phi": first["phi"]}
    particle = {
        "pt": np.full(events, 50.0),
        "eta": random.normal(size=events),
        "phi": random.uniform(-3, 3, events),
        "pdgId": np.full(events, 24),
        "status": np.full(events, 22),
        "statusFlags": np.full(events, 1 << 7),
        "genPartIdxMother": np.full(events, -1),
    }
    child = particle | {
        "pt": lepton["pt"],
        "eta": lepton["eta"],
        "phi": lepton["phi"],
        "pdgId": np.full(events, -13 if leptons else -1),
        "status": np.full(events, 1),
        "statusFlags": np.full(events, 1 << 7 | 1),
        "genPartIdxMother": np.zeros(events, dtype=np.int64),
    }
    tree = {
        "event": np.arange(events),
        "Pileup_nTrueInt": random.uniform(*pileup, events),
        "PV_npvsGood": random.integers(10, 40, events),
        "fixedGridRhoFastjetAll": random.normal(20, 5, events),
        **{f"{met}_{k}": random.uniform(0, 3, events) for met in ("MET", "GenMET") for k in ("pt", "phi")},
        "Jet": ak.zip({name: ak.unflatten(column, counts) for name, column in jet.items()}),
        "GenJet": ak.zip({name: ak.unflatten(column, counts) for name, column in gen.items()}),
        "GenPart": ak.zip(
            {k: ak.unflatten(np.ravel([v, child[k]], "F"), np.full(events, 2)) for k, v in particle.items()}
        ),
    }
    for name, fraction in (("Muon", "muEF"), ("Electron", "chEmEF")):
        columns = lepton | {"pt": lepton["pt"] * first[fraction] * random.normal(1.0, 0.05, events)}
        columns |= {"jetIdx": np.zeros(events, dtype=np.int64), "genPartFlav": np.full(events, 1)}
        columns["genPartIdx"] = np.ones(events, dtype=np.int64)
        tree[name] = ak.zip({k: ak.unflatten(v, np.ones(events, dtype=np.int64)) for k, v in columns.items()})
    with uproot.recreate(path) as file:
        types = {
            name: array.type if isinstance(array, ak.Array) else array.dtype for name, array in tree.items()
        }
        file.mktree("Events", {name: getattr(kind, "content", kind) for name, kind in types.items()})
        file["Events"].extend(tree)
    return path


def test_two_draws_of_one_distribution_pass():
    comparisons = list(compared("jets", jets_like(1), jets_like(2), jets_like(1)))
    assert len(comparisons) == 4 * 5 + 2 + 3 + 1
    assert all(comparison.passes for comparison in comparisons)


@pytest.mark.parametrize("change", [{"shift": 0.8}, {"zero": 0.45}])
def test_another_distribution_does_not(change):
    comparisons = compared("jets", jets_like(1), jets_like(2, **change), jets_like(1))
    assert {"chHEF", "qgl"} <= {one.quantity for one in comparisons if not one.passes}


def test_small_groups_are_left_out():
    few = {name: values[: LEAST - 1] for name, values in jets_like(1).items()}
    assert not list(compared("jets", few, jets_like(2), jets_like(1)))


def test_halves_are_disjoint_and_together_everything(tmp_path):
    sample = read_whole_events(nano(tmp_path / "real.root"))
    halves = [half_of(sample, name) for name in ("tune", "judge")]
    numbers = [half.values["event"] for half in halves]
    for remainder, events in enumerate(numbers):
        assert (events % 2 == remainder).all()
    assert sum(half.events for half in halves) == half_of(sample, "both").events == EVENTS
    together = np.sort(np.concatenate([half["Jet"]["pt"] for half in halves]))
    np.testing.assert_array_equal(together, np.sort(sample["Jet"]["pt"]))


def test_taking_events_keeps_their_objects(tmp_path):
    sample = read_whole_events(nano(tmp_path / "real.root"))
    taken = sample.take(np.array([5, 2, 5]))
    jets = sample["Jet"]
    for place, row in enumerate((5, 2, 5)):
        expected = jets["pt"][jets.offsets[row] : jets.offsets[row + 1]]
        begin, end = taken["Jet"].offsets[place : place + 2]
        np.testing.assert_array_equal(taken["Jet"]["pt"][begin:end], expected)


def test_simulated_events_get_the_pileup_and_the_decays_of_the_real_ones(tmp_path):
    real = read_whole_events(nano(tmp_path / "real.root", pileup=(20, 28)))
    drawn = like(read_whole_events(nano(tmp_path / "wide.root", seed=2, pileup=(20, 60))), [real])
    assert drawn.events == EVENTS
    shares = [np.mean(one.values["Pileup_nTrueInt"] < 24) for one in (drawn, real)]
    assert shares[0] == pytest.approx(shares[1], abs=0.02)
    assert drawn.values["Pileup_nTrueInt"].max() < 28


def test_events_of_other_decays_cannot_stand_for_the_real_ones(tmp_path):
    real, other = (read_whole_events(nano(tmp_path / f"{n}.root", leptons=n)) for n in (1, 0))
    with pytest.raises(ValueError, match="no simulated event has the pileup and the W decays"):
        like(other, [real])


def test_a_file_is_like_itself_and_like_another_draw_but_not_like_a_shifted_one(tmp_path):
    real, other = (read_whole_events(nano(tmp_path / f"{n}.root", seed=n, events=2000)) for n in (1, 2))
    shifted = read_whole_events(nano(tmp_path / "shifted.root", seed=2, events=2000, shift=0.1))
    for sample, least in ((real, 0.99), (other, 0.98)):
        found = compare([real], sample, "judge")
        assert len(found.numbers) > 300
        assert found.rate > least
        assert not found.missing
    numbers = compare([real], shifted, "judge").numbers
    of_response = [number.passes for number in numbers if number.quantity == "response"]
    assert np.mean(of_response) < 0.2
    assert np.mean([number.passes for number in numbers if "Flav" in number.quantity]) > 0.98


def test_columns_of_samples_are_joined_where_they_are(tmp_path):
    together = joined([{"a": np.array([1.0]), "b": np.array([2.0])}, {"a": np.array([3.0])}])
    assert together["a"].tolist() == [1.0, 3.0]
    assert together["b"].tolist() == [2.0]


def test_what_the_simulated_file_lacks_is_named(tmp_path):
    real = read_whole_events(nano(tmp_path / "real.root"))
    poorer = read_whole_events(tmp_path / "real.root")
    del poorer.collections["Jet"].columns["chHEF"]
    missing = compare([real], poorer, "both").missing
    assert {quantity for _, quantity in missing} == {"chHEF"}


@pytest.mark.parametrize("collection", ["Jet", "Muon", "Electron"])
def test_files_need_not_have_all_collections(collection, tmp_path):
    real, poorer = read_whole_events(nano(tmp_path / "real.root")), read_whole_events(tmp_path / "real.root")
    del poorer.collections[collection]
    found = compare([real], poorer, "both")
    assert found.rate > 0.9
    assert found.missing
    assert joint_quantities(poorer)


def test_joint_quantities_of_events_whose_answer_is_known(tmp_path):
    sample = read_whole_events(nano(tmp_path / "real.root", events=2000))
    found = joint_quantities(sample)
    assert found["energy fractions of central jets add up to 1 within 0.01"][0] == 1.0
    assert found["Muon (pT > 10) with a jet within 0.1"][0] == 1.0
    # Normal with a width of 0.05: two widths.
    assert found["Muon prompt (pT > 10) within 10 % of its jet's muEF"][0] == pytest.approx(0.954, abs=0.03)
    value, error = found["jet response correlation, gen dR beyond 1.2"]
    assert abs(value) < 4 * error
    # Scores of b jets between 0.6 and 1, of others between 0.2 and 0.6.
    assert found["btagDeepFlavB: area under ROC, b against light"][0] == 1.0
    assert all(line.passes for line in joint_lines([sample], sample))


def test_correlated_responses_are_found(tmp_path):
    sample = read_whole_events(nano(tmp_path / "real.root", events=2000))
    jets = sample["Jet"]
    jets.columns["pt"] *= np.random.default_rng(3).normal(1.0, 0.15, sample.events)[jets.event_rows]
    assert joint_quantities(sample)["jet response correlation, gen dR beyond 1.2"][0] > 0.4


@pytest.mark.parametrize(
    ("simulated", "passes"), [((0.91, 0.01), True), ((0.7, 0.01), False), ((0.7, 0.1), True)]
)
def test_joint_lines_pass_within_errors_or_a_tenth(simulated, passes):
    assert JointLine("share", (0.99, 0.01), simulated).passes is passes


@pytest.mark.parametrize("version", REAL_FILES)
def test_joint_quantities_are_those_of_the_shared_tool(version, nanoaod_dir):
    if not CHECK_JOINT.exists():
        pytest.skip(f"{CHECK_JOINT} is not here")
    spec = importlib.util.spec_from_file_location("check_joint", CHECK_JOINT)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    path = nanoaod_dir / REAL_FILES[version][0]
    expected = sorted(v for v in map(tuple, tool.measure(path).values()) if np.isfinite(v[0]))
    found = joint_quantities(read_whole_events(path))
    own = sorted(measured for name, measured in found.items() if "ROC" not in name)
    np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("version", REAL_FILES)
def test_real_files_have_groups_of_all_collections(version, nanoaod_dir):
    names = set()
    for file in REAL_FILES[version]:
        names |= {name for name, columns in groups(read_whole_events(nanoaod_dir / file)) if columns}
    expected = {"unmatched jets", "fat jets", "missing momentum", "efficiency of gen jets", "forward jets"}
    if version != "v12":
        expected |= {"taus, hadronic", "subjets", "secondary vertices in b jets", "other vertices"}
    assert expected <= names


LINE = JointLine("share", (1.0, 0.01), (0.5, 0.01))


def judgement(passed=True, joint=(LINE,)):
    numbers = [
        Comparison("b jets", "response", "50 %", 1.0, 1.0 if passed else 1.3, 0.1, 60),
        *(Comparison("b jets", f"mass{n}", "50 %", 5.0, 5.1, 0.5, 60) for n in range(5)),
    ]
    return Judgement(
        "v9", "full.root", ["real.root"], (10, 20), Comparisons(numbers, [("x", "qgl")]), joint, 0.9
    )


def test_pages_say_what_fails():
    text = page([judgement(passed=False)], ["Made by hand."])
    assert "**5 of 6 numbers pass (83.3%)**" in text
    assert "| b jets | `response` | 50 % | 1 | 1.3 | 0.1 |" in text
    assert "| share | 1.000 ± 0.010 | 0.500 ± 0.010 | **no** |" in text
    numbers = numbers_page([judgement(passed=False)])
    assert "**1 / 1.3**" in numbers
    assert "| x | qgl |" in numbers


def test_goals_are_judged():
    good = [goal["passed"] for goal in goals(judgement(joint=()))]
    bad = [goal["passed"] for goal in goals(judgement(passed=False))]
    assert good == [True, True, True]
    assert bad == [False, False, False]


def test_the_command_writes_pages_and_numbers(tmp_path, capsys):
    real = tmp_path / "real"
    real.mkdir()
    for file in REAL_FILES["v9"]:
        nano(real / file, events=400)
    simulated = tmp_path / "full.root"
    shutil.copy(real / REAL_FILES["v9"][0], simulated)
    output, numbers = tmp_path / "realism.md", tmp_path / "numbers.json"
    arguments = [f"v9={simulated}", "--real", str(real), "--output", str(output), "--json", str(numbers)]
    assert main([*arguments, "--strict"]) == 0
    assert "v9: 95% of the numbers pass: yes" in capsys.readouterr().out
    assert "## NanoAOD v9" in output.read_text(encoding="utf-8")
    assert "### v9: " in (tmp_path / "realism_numbers.md").read_text(encoding="utf-8")
    assert json.loads(numbers.read_text(encoding="utf-8"))[0]["version"] == "v9"
    nano(simulated, shift=0.3)
    assert main(arguments) == 0
    assert main([*arguments, "--strict"]) == 1


def test_an_unknown_version_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([f"v3={tmp_path}"])
    assert "is not VERSION=FILE" in capsys.readouterr().err
