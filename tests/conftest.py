"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def nanoaod_dir() -> Path:
    """Folder of real CMS files, which are not part of the project."""
    default = Path(__file__).parents[2] / "shared" / "nanoaod"
    folder = Path(os.environ.get("FLASHSIM_NANOAOD", default))
    if not folder.is_dir():
        pytest.skip(f"no real NanoAOD files in {folder}; set FLASHSIM_NANOAOD to a folder that has them")
    return folder
