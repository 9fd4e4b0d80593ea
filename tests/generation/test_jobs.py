from __future__ import annotations

from pathlib import Path

import pytest

from flashsim.errors import InputFileError, OutputFileError
from flashsim.generation.jobs import plan_jobs


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.root", "b.root"):
        Path(name).write_bytes(b"root")
    return ["a.root", "b.root"]


def test_default_names(inputs):
    assert plan_jobs(inputs, None) == [("a.root", Path("a_flash.root")), ("b.root", Path("b_flash.root"))]


def test_one_file_or_a_folder(inputs, tmp_path):
    assert plan_jobs(["a.root"], Path("x.root")) == [("a.root", Path("x.root"))]
    # The same option means the same whatever number of files a pattern finds.
    assert plan_jobs(["a*.root"], Path("new/deep")) == [("a.root", Path("new/deep/a_flash.root"))]
    assert not (tmp_path / "new").exists()


def test_urls_have_names_too(inputs):
    url = "root://server//store/mc/file.root?svcClass=x/y"
    assert plan_jobs([url], None) == [(url, Path("file_flash.root"))]


@pytest.mark.parametrize(
    ("named", "output", "message"),
    [
        (["*.root"], "x.root", "2 inputs give as many outputs; name a folder"),
        (["a.root", "sub/a.root"], None, r"a_flash\.root: several inputs would give this output"),
        (["a.root"], "a.root", r"a\.root: is an input"),
        (["a.root"], "link.root", r"link\.root: is an input"),
        (["a.root", "a_flash.root"], None, r"a_flash\.root: is an input"),
        (["a.root"], "b.root/x", "b.root is no folder"),
    ],
)
def test_what_would_destroy_something_is_refused(inputs, named, output, message):
    Path("sub").mkdir()
    Path("sub/a.root").write_bytes(b"root")
    Path("link.root").symlink_to("a.root")
    if "a_flash.root" in named:
        Path("a_flash.root").write_bytes(b"root")
    if "*.root" in named:
        Path("link.root").unlink()
    with pytest.raises(OutputFileError, match=message):
        plan_jobs(named, None if output is None else Path(output), force=True)


def test_existing_outputs_are_seen_before_any_work(inputs):
    Path("b_flash.root").write_bytes(b"root")
    with pytest.raises(OutputFileError, match=r"b_flash\.root: exists already.*--force"):
        plan_jobs(inputs, None)
    assert len(plan_jobs(inputs, None, force=True)) == 2
    assert len(plan_jobs(inputs, None, resume=True)) == 2


def test_missing_input(inputs):
    with pytest.raises(InputFileError, match=r"c\.root: there is no such file"):
        plan_jobs(["c.root"], None)
