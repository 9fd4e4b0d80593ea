from __future__ import annotations

import signal
import sys
import time

import pytest

from flashsim.cli import console


@pytest.fixture
def clock(monkeypatch):
    """Give the function that sets the time."""
    now = [100.0]
    monkeypatch.setattr(console, "_SHORT", 5.0)
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_lines_of_progress_where_there_is_no_terminal(clock, capsys):
    """One at each tenth and at least every half minute, and none in the first seconds."""
    with console.progress_of("events") as progress:
        for done in range(0, 1001, 10):
            clock(1.0)
            progress("gen.root", done, 1000, "")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "flashsim: gen.root: 100 of 1,000 events (10 %) after 11 s"
    assert len(lines) == 10


def test_slow_work_is_heard_of(clock, capsys):
    with console.progress_of("epochs") as progress:
        for done in range(1, 8):
            clock(16.0)
            progress("flow", done, 1000, "best validation loss 1.5")
        progress("flow", 8, None, "")
    assert capsys.readouterr().err.splitlines() == [
        f"flashsim: flow: {done} of 1,000 epochs (0 %) after {16 * done} s, best validation loss 1.5"
        for done in (2, 4, 6)
    ]


def test_quick_work_is_quiet(clock, capsys):
    with console.progress_of("events") as progress:
        for done in range(100):
            clock(0.01)
            progress("gen.root", done, 100, "")
    assert capsys.readouterr() == ("", "")


def test_bars_in_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with console.progress_of("events") as progress:
        progress("gen.root", 5, 10, "")
        progress("gen.root", 10, 10, "as a remark")
    out, err = capsys.readouterr()
    assert out == ""
    assert "10/10" in err
    assert "as a remark" in err


def test_a_signal_in_a_destructor_is_not_lost(monkeypatch, capsys):
    """Python reports what a destructor raises and goes on: the command would run to its end."""

    class Held:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    def work(**_):
        held = Held()
        del held
        time.sleep(20)

    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    }
    reported = sys.unraisablehook
    try:
        started = time.monotonic()
        with pytest.raises(SystemExit) as ended:
            console.run(work)
        assert time.monotonic() - started < 10
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert ended.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err.startswith("flashsim: stopped by SIGTERM")
    assert sys.unraisablehook is reported


@pytest.mark.parametrize("linked", [True, False], ids=["cause", "context"])
def test_a_signal_in_an_import_is_no_error_of_the_import(capsys, linked):
    """A library written in C that a signal finds at its start says that it cannot be imported."""

    def app(**_):
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException as stop:
            if linked:
                raise ImportError from stop
            raise ImportError  # noqa: B904  # as C code does

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as ended:
            console.run(app)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert ended.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err.startswith("flashsim: stopped by SIGTERM")


def test_other_errors_are_shown():
    def app(**_):
        raise ImportError

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(ImportError):
            console.run(app)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
