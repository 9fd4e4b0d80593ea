"""What is measured of starts and first runs, and of the size of an install."""

from __future__ import annotations

import json
from importlib.metadata import distribution

import pytest

from benchmarks.startup import ALLOWED, dependencies, goals, install_size, main, render

MACHINE = {"processor": "CPU", "kind": "znver4", "cores": 2, "load": 0.1, "date": "2026-11-30"}


def runs(start, first):
    return {
        "start": [{"cpu": start, "clock": 2.0 * start}] * 3,
        "first run": [{"cpu": first, "clock": 2.0 * first}] * 2,
    }


@pytest.mark.parametrize(("start", "first", "passed"), [(1.5, 8.0, [True, True]), (1.6, 8.1, [False, False])])
def test_goals_are_of_processor_time(start, first, passed):
    assert [goal["passed"] for goal in goals(runs(start, first))] == passed


def test_page_compares_checkouts():
    found = {
        "command": "made",
        "machine": MACHINE,
        "runs": {"before": runs(5.0, 22.0), "now": runs(1.25, 6.0)},
        "install": {
            "before": {"packages": 107, "megabytes": 1876.2},
            "now": {"packages": 28, "megabytes": 482},
        },
        "goals": goals(runs(1.25, 6.0)),
    }
    text = render(found)
    assert "| start | now | 1.25 ± 0.00 | 2.5 |" in text
    assert "| first run | before | 22.00 ± 0.00 | 44.0 |" in text
    assert "| before | 107 | 1,876 |" in text


def test_size_counts_what_requirements_bring_along():
    own = sum(file.size or 0 for file in distribution("safetensors").files) / 1e6
    alone = install_size(["safetensors"])
    assert alone["packages"] == 1
    assert alone["megabytes"] == pytest.approx(own, rel=0.5)  # byte code is not always listed
    assert install_size(["safetensors[numpy]"])["packages"] == 2
    assert install_size(["safetensors", "safetensors"]) == alone
    assert install_size(["no-such-package"]) == {"packages": 0, "megabytes": 0.0}


def test_base_install_has_no_torch(root):
    assert (
        install_size(dependencies(root))["megabytes"]
        < 0.5 * install_size(["torch", "lightning"])["megabytes"]
    )


@pytest.fixture
def root(pytestconfig):
    return pytestconfig.rootpath


@pytest.mark.slow
def test_it_measures_this_checkout(tmp_path, capsys):
    main(["--repeats", "1", "--json", str(tmp_path / "startup.json"), "--page", str(tmp_path / "startup.md")])
    found = json.loads((tmp_path / "startup.json").read_text())
    times = {kind: found["runs"]["now"][kind][0]["cpu"] for kind in ALLOWED}
    assert 0.1 < times["start"] < times["first run"]
    assert capsys.readouterr().out.strip() == (tmp_path / "startup.md").read_text().strip()
