from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from flashsim.errors import OutputFileError
from flashsim.execution.whole_files import (
    check_output,
    check_output_folder,
    disk_errors,
    make_folder,
    refuse_existing,
    refuse_input,
    require_parent,
    unfinished,
    write_whole,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["n°", b"\0\xff"])
def test_a_file_is_written_with_its_folder_and_replaced(tmp_path, content):
    path = tmp_path / "deep" / "file"
    write_whole(path, "before")
    write_whole(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(path.parent) == ["file"]


def test_a_file_has_the_usual_mode(tmp_path):
    usual, path = tmp_path / "usual", tmp_path / "whole"
    usual.write_bytes(b"")
    write_whole(path, b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_interrupted_leaves_nothing_and_keeps_what_was(tmp_path, error, kind):
    path = tmp_path / "output"
    path.write_text("before")

    def interrupted():
        with unfinished(path) as part:
            if kind == "folder":
                part.mkdir()
            (part / "x" if kind == "folder" else part).write_text("half")
            assert part.name.startswith(".")
            raise error

    with pytest.raises(error):
        interrupted()
    assert names(tmp_path) == ["output"]
    assert path.read_text() == "before"


def test_a_folder_appears_with_all_that_is_in_it(tmp_path):
    with unfinished(tmp_path / "folder") as part:
        (part / "deep").mkdir(parents=True)
        assert not (tmp_path / "folder").exists()
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["deep"]


def test_a_folder_that_came_meanwhile_is_kept(tmp_path):
    theirs = tmp_path / "folder" / "theirs"

    def race():
        with unfinished(tmp_path / "folder") as part:
            part.mkdir()
            theirs.parent.mkdir()
            theirs.touch()

    with pytest.raises(OutputFileError, match=r"folder: cannot be written \(Directory not empty\)"):
        race()
    assert theirs.exists()
    assert names(tmp_path) == ["folder"]


def test_errors_of_the_disk_name_the_output(tmp_path):
    with (
        pytest.raises(OutputFileError, match=r"here: cannot be written \(No space left\)"),
        disk_errors(tmp_path / "here"),
    ):
        raise OSError(28, "No space left")


def test_refuses_what_exists_unless_forced(tmp_path):
    path = tmp_path / "x"
    refuse_existing(path)
    path.symlink_to(tmp_path / "nowhere")
    refuse_existing(path, force=True)
    with pytest.raises(OutputFileError, match="x: exists already; name another output or add --force"):
        refuse_existing(path)


def test_folders_are_made_or_required(tmp_path):
    require_parent(tmp_path / "x")
    with pytest.raises(OutputFileError, match="none does not exist; make it first"):
        require_parent(tmp_path / "none" / "x")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(OutputFileError, match="file: cannot be made a folder"):
        make_folder(tmp_path / "file")


def test_an_output_file_is_checked_before_any_work(tmp_path):
    check_output(tmp_path / "new")
    check_output(tmp_path / "deep" / "new")
    (tmp_path / "there").touch()
    check_output(tmp_path / "there", force=True)
    for path, fault in (("there", "exists already"), ("there/x", "there is no folder")):
        with pytest.raises(OutputFileError, match=fault):
            check_output(tmp_path / path)
    with pytest.raises(OutputFileError, match="is a folder; name a file"):
        check_output(tmp_path, force=True)
    assert names(tmp_path) == ["there"]


def test_an_output_folder_is_checked_before_any_work(tmp_path):
    check_output_folder(tmp_path)
    check_output_folder(tmp_path / "deep" / "new")
    (tmp_path / ".hidden").touch()
    check_output_folder(tmp_path)
    (tmp_path / "there").touch()
    check_output_folder(tmp_path, force=True)
    with pytest.raises(OutputFileError, match="exists already; name another output or add --force"):
        check_output_folder(tmp_path)
    for path in ("there", "there/x"):
        with pytest.raises(OutputFileError, match="is no folder"):
            check_output_folder(tmp_path / path, force=True)


def test_the_current_folder_is_an_output_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_output_folder(Path())
    (tmp_path / "there").touch()
    check_output_folder(Path(), force=True)
    with pytest.raises(OutputFileError, match=r"\.: exists already"):
        check_output_folder(Path())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_found_before_any_work(tmp_path):
    tmp_path.chmod(0o500)
    try:
        for check in (check_output, check_output_folder):
            with pytest.raises(OutputFileError, match="no permission"):
                check(tmp_path / "new")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("kind", ["itself", "symlink", "hard link", "relative", "through a folder"])
def test_an_input_is_never_an_output(tmp_path, monkeypatch, kind):
    source = tmp_path / "in.root"
    source.write_text("x")
    output = tmp_path / "out.root"
    match kind:
        case "itself":
            output = source
        case "symlink":
            output.symlink_to(source)
        case "hard link":
            output.hardlink_to(source)
        case "relative":
            monkeypatch.chdir(tmp_path)
            output = Path("in.root")
        case _:
            (tmp_path / "other").symlink_to(tmp_path)
            output = tmp_path / "other" / "in.root"
    with pytest.raises(OutputFileError, match=r"\.root: is an input; name another output"):
        refuse_input(output, "root://host//x.root", tmp_path / "missing", source)
    assert source.read_text() == "x"
    refuse_input(tmp_path / "new.root", source)
    refuse_input(source, "root://host//x.root", tmp_path / "missing")


def test_a_folder_that_holds_an_input_is_not_replaced(tmp_path):
    (tmp_path / "out" / "deep").mkdir(parents=True)
    source = tmp_path / "out" / "deep" / "in.root"
    source.touch()
    with pytest.raises(OutputFileError, match=r"out: holds the input .*in\.root, which would be replaced"):
        refuse_input(tmp_path / "out", source)
    refuse_input(tmp_path / "out" / "deep" / "new.root", source)
