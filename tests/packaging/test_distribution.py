"""Wheel, source distribution, editable install and checkout all carry what runs and what is read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from flashsim.declarations.recipes import STAGES

LOOK = """
import json, flashsim
from flashsim.models.shipped import shipped_models
from flashsim.declarations.recipes import STAGES, recipe_folder
print(json.dumps({
    "package": flashsim.__file__,
    "models": [path.name for path in shipped_models()],
    "recipes": {stage: sorted(path.name for path in recipe_folder(stage).iterdir()) for stage in STAGES},
}))
"""


def tracked(root, folder, suffixes):
    """Paths below a folder of the checkout, relative to the checkout."""
    found = (path for path in (root / folder).rglob("*") if path.suffix in suffixes)
    return {path.relative_to(root).as_posix() for path in found if "__pycache__" not in path.parts}


def look(python_path: Path, cwd: Path) -> dict:
    """What an interpreter finds that has this folder before all others and runs in another one."""
    environment = os.environ | {"PYTHONPATH": str(python_path)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def stage_files(root):
    return {stage: sorted(path.name for path in (root / stage).iterdir()) for stage in STAGES}


def test_wheel_holds_the_package(root, wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = tracked(root, "flashsim", {".py", ".json", ".safetensors", ".md"})
    assert package <= names
    assert {"flashsim/py.typed", "flashsim/models/SHA256SUMS"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_has_one_importable_name(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"flashsim"}


def test_every_shipped_model_has_a_card(root):
    models = {path.stem for path in (root / "flashsim" / "models").glob("*.safetensors")}
    cards = {path.stem for path in (root / "flashsim" / "models").glob("*.md")}
    assert models <= cards


def test_installed_wheel_finds_all_recipes(root, installed, tmp_path):
    found = look(installed, tmp_path)
    assert Path(found["package"]).is_relative_to(installed)
    assert found["recipes"] == stage_files(root)


def test_checkout_finds_all_recipes(root, tmp_path):
    found = look(root, tmp_path)
    assert Path(found["package"]).is_relative_to(root)
    assert found["recipes"] == stage_files(root)


def test_models_are_the_same_everywhere(root, installed, tmp_path):
    assert look(installed, tmp_path)["models"] == look(root, tmp_path)["models"]


def test_editable_install_is_the_checkout_alone(root, editable_wheel):
    """No copy of a recipe lies beside: it would go stale."""
    with zipfile.ZipFile(editable_wheel) as archive:
        contents = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert [name.endswith(".pth") for name in contents] == [True]
        assert Path(archive.read(contents[0]).decode().strip()) == root


def test_source_distribution_builds_the_same_wheel(root, tmp_path, wheel):
    (archive,) = SdistBuilder(str(root)).build(directory=str(tmp_path))
    with tarfile.open(archive) as source:
        source.extractall(tmp_path, filter="data")
    unpacked = Path(archive.removesuffix(".tar.gz"))
    (built,) = WheelBuilder(str(unpacked)).build(directory=str(tmp_path / "wheel"), versions=["standard"])
    assert set(zipfile.ZipFile(built).namelist()) == set(zipfile.ZipFile(wheel).namelist())


def test_every_stage_explains_itself(root):
    assert [stage for stage in STAGES if not (root / stage / "README.md").is_file()] == []
