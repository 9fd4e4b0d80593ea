from __future__ import annotations

from pathlib import Path

import pytest

from flashsim.errors import InputFileError
from flashsim.nanoaod.inputs import expand_inputs


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.root", "a.root", "sub/c.root", "list.txt", "odd[1].root"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("# files\nsub/*.root\n\nroot://server//x.root\n", encoding="utf-8")
    Path("empty.txt").write_text("# nothing\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (["b.root", "a.root", "b.root"], ["b.root", "a.root"]),
        (["[ab].root"], ["a.root", "b.root"]),
        (["**/c.root"], ["sub/c.root"]),
        (["odd[1].root"], ["odd[1].root"]),
        (["@list.txt", "a.root"], ["sub/c.root", "root://server//x.root", "a.root"]),
        (["https://server/*.root"], ["https://server/*.root"]),
    ],
)
def test_names(named, found):
    assert expand_inputs(named) == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.root", "none.root: there is no such file"),
        ("none*.root", r"none\*\.root: no file fits this pattern"),
        ("sub", r"sub: is a folder; name the files in it, such as 'sub/\*\.root'"),
        ("@none.txt", "none.txt: cannot be read as a list of files"),
        ("@empty.txt", "empty.txt: names no file"),
    ],
)
def test_what_is_not_there(name, message):
    with pytest.raises(InputFileError, match=message):
        expand_inputs([name])
