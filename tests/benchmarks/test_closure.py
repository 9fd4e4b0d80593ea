"""Closure on real FullSim: its numbers and its page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.closure import PT_BINS, Measured, compare, measure, render, together
from benchmarks.retrain import page
from flashsim.declarations.objects import load_object

FULL = Measured(
    objects=400,
    median=1.01,
    width=0.1,
    found=[10, 20, 30, 40, 50, 0],
    total=[40, 40, 40, 40, 50, 0],
    per_event={"above 20 GeV": 4.0, "above 30 GeV": 2.0, "unmatched": 0.0},
    per_event_error={"above 20 GeV": 0.2, "above 30 GeV": 0.1, "unmatched": 0.0},
)


def test_the_same_closes():
    found = compare(FULL, [FULL, FULL])
    assert found["median_difference"] == found["width_difference"] == 0.0
    assert [row["pull"] for row in found["efficiency"]] == [0.0] * len(FULL.total)
    assert found["flash"]["per_event"] == FULL.per_event


def test_pulls_are_differences_over_the_binomial_error():
    more = replace(FULL, found=[20, *FULL.found[1:]])
    row = compare(FULL, [more])["efficiency"][0]
    assert (row["full"], row["flash"]) == (0.25, 0.5)
    assert row["pull"] == pytest.approx(0.25 / np.sqrt(0.5 * 0.5 / 40))


def test_seeds_are_averaged():
    seeds = [replace(FULL, median=1.0), replace(FULL, median=1.04)]
    assert compare(FULL, seeds)["median_difference"] == pytest.approx(0.01)


def test_numbers_an_event_count_events_without_objects(nanoaod_dir):
    source = str(nanoaod_dir / "tt_2018_v5.root")
    everything = measure(source, load_object("muons"), None)
    assert 0.0 < everything.per_event["above 30 GeV"] < everything.per_event["above 20 GeV"] < 2.0
    assert all(0.0 < error < 0.2 for error in everything.per_event_error.values())


@pytest.mark.parametrize("name", PT_BINS)
def test_the_page_has_every_number(name):
    bins = len(PT_BINS[name]) - 1
    full = replace(FULL, found=FULL.found[:bins], total=FULL.total[:bins])
    more = replace(full, per_event=full.per_event | {"above 20 GeV": 4.1})
    result = {
        "machine": "a machine",
        "date": "2026-11-22",
        "seeds": 3,
        "bins": {name: [str(edge) for edge in edges] for name, edges in PT_BINS.items()},
        "trained": "a.root",
        "a.root": {name: compare(full, [more])},
        "b.root": {name: compare(full, [full])},
    }
    text = page({"a.root": result})
    assert render(result) in text
    assert "## Trained on a.root" in text
    assert "python -m benchmarks.retrain a.root" in text
    assert "mean of\n3 seeds" in text
    assert f"**a.root, {name}**, test events (400 matched with gen pT > 30 GeV)" in text
    assert "| per event, above 20 GeV | 4.000 ± 0.200 | 4.100 | +2.5% |" in text
    assert "| per event, unmatched | 0.000 ± 0.000 | 0.000 | no objects |" in text


def test_how_objects_hang_together_is_compared_in_the_chosen_events(made_process):
    source, output = str(made_process / "full.root"), made_process / "full_1.root"
    lines = together(source, [output, output], None)
    assert all(line["passes"] for line in lines)
    shares = [line for line in lines if "with a jet within" in line["quantity"]]
    assert shares
    chosen = np.arange(240) < 60
    fewer = {line["quantity"]: line for line in together(source, [output], chosen)}
    for line in shares:
        assert fewer[line["quantity"]]["real"][1] > line["real"][1]
    wrong = [dict(lines[0], passes=False)]
    text = render({"trained": "a.root", "bins": {}, "a.root": {}, "together": {"a.root": wrong}})
    assert f"**{wrong[0]['simulated'][0]:.3f} ±" in text
