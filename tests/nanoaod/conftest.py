"""Real files, each opened once: reading the description of 2000 branches takes a second."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache

import pytest

from flashsim.nanoaod.reading import NanoFile


@pytest.fixture(scope="session")
def real_file(nanoaod_dir):
    """Give the open NanoFile of a name in the folder of real files."""
    with ExitStack() as stack:
        yield cache(lambda name: stack.enter_context(NanoFile(nanoaod_dir / f"{name}.root")))
