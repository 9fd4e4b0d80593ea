"""The checkout, and the distributions that are built from it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the checkout that these tests stand in."""
    return Path(__file__).resolve().parents[2]


def _wheel(root: Path, folder: Path, version: str) -> Path:
    (built,) = WheelBuilder(str(root)).build(directory=str(folder), versions=[version])
    return Path(built)


@pytest.fixture(scope="session")
def wheel(root, tmp_path_factory) -> Path:
    """What `pip install .` installs."""
    return _wheel(root, tmp_path_factory.mktemp("wheel"), "standard")


@pytest.fixture(scope="session")
def editable_wheel(root, tmp_path_factory) -> Path:
    """What `pip install -e .` installs."""
    return _wheel(root, tmp_path_factory.mktemp("editable"), "editable")


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """Folder that holds the wheel's content, as site-packages would."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder
