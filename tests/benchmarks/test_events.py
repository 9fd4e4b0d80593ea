from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import apart
from benchmarks.cards import card
from benchmarks.events.__main__ import main
from benchmarks.events.compare import spectrum
from benchmarks.events.efficiency import efficiency_in_bins, predicted, reliability, reliability_table
from benchmarks.events.lost import lost_objects, lost_table
from benchmarks.events.samples import EventSample
from benchmarks.fidelity.observables import load_observables
from benchmarks.fidelity.samples import Workplace
from flashsim.declarations.output import load_output
from flashsim.generation import exclusive
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files, with_what_they_need


def entries(rng, mean):
    """Things with a value, a Poisson number of them in each event of a given mean."""
    event = np.repeat(np.arange(len(mean)), rng.poisson(mean))
    return event, rng.exponential(10.0, len(event))


def test_spectra_of_equal_simulations_follow_a_chi_square():
    rng = np.random.default_rng(1)
    mean = rng.gamma(1.0, 2.0, 3000)
    found = [spectrum(entries(rng, mean), entries(rng, mean), np.arange(3000)) for _ in range(60)]
    assert np.mean([f["chi2"] / f["ndf"] for f in found]) == pytest.approx(1.0, abs=0.1)
    assert np.mean([f["p_value"] for f in found]) == pytest.approx(0.5, abs=0.12)


def test_events_that_share_their_noise_count_as_one():
    """The same entries in three processes: three times as many, and no more is known."""
    rng = np.random.default_rng(5)
    mean, unit = rng.gamma(1.0, 2.0, 2000), np.tile(np.arange(2000), 3)

    def thrice(event, values):
        return np.concatenate([event + 2000 * k for k in range(3)]), np.tile(values, 3)

    first, second = entries(rng, mean), entries(rng, mean)
    alone = spectrum(first, second, np.arange(2000))
    assert spectrum(thrice(*first), thrice(*second), unit)["chi2"] == pytest.approx(alone["chi2"], rel=0.2)
    assert spectrum(thrice(*first), thrice(*second), np.arange(6000))["chi2"] > 2.0 * alone["chi2"]


def test_gen_events_that_both_simulations_have_do_not_count():
    """Values that differ from event to event and not between simulations: far closer than two samples are."""
    rng = np.random.default_rng(2)
    event, gen = np.arange(4000), rng.exponential(30.0, 4000)
    first, second = (gen + rng.normal(0.0, 0.5, 4000) for _ in range(2))
    paired = spectrum((event, first), (event, second), event)
    assert paired["p_value"] > 1e-3
    moved = spectrum((event, first), (event, second + 0.5), event)
    apart = spectrum((event, first), (event, rng.permutation(second) + 0.5), event)
    assert moved["p_value"] < 1e-6 < apart["p_value"]


def test_spectra_see_other_numbers_and_other_values():
    rng = np.random.default_rng(3)
    mean = np.full(3000, 2.0)
    event, values = entries(rng, mean)
    assert spectrum((event, values), entries(rng, 1.2 * mean), np.arange(3000))["p_value"] < 1e-6
    other, longer = entries(rng, mean)
    assert spectrum((event, values), (other, 1.2 * longer), np.arange(3000))["p_value"] < 1e-6


def test_predictions_that_are_right_are_reliable():
    rng = np.random.default_rng(4)
    probability = rng.beta(0.7, 0.5, 40_000)
    rows = reliability(probability, rng.random((2, 40_000)) < probability)
    assert sum(row["objects"] for row in rows) == 80_000
    pulls = [(row["observed"] - row["predicted"]) / row["error"] for row in rows]
    assert np.max(np.abs(pulls)) < 4.0
    assert np.std(pulls) > 0.4
    wrong = reliability(probability, rng.random((2, 40_000)) < probability**1.2)
    assert max(abs(row["observed"] - row["predicted"]) / row["error"] for row in wrong) > 10.0
    assert reliability_table(rows).count("\n") == len(rows) + 1


def test_certain_predictions_are_counted():
    rows = reliability(np.array([0.0, 1.0, 1.0]), np.array([[False, True, True]]))
    assert [(row["objects"], row["observed"]) for row in rows] == [(1, 0.0), (2, 1.0)]


@pytest.fixture(scope="module")
def models(made_models):
    return [ObjectModel.load(path) for path in model_files([made_models])]


def test_events_are_read_whole(made_process, models):
    sample = EventSample.read(made_process / "full.root", models)
    assert sample.events == 240
    jets = sample.columns
    assert np.array_equal(jets["nJet"], sample.spectra["nJet"][1])
    one, two = jets["nJet"] >= 1, jets["nJet"] >= 2
    assert np.array_equal(jets["m_jj"] >= 0.0, two)
    assert np.all(jets["leading Jet pt"][one] >= np.maximum(jets["second Jet pt"][one], 15.0))
    assert np.all(
        jets["HT"][one] >= jets["leading Jet pt"][one] + np.maximum(jets["second Jet pt"][one], 0.0) - 1e-3
    )
    event, pt = sample.spectra["unmatched Jet pt"]
    assert len(event) == len(pt) > 20
    assert pt.min() >= 15.0
    twice = EventSample.joined([sample, sample])
    assert twice.events == 480
    assert np.array_equal(twice.unit[:240], twice.unit[240:])
    assert len(np.unique(twice.unit)) == 240
    assert np.array_equal(twice.spectra["unmatched Jet pt"][0][len(event) :], event + 240)


def test_bins_hold_enough_objects(made_process, models, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.events.efficiency.FEWEST", 3)
    (model,) = (m for m in models if m.declaration.collection == "Jet")
    sample = Workplace(tmp_path, models).samples([made_process], model.declaration, [], 10**9)["full"]
    rows = efficiency_in_bins(model, sample, sample.reconstructed[None], load_observables())
    assert rows
    assert all(row["objects"] >= 3 for row in rows)
    assert sum(row["objects"] for row in rows) <= len(sample)
    probability = predicted(model, sample)
    assert min(row["predicted"] for row in rows) >= probability.min()
    assert {row["label"] for row in rows} <= {*sample.conditioning, "other"}


def test_the_command_measures_and_cards_show_it(made_process, made_models, tmp_path, capsys):
    page = tmp_path / "events.md"
    main(
        [
            "--test",
            str(made_process),
            "--models",
            str(made_models),
            "--output",
            str(tmp_path / "out"),
            "--page",
            str(page),
            "--before",
            str(made_models),
            "--most",
            "400",
        ]
    )
    found = json.loads((tmp_path / "out" / "events.json").read_text())
    assert found["events"] == 240
    assert page.read_text() == capsys.readouterr().out.removesuffix("\n")
    asked = {goal["goal"].partition(":")[0] for goal in found["goals"]}
    assert {
        "jets",
        "muons",
        "nJet",
        "nMuon",
        "unmatched Jet pt",
        "unmatched Jet eta",
        "unmatched Muon pt",
    } < asked
    assert {"every joint quantity within 3 errors or 5% of the reference", "matched Jet"} <= asked
    assert "| goal | found | reached | before |" in page.read_text()
    assert [goal["found"] for goal in found["before"]["goals"]] == [goal["found"] for goal in found["goals"]]
    assert found["lost"]["unmatched Jet"]["drawn"] > 0
    assert found["told"]["flash"]["matched Jet"]["auc"] > found["told"]["full_1"]["matched Jet"]["auc"]
    assert {"nJet cleaned of leptons"} < asked
    # The made files are alike but for the seed, the models barely trained.
    assert found["classifier"]["flash"]["auc"] > found["classifier"]["full_1"]["auc"]
    assert str(tmp_path) not in page.read_text()
    goals = [{"goal": "classifier", "found": "0.7", "passed": False}]
    judged = {
        "objects": {"jets": {"goals": goals, "gen_objects": 5}},
        "date": "2026-01-01",
        "machine": "made",
    }
    shown = card(made_models / "jets.safetensors", judged, found)
    assert reliability_table(found["objects"]["jets"]["reliability"]) in shown
    assert "Not measured, or there is none." in card(made_models / "jets.safetensors", judged)


@pytest.mark.filterwarnings("ignore:overflow encountered")  # barely trained models draw any direction
def test_objects_that_find_no_place_are_counted(made_process, models, tmp_path, monkeypatch):
    monkeypatch.setattr(exclusive, "ATTEMPTS", 0)  # whatever is too close is lost
    gen, whole = made_process / "gen.root", with_what_they_need(models)
    counts = lost_objects(whole, [gen])
    assert counts.keys() >= {"matched Jet", "unmatched Jet"}
    assert sum(row["lost"] for row in counts.values()) > 0
    summary = Generator(whole, load_output()).run(gen, tmp_path / "flash.root")
    jets = [row["drawn"] - row["lost"] for name, row in counts.items() if name.endswith(" Jet")]
    assert sum(jets) == summary.objects["Jet"]
    row = {"drawn": 2000, "lost": 3}
    assert "| matched Jet | 2,000 | 3 | 1.5e-03 |" in list(lost_table({"matched Jet": row}))


def test_mistakes_are_named(made_models, tmp_path, capsys):
    with pytest.raises(SystemExit) as exited:
        main(["--test", str(tmp_path), "--models", str(made_models), "--output", str(tmp_path / "out")])
    assert exited.value.code == 2
    assert "full.root: there is no such file" in capsys.readouterr().err


def test_what_tells_two_files_apart_is_printed(made_process, capsys):
    arguments = [str(made_process / f"{name}.root") for name in ("full", "full_1")]
    apart.main([*arguments, "--collections", "Jet", "--most", "600"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| classifier | AUC | goes by |"
    assert {line.split(" | ")[0] for line in lines[2:]} >= {"| matched Jet", "| matched Jet and neighbours"}
    assert not any("Muon" in line.split(" | ")[0] for line in lines)
