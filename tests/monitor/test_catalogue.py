from __future__ import annotations

import json
import shutil

import pytest

from flashsim.errors import InputFileError
from flashsim.monitor import catalogue as module
from flashsim.monitor.catalogue import Catalogue
from flashsim.runs.log import LOST_AFTER, RUN_FILE


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch):
    """New trainings are looked for at every look."""
    monkeypatch.setattr(module, "_SHARE", float("inf"))


def by_id(message):
    return {training["id"]: training for training in message["trainings"]}


def test_a_half_finished_grid_is_told_whole(half_grid):
    root, _ = half_grid
    catalogue = Catalogue(root)
    assert catalogue.update()
    message = catalogue.message()
    assert json.loads(json.dumps(message, allow_nan=False))["folder"] == "runs"
    (group,) = message["groups"]
    assert (group["id"], group["points"]) == ("grid", 6)
    told = by_id(message)
    states = {name: t["state"] for name, t in told.items()}
    assert list(states.values()) == ["finished", "finished", "running", "lost", "queued", "failed"]
    first = told["grid/point_0000"]
    assert (first["done"], first["planned"], first["final"]) == (10, 10, {"auc": 0.6})
    curves = first["networks"]["refiner"]
    assert curves["epochs"] == [1, 2, 3, 4]
    assert curves["losses"]["validation"] == [1.0, 0.5, 0.25, 0.75]
    assert curves["best"]["validation"] == [0.25, 3]
    assert curves["best"]["validation_mse"] == [1.0, 1]
    assert (curves["kept_epoch"], curves["kept"]["validation_mse"], curves["last"]["validation"]) == (
        3,
        1.75,
        0.75,
    )
    assert told["grid/point_0002"]["ends"] > message["now"]
    assert told["jets.safetensors.run"]["error"] == "RecipeError: <b>bad</b>"


def test_only_news_are_told(half_grid):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    revision = catalogue.revision
    assert not catalogue.update()
    assert catalogue.message(revision)["trainings"] == []
    writers[2].write("heartbeat")
    assert catalogue.update()
    (told,) = catalogue.message(revision)["trainings"]
    assert told["id"] == "grid/point_0002"
    assert "networks" not in told
    writers[2].epoch(1.0)
    catalogue.update()
    (told,) = catalogue.message(revision)["trainings"]
    assert told["networks"]["refiner"]["epochs"] == [1, 2, 3]


def test_a_training_is_lost_without_any_event(half_grid):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    now = catalogue.message()["now"]
    catalogue._clock = lambda: now + LOST_AFTER + 1.0
    revision = catalogue.revision
    assert catalogue.update()
    assert {t["id"]: t["state"] for t in catalogue.message(revision)["trainings"]} == {
        "grid/point_0002": "lost"
    }
    writers[2].write("start", now + 70.0, name="p", parameters={}, epochs={}, resumed=True, host="h", pid=2)
    catalogue.update()
    assert by_id(catalogue.message(revision))["grid/point_0002"]["state"] == "running"


def test_trainings_come_and_go(half_grid, tmp_path):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    shutil.copytree(writers[0].folder, root / "grid" / "point_0005")
    shutil.rmtree(writers[1].folder)
    revision = catalogue.revision
    assert catalogue.update()
    message = catalogue.message(revision)
    assert "grid/point_0001" not in message["ids"]
    assert [t["id"] for t in message["trainings"]] == ["grid/point_0005"]


def test_a_log_that_becomes_a_link_is_not_read_on(half_grid, tmp_path):
    root, writers = half_grid
    catalogue = Catalogue(root)
    catalogue.update()
    catalogue._look_again = float("inf")
    secret = tmp_path / "secret"
    log = writers[2].folder / RUN_FILE
    secret.write_text(log.read_text() * 2, encoding="utf-8")
    log.unlink()
    log.symlink_to(secret)
    assert not catalogue.update()


def test_nothing_is_written(half_grid):
    root, _ = half_grid
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")}
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    catalogue = Catalogue(root)
    catalogue.update()
    assert len(catalogue.message()["trainings"]) == 6
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")} == before


def test_long_curves_are_thinned_with_their_minima(half_grid, monkeypatch):
    root, writers = half_grid
    monkeypatch.setattr(module, "_MOST_POINTS", 20)
    writers[2].epoch(*(abs(k - 333.0) + 1.0 for k in range(500)))
    catalogue = Catalogue(root)
    catalogue.update()
    curves = by_id(catalogue.message())["grid/point_0002"]["networks"]["refiner"]
    assert len(curves["epochs"]) <= 25
    assert (curves["epochs"][0], curves["epochs"][-1]) == (1, 502)
    assert min(curves["losses"]["validation"]) == 1.0


def test_what_is_missing_of_a_constraint_is_best_at_zero(half_grid):
    root, writers = half_grid
    for value in (-0.5, 0.01, 0.2):
        writers[2].epoch(1.0, validation_infeasibility_sum=value)
    catalogue = Catalogue(root)
    catalogue.update()
    best = by_id(catalogue.message())["grid/point_0002"]["networks"]["refiner"]["best"]
    assert best["validation_infeasibility_sum"] == [0.01, 4]


def test_an_empty_folder_has_nothing_to_tell(tmp_path):
    catalogue = Catalogue(tmp_path)
    assert not catalogue.update()
    assert catalogue.message()["trainings"] == []


def test_no_folder_is_an_error(tmp_path):
    with pytest.raises(InputFileError, match="is no folder; name one with trainings below it"):
        Catalogue(tmp_path / "none")
