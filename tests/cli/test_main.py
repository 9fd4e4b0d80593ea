"""The command line as a whole: help, version, usage."""

from __future__ import annotations

import re

import pytest


def test_version(flashsim):
    status, out, _ = flashsim("--version")
    assert status == 0
    assert out.startswith("flashsim ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate"],
        ["generate", "-i", "x", "--chunk", "0"],
        ["generate", "-i", "x", "--compression", "zip"],
        ["generate", "-i", "x", "--device", "gpu"],
        ["train", "jets"],
        ["refine", "apply", "fast.root"],
        ["fly"],
    ],
)
def test_usage_errors(flashsim, folder, arguments):
    """One sentence, and where the help is."""
    status, out, err = flashsim(*arguments)
    assert (status, out) == (2, "")
    assert re.fullmatch(r"flashsim: error: .*; see 'flashsim.* --help'\n", err)
    assert list(folder.iterdir()) == []


def test_without_arguments_there_is_help(flashsim):
    status, out, err = flashsim()
    assert (status, out) == (2, "")
    assert "Usage: flashsim" in err
