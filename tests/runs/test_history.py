from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flashsim.errors import InputFileError
from flashsim.runs import history as runs
from flashsim.runs.history import Curves, Run, RunReader, read_run
from flashsim.runs.log import LOST_AFTER, RUN_FILE

START = {"event": "start", "name": "a", "parameters": {"x": 1}, "resumed": False, "host": "h", "pid": 7}


def start(when, epochs, **changes):
    return START | {"time": when, "epochs": epochs} | changes


def epoch(when, network, number, of, **losses):
    return {"event": "epoch", "time": when, "network": network, "epoch": number, "of": of, "losses": losses}


def run_of(tmp_path, *events):
    run = Run(tmp_path)
    for event in events:
        run.add(event)
    return run


def write(folder, events, mode="w"):
    with (folder / RUN_FILE).open(mode, encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_states(tmp_path):
    run = run_of(tmp_path, {"event": "queued", "time": 10.0, "name": "a", "parameters": {}})
    assert run.state(1e9) == "queued"
    run.add(start(100.0, {"flow": 3}))
    assert run.state(100.0 + LOST_AFTER) == "running"
    assert run.state(100.1 + LOST_AFTER) == "lost"
    run.add({"event": "heartbeat", "time": 150.0})
    assert run.state(150.0 + LOST_AFTER) == "running"
    run.add({"event": "fail", "time": 151.0, "error": "ValueError: bad"})
    assert (run.state(1e9), run.error) == ("failed", "ValueError: bad")
    run.add(start(200.0, {"flow": 3}, resumed=True))
    assert (run.state(210.0), run.error) == ("running", "")
    run.add({"event": "finish", "time": 220.0, "values": {"auc": None, "mmd": 0.25}})
    assert run.state(1e9) == "finished"
    assert run.final["mmd"] == 0.25
    assert math.isnan(run.final["auc"])
    assert (run.started, run.seen) == (100.0, 220.0)


def test_progress_and_time_left(tmp_path):
    run = run_of(tmp_path, start(0.0, {"efficiency": 10, "flow": 10}))
    assert (run.done(), run.time_left(1.0)) == ((0, 20), None)
    run.add(epoch(2.0, "efficiency", 1, 10, train=1.0))
    assert run.done() == (1, 20)
    assert run.time_left(3.0) == pytest.approx(19 * 2.0 - 1.0)
    run.add(epoch(5.0, "efficiency", 2, 10, train=1.0))
    assert run.time_left(5.0) == pytest.approx(18 * 3.0)
    # The efficiency stopped early.
    run.add(epoch(6.0, "flow", 1, 10, train=1.0))
    assert run.done() == (11, 20)
    run.add({"event": "finish", "time": 7.0, "values": {}})
    assert run.done() == (20, 20)
    assert run.time_left(7.0) is None


def test_an_interruption_does_not_count_as_pace(tmp_path):
    run = run_of(tmp_path, start(0.0, {"flow": 10}))
    for number in range(1, 5):
        run.add(epoch(float(number), "flow", number, 10, train=1.0))
    run.add(start(1000.0, {"flow": 10}, resumed=True))
    run.add(epoch(1001.0, "flow", 5, 10, train=1.0))
    assert run.time_left(1001.0) == pytest.approx(5.0)


def test_a_resumed_training_replaces_later_epochs(tmp_path):
    run = run_of(tmp_path, start(0.0, {"flow": 5}))
    for number in range(1, 5):
        run.add(epoch(float(number), "flow", number, 5, train=float(number), old=0.0))
    run.add(start(10.0, {"flow": 5}, resumed=True))
    run.add(epoch(11.0, "flow", 3, 5, train=30.0))
    curves = run.curves["flow"]
    assert curves.epochs.tolist() == [1, 2, 3]
    assert curves.losses["train"].tolist() == [1.0, 2.0, 30.0]
    np.testing.assert_equal(curves.losses["old"].tolist(), [0.0, 0.0, math.nan])


def test_time_between_an_interruption_and_a_resumption_is_no_work(tmp_path):
    run = run_of(tmp_path, start(100.0, {"flow": 5}), epoch(130.0, "flow", 1, 5, train=1.0))
    assert run.worked == 30.0
    run.add({"event": "queued", "time": 500.0, "name": "a", "parameters": {}})
    run.add(start(1000.0, {"flow": 5}, resumed=True))
    assert run.worked == 30.0
    run.add({"event": "heartbeat", "time": 1005.0})
    assert run.worked == 35.0
    run.add(start(2000.0, {"flow": 5}))
    assert run.worked == 0.0


def test_a_training_that_starts_anew_forgets(tmp_path):
    run = run_of(tmp_path, start(0.0, {"flow": 5}), epoch(1.0, "flow", 1, 5, train=1.0))
    run.add(start(10.0, {"flow": 7}, name="b"))
    assert (run.curves, run.done(), run.name, run.started) == ({}, (0, 7), "b", 10.0)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.dictionaries(st.sampled_from("abc"), st.floats(-5, 5))), max_size=30
    )
)
def test_curves_are_what_a_table_would_be(rows):
    curves, table = Curves(), {}
    for number, (at, losses) in enumerate(rows):
        curves.add(at, float(number), losses)
        table = {e: v for e, v in table.items() if e < at} | {at: losses}
    assert curves.epochs.tolist() == list(table)
    for name, column in curves.losses.items():
        np.testing.assert_equal(column.tolist(), [v.get(name, math.nan) for v in table.values()])
        known = {e: v[name] for e, v in table.items() if name in v}
        best = min(known, key=known.get) if known else None
        assert curves.best(name) == (None if best is None else (known[best], best))


def test_long_curves_are_thinned_but_keep_their_minima(monkeypatch):
    monkeypatch.setattr(runs, "_MOST_ROWS", 100)
    curves = Curves()
    for number in range(1, 1001):
        curves.add(number, float(number), {"one": abs(number - 333.0), "other": 1.0 / number})
    assert len(curves.epochs) <= 100
    assert curves.best("one") == (0.0, 333)
    assert curves.best("other") == (1e-3, 1000)
    assert (np.diff(np.asarray(curves.epochs)) > 0).all()


def test_a_look_reads_only_what_is_new(tmp_path):
    write(tmp_path, [start(0.0, {"flow": 9}), epoch(1.0, "flow", 1, 9, train=1.0)])
    reader = RunReader(tmp_path)
    assert reader.update()
    assert not reader.update()
    taken = []
    add, reader.run.add = reader.run.add, lambda event: (taken.append(event), add(event))
    write(tmp_path, [epoch(2.0, "flow", 2, 9, train=0.5)], mode="a")
    assert reader.update()
    assert [event["epoch"] for event in taken] == [2]
    assert reader.run.curves["flow"].losses["train"].tolist() == [1.0, 0.5]


def test_a_file_that_is_replaced_is_read_anew(tmp_path):
    write(tmp_path, [start(0.0, {"flow": 9}), epoch(1.0, "flow", 1, 9, train=1.0)])
    reader = RunReader(tmp_path)
    reader.update()
    write(tmp_path, [start(5.0, {"flow": 2}, name="b")])
    reader.update()
    assert (reader.run.name, reader.run.curves) == ("b", {})


EVENTS = [start(0.0, {"flow": 9}), *(epoch(float(k), "flow", k, 9, train=1.0 / k) for k in range(1, 10))]


@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 900), max_size=12))
def test_however_the_file_grows_the_run_is_the_same(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("run")
    data = "".join(json.dumps(event) + "\n" for event in EVENTS).encode()
    reader = RunReader(folder)
    with (folder / RUN_FILE).open("wb", buffering=0) as file:
        for begin, end in itertools.pairwise([0, *sorted(cuts), len(data)]):
            file.write(data[begin:end])
            reader.update()
    assert reader.run.damaged == 0
    assert reader.run.curves["flow"].losses["train"].tolist() == [1.0 / k for k in range(1, 10)]


@settings(max_examples=40)
@given(garbage=st.binary(max_size=200))
def test_what_is_no_event_is_counted_and_passed_over(tmp_path_factory, garbage):
    folder = tmp_path_factory.mktemp("run")
    first, second = (json.dumps(e).encode() + b"\n" for e in (EVENTS[0], EVENTS[1]))
    (folder / RUN_FILE).write_bytes(first + garbage + b"\n" + second)
    assert read_run(folder).curves["flow"].epochs.tolist() == [1]


@pytest.mark.parametrize("after", [b"", b"\n"])
def test_a_line_without_end_is_not_held_in_memory(tmp_path, monkeypatch, after):
    monkeypatch.setattr(runs, "_LONGEST_LINE", 300)
    first, second = (json.dumps(e).encode() + b"\n" for e in (EVENTS[0], EVENTS[1]))
    (tmp_path / RUN_FILE).write_bytes(first + b"x" * 1000 + after + (second if after else b""))
    run = read_run(tmp_path)
    assert run.name == "a"
    assert bool(run.curves) == bool(after)


def test_no_log_is_an_error(tmp_path):
    with pytest.raises(InputFileError, match=r"run.jsonl: the log of the training cannot be read"):
        read_run(tmp_path)
