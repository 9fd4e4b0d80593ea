"""Bad inputs of all commands, one by one: refused with a sentence that helps, or read right."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from judge import ALL_CASES
from judge.columns import content
from safetensors.numpy import load_file


def snapshot(folder):
    """All files below a folder, the hidden ones too, and what is in them; the log of a training may grow."""
    return {
        p.relative_to(folder).as_posix(): (p.read_bytes() if p.is_file() else "folder")
        for p in folder.rglob("*")
        if p.name != "run.jsonl"
    }


def times(paths):
    return {path: path.stat().st_mtime_ns for path in paths}


def parameter(case):
    """Give a case under its name; those in which Pythia begins take seconds."""
    marks = [pytest.mark.slow] if case.name.endswith(("(Pythia)", "(LHE)")) else []
    return pytest.param(case, id=case.name, marks=marks)


@pytest.fixture
def folder(tmp_path):
    """Give an empty current folder."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.mark.parametrize("case", [parameter(case) for case in ALL_CASES])
def test_is_refused_or_read_right(case, console, stock, folder):
    arguments = [a.format_map(stock) for a in shlex.split(case.command)]
    if case.build is not None:
        case.build(stock, folder)
    before, given = snapshot(folder), times(stock.made())
    ended = console.run(*arguments, folder=folder)
    said = f"status {ended.status}\n{ended.out}\n{ended.err}"
    assert ended.faults == [], said
    assert times(given) == given, "an input has changed"
    if case.words:
        assert ended.status == 2, said
        assert len(ended.sentences) == 1, said
        # What is done is said before it begins, and nothing else.
        begun = [line for line in ended.lines if line not in ended.sentences]
        assert all(
            re.fullmatch(r"flashsim: [a-z]+ing .* -> .*|flashsim: note: .*", line) for line in begun
        ), said
        missing = [word for word in case.words if not ended.says(word)]
        assert missing == [], said
        assert ended.out == "", said
        assert snapshot(folder) == before
        return
    assert ended.status == 0, said
    assert not list(folder.rglob("*.part"))
    if case.told:
        assert [word for word in case.told if not re.search(word, ended.err)] == [], said
        return
    right = console.run(*[a.format_map(stock) for a in shlex.split(case.right)], folder=folder)
    assert right.status == 0, right.err
    assert not list(folder.rglob("*.part"))
    mine, theirs = (comparable(folder / name, case.but) for name in case.outputs)
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if not same(mine[name], theirs[name])] == []
    else:
        assert mine == theirs
        assert mine


def same(one, other):
    """Whether two values are equal, bit by bit."""
    return one.tobytes() == other.tobytes() if hasattr(one, "tobytes") else one == other


def comparable(path, but):
    """What has to be equal of two outputs: when and from which file they were made is not."""
    match path.suffix:
        case ".root":
            left_out = re.compile(f"[^/]*/({'|'.join(but)})")
            return {name: values for name, values in content(path).items() if not left_out.fullmatch(name)}
        case ".safetensors":
            return load_file(path)
        case ".html":
            data = re.search(
                r'<script id="data"[^>]*>(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL
            )
            return [run for run in json.loads(data[1])["trainings"] if run["id"] in {"one", "two"}]
    pytest.fail(f"{path}: of no kind that can be compared")
