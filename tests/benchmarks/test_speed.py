"""The machinery of speed measurements: turns, ratios, stages, growth, goals and the page."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter

pytest.importorskip("zuko", reason="needs the extra 'benchmarks'")

from benchmarks.speed.__main__ import main
from benchmarks.speed.against import against, time_of_an_event
from benchmarks.speed.command import Run, package_of
from benchmarks.speed.events import repeated_events
from benchmarks.speed.goals import goals
from benchmarks.speed.growth import linear
from benchmarks.speed.page import render
from benchmarks.speed.stages import STAGES, StageClock
from benchmarks.speed.timing import Measured, in_turns, median_ratio, spread
from flashsim.events.noise import Stream
from flashsim.generation.generate import Generator


def test_things_take_turns_and_warm_up_does_not_count():
    calls: list[str] = []
    works = {name: (10, lambda name=name: calls.append(name)) for name in "ab"}
    found = in_turns(works, 3, warm_up=2)
    assert calls == ["a", "b"] * 5
    assert {name: (m.items, len(m.cpu), len(m.wall)) for name, m in found.items()} == {
        "a": (10, 3, 3),
        "b": (10, 3, 3),
    }


def test_rates_are_medians_by_processor_time():
    found = Measured(100, cpu=[1.0, 2.0, 50.0], wall=[4.0, 4.0, 100.0]).to_json()
    assert (found["per_second"], found["per_second_of_the_clock"]) == (50.0, 25.0)


def test_a_slow_turn_cancels_in_ratios():
    ratio, error = median_ratio([4.0, 40.0, 4.0], [1.0, 10.0, 1.0])
    assert (ratio, error) == (4.0, 0.0)
    assert spread([1.0, 1.0, 1.0]) == 0.0


def test_stages_leave_out_what_is_inside_of_them():
    clock, own = StageClock(), Stream.normal
    with clock.running():
        assert Stream.normal is not own
        outer = clock._timed("assembly", lambda: Stream(1, "Jet", "flow").normal(EVENTS, INDICES, 50))
        outer()
    assert Stream.normal is own
    assert clock.seconds.keys() == {"assembly", "sampling"} <= STAGES.keys()
    assert clock.seconds["sampling"] > clock.seconds["assembly"] >= 0.0


EVENTS, INDICES = np.arange(20_000, dtype=np.uint64), np.zeros(20_000, dtype=np.int64)


def test_the_clock_knows_functions_that_exist():
    own = Generator.piece
    with StageClock().running():
        assert Generator.piece is not own
    assert Generator.piece is own


def test_repeated_events_have_numbers_of_their_own(tmp_path):
    branches = [Branch(name, np.dtype("uint64"), None, "") for name in ("run", "event")]
    with NanoWriter(tmp_path / "few.root") as writer:
        writer.tree("Events", branches)
        writer.extend("Events", {"run": np.full(3, 7, np.uint64), "event": np.arange(3, dtype=np.uint64)})
    with NanoFile(repeated_events(tmp_path / "few.root", tmp_path / "many.root", 8)) as file:
        arrays = file.read(["run", "event"])
    assert arrays["event"].tolist() == list(range(1, 9))
    assert set(arrays["run"].tolist()) == {7}


def test_growth_is_judged_by_the_time_of_further_events():
    start = 5.0
    times = {size: [start + 0.001 * size] for size in (1000, 10_000, 100_000)}
    assert linear(times) == {"100,000 events": pytest.approx(0.0)}
    times[100_000] = [start + 0.001 * 10_000 + 0.0012 * 90_000]
    assert linear(times) == {"100,000 events": pytest.approx(0.2)}


def test_the_start_is_no_part_of_the_time_of_an_event():
    few, many = (Run(seconds=0.0, cpu=3.0 + 0.002 * size, memory_mb=1.0) for size in (50, 1000))
    assert time_of_an_event(few, many, (50, 1000)) == pytest.approx(0.002)


def test_the_package_of_a_checkout_is_its_own(tmp_path):
    (tmp_path / "flashsim").mkdir()
    (tmp_path / "flashsim" / "__init__.py").touch()
    assert package_of(tmp_path) == str(tmp_path / "flashsim" / "__init__.py")


def test_a_folder_without_the_package_is_no_checkout(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no checkout"):
        against(tmp_path, tmp_path / "gen.root", events=20, repeats=1)


def test_the_other_checkout_has_to_be_named(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "against"])
    assert "--against" in capsys.readouterr().err


def _rate(per_second, **more):
    return {"per_second": per_second, "spread": 0.01, "items": 10, "repeats": 7} | more


def _row(name, ratio):
    return _rate(1000.0 / ratio, name=name, what="", parameters=10, ratio=ratio, ratio_spread=0.02)


FOUND = {
    "command": "python -m benchmarks.speed",
    "machine": {"processor": "CPU", "kind": "znver4", "cores": 2, "load": 0.1, "date": "2026-11-22"},
    "seconds": 60.0,
    "sampling": {
        "jets": {
            "flow": {},
            "vector_bits": 512,
            "rows": [_row("flashsim", 1.0), _row("nflows MAF", 90.0), _row("prototype", 120.0)],
            "products": {
                "operations_per_object": 1e6,
                "share": 0.7,
                "share_spread": 0.01,
                "sampler_gflops": 40.0,
                "products_gflops": 55.0,
                "share_of_large": 0.8,
                "share_of_large_spread": 0.01,
                "large_gflops": 90.0,
            },
            "difference": {
                "float32": 1e-5,
                "float32_from_double": 2e-5,
                "plain_from_double": 1e-5,
                "float64": 1e-13,
            },
        }
    },
    "generation": {
        "process": "vbf_hmumu.cmnd",
        "events": 1000,
        "objects_per_event": {"Electron": 0.3, "Jet": 6.6},
        "bytes_per_event": {"input": 400.0, "output": 900.0},
        "flashsim": _rate(3000.0),
        "pythia": _rate(150.0),
        "times_pythia": 20.0,
        "times_pythia_spread": 0.05,
        "microseconds_per_event": dict.fromkeys(STAGES, 40.0) | {"sampling": 400.0},
        "shares": dict.fromkeys(STAGES, 0.0625) | {"sampling": 0.625},
    },
    "training": {
        "jets": {name: _rate(1.0, times_nflows=2.0, ratio_spread=0.1) for name in ("nflows", "flashsim")}
    },
    "growth": {
        "events": [
            {"events": size, "seconds": 1.0, "cpu": 1.0, "memory_mb": memory}
            for size, memory in ((1000, 700.0), (10_000, 800.0), (100_000, 820.0))
        ],
        "linear": {"100,000 events": 0.02},
        "folds": {"events": 1000, "folds": 25, "seconds": 1.0, "cpu": 1.0, "memory_mb": 800.0},
        "workers": [
            {"events": 5000, "workers": n, "seconds": 1.0, "cpu": 1.0, "memory_mb": 800.0} for n in (1, 2)
        ],
        "speed_up": {"all": 1.7, "without start": 1.85},
        "limit": 1.9,
    },
    "against": {
        "events": 20_000,
        "repeats": 7,
        "commits": {"this": "abcdef0 of 2026-11-30", "other": ""},
        "microseconds": {"this": 300.0, "other": 250.0},
        "spread": {"this": 0.02, "other": 0.02},
        "ratio": 1.2,
        "ratio_spread": 0.03,
    },
}


def test_goals_that_are_reached():
    judged = goals(FOUND)
    assert len(judged) == 12
    assert all(goal["passed"] for goal in judged)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sampling", "jets", "rows", 1, "ratio"), 39.0),
        (("sampling", "jets", "rows", 2, "ratio"), 99.0),
        (("sampling", "jets", "products", "share"), 0.49),
        (("sampling", "jets", "products", "share_of_large"), 0.59),
        (("generation", "times_pythia"), 9.9),
        (("generation", "shares", "sampling"), 0.49),
        (("training", "jets", "flashsim", "times_nflows"), 1.4),
        (("growth", "events", 2, "memory_mb"), 900.0),
        (("growth", "linear", "100,000 events"), -0.11),
        (("growth", "speed_up", "without start"), 1.7),
        (("against", "ratio"), 1.51),
        (("against", "ratio"), -0.1),
    ],
)
def test_a_goal_that_is_missed(path, value):
    found = copy.deepcopy(FOUND)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert [goal["passed"] for goal in goals(found)].count(False) == 1


def test_page_has_all_parts_and_goals():
    text = render(FOUND | {"goals": [{"goal": "be fast", "found": "2.00", "passed": False}]})
    for part in (
        "# Performance",
        "| be fast | 2.00 | **no** |",
        "## Sampling",
        "## Generation",
        "## Training",
    ):
        assert part in text
    for part in (
        "## Growth",
        "25 folds",
        "## Where the limit is",
        "| nflows MAF |",
        "2026-11-22",
        "1.20 ± 0.04",
    ):
        assert part in text


def test_page_of_one_part():
    text = render({key: FOUND[key] for key in ("command", "machine", "seconds", "training")} | {"goals": []})
    assert "## Training" in text
    assert "## Growth" not in text
