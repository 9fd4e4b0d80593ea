"""`flashsim validate` as users meet it."""

from __future__ import annotations

import json
from pathlib import Path

from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter


def test_validate(flashsim, folder, made_process, few_targets, refused):
    full, other, fast = (made_process / f"{name}.root" for name in ("full", "full_1", "fast"))
    arguments = ("validate", full, other, "--third", fast, "--object", few_targets, "--output", "report.html")
    status, out, err = flashsim(*arguments)
    assert (status, err) == (0, f"flashsim: comparing {other} with {full} -> report.html\n")
    assert out.startswith("report.html: ")
    assert {path.name for path in folder.iterdir()} == {"few.yaml", "report.html", "report.json"}
    found = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert found["files"] == {"reference": "full.root", "candidate": "full_1.root", "third": "fast.root"}
    refused(flashsim(*arguments), "report.html: exists already")


def test_validate_tells_by_its_exit_status(flashsim, folder, made_process, few_targets):
    full = made_process / "full.root"
    with NanoFile(full) as file, NanoWriter("wrong.root") as writer:
        arrays = file.read(list(file.branches))
        writer.tree("Events", list(file.branches.values()))
        writer.extend("Events", arrays | {"Muon_ptErr": 3.0 * arrays["Muon_ptErr"]})

    def validate(candidate, *options):
        return flashsim("validate", full, candidate, "--object", few_targets, "-fo", "r.html", *options)[:2]

    assert validate(full, "--fail-above", "amber")[0] == 0
    status, out = validate("wrong.root", "--fail-above", "amber")
    assert status == 1
    assert "red: muons, Distributions, Muon_ptErr" in out
    assert validate("wrong.root")[0] == 0
