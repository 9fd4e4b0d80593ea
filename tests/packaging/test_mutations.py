"""The list of mutations names lines and tests that are there; .ci/mutations.py runs them."""

from __future__ import annotations

import runpy
from collections import Counter

import pytest


@pytest.fixture(scope="module")
def runner(root):
    """What the script defines, without the command that it runs."""
    return runpy.run_path(str(root / ".ci" / "mutations.py"))


@pytest.fixture(scope="module")
def mutations(runner):
    return runner["load"]()


def test_every_line_and_every_test_is_there(runner, mutations):
    stale = []
    for mutation in mutations:
        try:
            mutation.check()
        except runner["StaleMutationError"] as error:
            stale.append(str(error))
    assert stale == []


def test_every_mutation_changes_something_under_a_name_of_its_own(mutations):
    assert [m.name for m in mutations if m.line == m.mutated] == []
    assert [name for name, number in Counter(m.name for m in mutations).items() if number > 1] == []
    assert len(mutations) >= 20


def test_the_page_lists_them(root, runner, mutations):
    assert (root / "docs" / "mutations.md").read_text(encoding="utf-8") == runner["page"](mutations)


def test_a_line_that_is_gone_or_not_unique_is_said(runner):
    mutation = runner["Mutation"]("it", "flashsim/a.py", "x = 1", "x = 2", "tests/test_a.py::test_a")
    assert mutation.applied("def f():\n    x = 1\n") == "def f():\n    x = 2\n"
    below = runner["Mutation"]("it", "flashsim/a.py", "x = 1", "x = 2", "tests/test_a.py::test_a", "def g")
    assert below.applied("x = 1\ndef g():\n    x = 1\n") == "x = 1\ndef g():\n    x = 2\n"
    for text, message in (("x = 3\n", "is not found"), ("x = 1\nx = 1\n", "stands there 2 times")):
        with pytest.raises(runner["StaleMutationError"], match=f"it: flashsim/a.py: 'x = 1' {message}"):
            mutation.applied(text)
