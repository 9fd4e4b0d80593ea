from __future__ import annotations

import struct

import pytest
from tensorboardX.proto.event_pb2 import Event

from flashsim.errors import MissingDependencyError, OutputFileError
from flashsim.monitor.tensorboard import save_events
from flashsim.runs.history import read_run


def events(folder):
    """Records of the event file in a folder: length, its checksum, content, its checksum."""
    (path,) = folder.glob("events.out.tfevents.*")
    data, found = path.read_bytes(), []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return found


def scalars(folder):
    return {
        (value.tag, event.step): (value.simple_value, event.wall_time)
        for event in events(folder)
        for value in event.summary.value
        if value.WhichOneof("value") == "simple_value"
    }


def test_every_loss_of_every_training_is_there(half_grid, tmp_path):
    root, _ = half_grid
    assert save_events(root, tmp_path / "events") == 6
    for name in ("grid/point_0000", "grid/point_0003", "jets.safetensors.run"):
        curves = read_run(root / name).curves["refiner"]
        found = scalars(tmp_path / "events" / name)
        assert len(found) == len(curves.epochs) * len(curves.losses)
        for loss, tag in (
            ("train", "refiner/loss/train"),
            ("validation_mse", "refiner/mse/validation"),
            ("train_multiplier_mse", "refiner/multiplier_mse/train"),
        ):
            for epoch, when, value in zip(curves.epochs, curves.times, curves.losses[loss], strict=True):
                assert found[tag, epoch] == pytest.approx((value, when), rel=1e-6)


def test_a_training_that_waits_has_its_recipe(half_grid, tmp_path):
    save_events(half_grid[0], tmp_path / "events")
    (text,) = [v for e in events(tmp_path / "events" / "grid" / "point_0004") for v in e.summary.value]
    assert text.tag.startswith("recipe")
    assert b'"network.width": 128' in text.tensor.string_val[0]


def test_values_that_are_not_finite_are_left_out(half_grid, tmp_path):
    root, writers = half_grid
    writers[2].epoch(1.0, validation=None)
    save_events(root, tmp_path / "events")
    found = scalars(tmp_path / "events" / "grid" / "point_0002")
    assert ("refiner/loss/validation", 3) not in found
    assert ("refiner/loss/train", 3) in found


def test_a_folder_that_is_there_is_left_alone(half_grid, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(OutputFileError, match="mine: exists already; name another folder"):
        save_events(half_grid[0], tmp_path / "mine")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "runs"]


def test_without_the_library_nothing_is_left(half_grid, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(MissingDependencyError, match=r"flashsim\[monitor\]"):
        save_events(half_grid[0], tmp_path / "events")
    assert not (tmp_path / "events").exists()
