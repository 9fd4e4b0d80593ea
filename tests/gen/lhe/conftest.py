"""LHE files of two generators' styles, and settings that make their shower quick."""

from __future__ import annotations

from pathlib import Path

import pytest
from lhe_files import STYLES, lhe_text


@pytest.fixture(scope="session")
def styles():
    """Styles of writing by name."""
    return STYLES


@pytest.fixture(scope="session")
def lhe():
    """Give the text of a file of a style, a number of events and a seed."""
    return lhe_text


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """Settings without underlying event, which takes most time."""
    path: Path = tmp_path_factory.mktemp("lhe_settings") / "quick.cmnd"
    path.write_text("PartonLevel:MPI = off\n")
    return path
