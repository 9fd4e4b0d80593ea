from __future__ import annotations

import shlex

from benchmarks.commandline import quoted


def test_a_quoted_command_can_be_typed_again():
    words = ["full=some/folder/full.root", "second draw=other/full_1.root", "--page", "docs/joint.md"]
    text = quoted("benchmarks.joint", words)
    assert shlex.split(text) == [
        *("python", "-m", "benchmarks.joint", "full=full.root", "second draw=full_1.root"),
        *("--page", "joint.md"),
    ]
