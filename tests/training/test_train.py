from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, ndtr, softmax
from scipy.stats import kstest

from flashsim.errors import OutputFileError, RecipeError, TableError
from flashsim.flows import Flow
from flashsim.models.object_model import ObjectModel, read_header
from flashsim.runs.history import read_run
from flashsim.training.figure import draw_losses
from flashsim.training.rows import Tables
from flashsim.training.train import _flow_loss, train
from flashsim.transforms.codec import allows


class InterruptedFitError(Exception):
    """Stands for the user's, a power cut's or a batch system's."""


@pytest.fixture(scope="module")
def tables(write_tables, tmp_path_factory):
    return Tables(write_tables(tmp_path_factory.mktemp("toys") / "tables"))


@pytest.fixture(scope="module")
def trained(tables, toy_recipe, tmp_path_factory):
    """Path, model and results of a quick training."""
    path = tmp_path_factory.mktemp("models") / "toys.safetensors"
    return path, *train(tables.folder, toy_recipe(), path, accelerator="cpu")


def weights(model):
    """Tensors by name, without the weights that masks cut, which files leave out."""
    parts = {n: net.packed() if isinstance(net, Flow) else net.tensors for n, net in model.networks().items()}
    return {f"{name}/{key}": value for name, tensors in parts.items() for key, value in tensors.items()}


def same(one, other):
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_the_file_holds_the_trained_model(trained):
    path, model, results = trained
    assert same(ObjectModel.load(path), model)
    assert list(results) == ["efficiency", "flow", "unmatched_event_count", "unmatched_event_flow"]
    provenance = read_header(path)["provenance"]
    assert provenance["recipe"]["object"] == "toys"
    assert provenance["losses"]["flow"]["epochs"] == 2
    assert provenance["files"] == ["toy.root"]


def test_a_model_knows_where_its_training_was(trained, tables):
    path, _, _ = trained
    model, objects, events = ObjectModel.load(path), tables.objects("train"), tables.sources("train", "event")
    assert (model.phase_space.rows, model.unmatched["event"].phase_space.rows) == (len(objects), len(events))
    assert model.phase_space.axes["pt"].limits == pytest.approx(
        (objects.conditioning["pt"].min(), objects.conditioning["pt"].max())
    )
    assert model.phase_space.outside(objects.conditioning) == {}
    assert list(model.phase_space.outside({"pt": np.array([30.0, 5e4]), "eta": np.zeros(2)})) == ["pt"]
    assert list(model.unmatched["event"].phase_space.outside({"nPU": np.array([500.0])})) == ["nPU"]


def test_a_finished_training_is_assembled_again_without_training(trained, tables, toy_recipe):
    path, model, _ = trained
    told = []
    again, _ = train(
        tables.folder,
        toy_recipe(),
        path.with_name("again.safetensors"),
        runs=path.with_name(f"{path.name}.run"),
        resume=True,
        accelerator="cpu",
        report=lambda *epoch: told.append(epoch),
    )
    assert same(again, model)
    assert again.phase_space.to_json() == model.phase_space.to_json()
    assert told == []


def test_the_run_log_tells_of_every_network(trained):
    output, _, results = trained
    run = read_run(output.with_name(f"{output.name}.run"))
    assert run.state(run.seen) == "finished"
    assert list(run.curves) == list(results)
    for name, result in results.items():
        curves = run.curves[name]
        assert (curves.epochs[-1], run.final[f"{name}_validation"]) == (
            result.epochs,
            result.validation_loss,
        )
        assert curves.losses["validation"].tolist() == result.history["validation"].tolist()


def test_what_is_generated_is_allowed(trained, tables):
    _, model, _ = trained
    rows = tables.matched("validation")
    noise = np.random.default_rng(1).normal(size=(len(rows), len(model.targets.targets)))
    normal = model.flow.sampler().from_noise(noise, model.conditioning.encode(rows.conditioning))
    values = model.targets.decode(normal, rows.gen)
    assert all(allows(target, values[target.branch]).all() for target in model.targets.targets)


def test_a_seed_fixes_the_model(trained, tables, toy_recipe, tmp_path):
    _, model, _ = trained
    again, _ = train(tables.folder, toy_recipe(), tmp_path / "a.safetensors", accelerator="cpu")
    other, _ = train(tables.folder, toy_recipe(seed=2), tmp_path / "b.safetensors", accelerator="cpu")
    assert same(model, again)
    assert not same(model, other)


@pytest.mark.parametrize("network", ["efficiency", "flow", "unmatched_event_flow"])
def test_a_resumed_training_gives_the_same_model(trained, tables, toy_recipe, tmp_path, network):
    def report(name, epoch, most, best):
        if (name, epoch) == (network, 2):
            raise InterruptedFitError

    path = tmp_path / "a.safetensors"
    with pytest.raises(InterruptedFitError):
        train(tables.folder, toy_recipe(), path, accelerator="cpu", report=report)
    assert not path.exists()
    model, _ = train(tables.folder, toy_recipe(), path, accelerator="cpu", resume=True)
    assert same(model, trained[1])


def test_a_training_is_only_resumed_as_what_it_was(tables, toy_recipe, write_tables, tmp_path):
    path = tmp_path / "a.safetensors"
    train(tables.folder, toy_recipe(), path, accelerator="cpu")
    changed = toy_recipe(flow__epochs=3)
    with pytest.raises(RecipeError, match=r"was begun with another recipe; train without --resume"):
        train(tables.folder, changed, path, resume=True, force=True)
    others = Tables(write_tables(tmp_path / "t", objects=500))
    with pytest.raises(RecipeError, match="was begun with another tables"):
        train(others.folder, toy_recipe(), path, resume=True, force=True)


def test_checkpoints_of_an_earlier_training_are_not_resumed(trained, tables, toy_recipe, tmp_path):
    def report(name, epoch, most, best):
        if name == "efficiency":
            raise InterruptedFitError

    path = tmp_path / "a.safetensors"
    train(tables.folder, toy_recipe(seed=9), path, accelerator="cpu")
    with pytest.raises(InterruptedFitError):
        train(tables.folder, toy_recipe(), path, force=True, accelerator="cpu", report=report)
    model, _ = train(tables.folder, toy_recipe(), path, force=True, accelerator="cpu", resume=True)
    assert same(model, trained[1])


def test_the_output_is_not_replaced_unasked(trained, tables, toy_recipe):
    path, _, _ = trained
    before = path.read_bytes()
    with pytest.raises(OutputFileError, match="exists already"):
        train(tables.folder, toy_recipe(), path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_found_before_training(tables, toy_recipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFileError, match="cannot keep checkpoints"):
        train(tables.folder, toy_recipe(), tmp_path / "file" / "a.safetensors", report=pytest.fail)


def test_tables_of_another_object_are_refused(tables, toy_recipe, tmp_path):
    with pytest.raises(TableError, match="holds tables of 'toys', the recipe is for 'muons'"):
        train(tables.folder, toy_recipe(object="muons"), tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("sizes", "fault"),
    [
        ({"objects": 0}, "has 0 gen objects to train on"),
        ({"objects": 30}, "reconstructed objects to train on and .* expected at least 20 and 1"),
        ({"validation": 0.0}, "gen objects to train on and 0 to validate"),
        ({"validation": 1.0}, "has 0 gen objects to train on"),
    ],
)
def test_tables_that_are_too_small_are_refused_before_training(
    write_tables, toy_recipe, tmp_path, sizes, fault
):
    small = Tables(write_tables(tmp_path / "t", **sizes))
    with pytest.raises(TableError, match=fault):
        train(small.folder, toy_recipe(), tmp_path / "a.safetensors", report=pytest.fail)
    assert not (tmp_path / "a.safetensors").exists()


class Recorder(torch.nn.Module):
    """Stands for a flow, and keeps what it is trained on."""

    def loss(self, normal, context, generator):
        self.seen = normal
        return torch.zeros(())


def test_point_masses_are_spread_anew_at_every_step():
    """A flow sees each value of a point mass at a new place of its probability, all places alike."""
    rows, recorder = 4000, Recorder()
    low, spread = (torch.tensor(values).repeat(rows, 1) for values in ([0.0, 0.3, 0.5], [0.3, 0.2, 0.0]))
    shares = []
    for seed in (1, 2):
        _flow_loss(recorder, (low, spread, torch.zeros(rows, 1)), torch.Generator().manual_seed(seed))
        shares.append(ndtr(recorder.seen.double().numpy()))
    for share in shares:
        assert kstest(share[:, 0] / 0.3, "uniform").pvalue > 1e-3
        assert kstest((share[:, 1] - 0.3) / 0.2, "uniform").pvalue > 1e-3
        assert share[:, 2] == pytest.approx(0.5, abs=1e-6)
    assert not np.any(shares[0][:, 0] == shares[1][:, 0])


def test_too_few_unmatched_objects_make_a_model_without(write_tables, toy_recipe, tmp_path, caplog):
    tables = Tables(write_tables(tmp_path / "t", unmatched=10))
    path = tmp_path / "a.safetensors"
    train(tables.folder, toy_recipe(), path, accelerator="cpu")
    model = ObjectModel.load(path)
    of_events = model.unmatched["event"]
    assert (of_events.flow, of_events.targets) == (None, None)
    for split in ("test", "train"):
        context = of_events.conditioning.encode(tables.sources(split, "event").conditioning)
        assert np.all(softmax(of_events.count.logits(context), axis=1)[:, 0] > 1.0 - 1e-12)
    assert "to learn from: the model makes none" in caplog.text


def test_a_column_without_scale_is_named(write_tables, toy_recipe, tmp_path):
    def spoil(columns):
        columns["conditioning.pt"][:] = 0.0

    tables = Tables(write_tables(tmp_path / "t", spoil=spoil))
    with pytest.raises(TableError, match="conditioning variable 'pt'"):
        train(tables.folder, toy_recipe(), tmp_path / "a.safetensors", accelerator="cpu")


def test_the_figure_shows_every_network(trained, tmp_path):
    figure = draw_losses(trained[2], tmp_path / "losses.png")
    assert figure.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_note_of_a_training_is_json(trained):
    path, _, _ = trained
    note = json.loads((path.with_name(f"{path.name}.run") / "training.json").read_text())
    assert note["recipe"]["object"] == "toys"
    assert "files" not in note["tables"]


@pytest.mark.slow
def test_a_trained_model_knows_the_truth(write_tables, toy_recipe, tmp_path):
    tables = Tables(write_tables(tmp_path / "t", objects=8000))
    schedule = {"epochs": 15, "batch": 256, "learning_rate": 1e-2}
    changes = {
        f"{network}__{key}": value for network in ("efficiency", "flow") for key, value in schedule.items()
    }
    recipe = toy_recipe(**changes)
    model, _ = train(tables.folder, recipe, tmp_path / "a.safetensors", accelerator="cpu")
    objects = tables.objects("validation")
    probability = expit(model.efficiency.logits(model.conditioning.encode(objects.conditioning)))[:, 0]
    truth = np.clip(objects.conditioning["pt"] / 60.0, 0.2, 0.9)
    assert np.abs(probability - truth).mean() < 0.06
    rows = tables.matched("validation")
    high = rows.select(rows.conditioning["pt"] > 40.0)
    noise = np.random.default_rng(1).normal(size=(len(high), 4))
    normal = model.flow.sampler().from_noise(noise, model.conditioning.encode(high.conditioning))
    values = model.targets.decode(normal, high.gen)
    response = values["pt"] / high.gen["pt"]
    assert np.median(response) == pytest.approx(1.0, abs=0.03)
    assert np.std(values["eta"] - high.gen["eta"]) == pytest.approx(0.02, rel=0.2)
    assert np.mean(values["id"] == 6.0) == pytest.approx(0.7, abs=0.08)


def test_a_training_that_was_interrupted_is_not_begun_again_unasked(trained, tables, toy_recipe, tmp_path):
    def report(name, epoch, most, best):
        if name == "flow":
            raise KeyboardInterrupt

    path = tmp_path / "a.safetensors"
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(tables.folder, toy_recipe(), path, accelerator="cpu", report=report)
    assert stopped.value.__notes__ == [f"the checkpoints are in {path}.run", "go on with resume=True"]
    sentence = (
        r"a\.safetensors\.run: holds the checkpoints .* go on with --resume, or begin again with --force"
    )
    with pytest.raises(OutputFileError, match=sentence):
        train(tables.folder, toy_recipe(), path, accelerator="cpu", report=pytest.fail)
    told = []
    again = train(
        tables.folder, toy_recipe(), path, accelerator="cpu", resume=True, report=lambda *e: told.append(e[0])
    )
    assert "efficiency" not in told
    assert same(again[0], trained[1])


def test_two_trainings_do_not_share_a_folder(tables, toy_recipe, tmp_path):
    def report(*_):
        train(tables.folder, toy_recipe(), tmp_path / "b.safetensors", runs=tmp_path / "run", resume=True)

    with pytest.raises(OutputFileError, match=r"run: is being written by another process; wait for it"):
        train(tables.folder, toy_recipe(), tmp_path / "a.safetensors", runs=tmp_path / "run", report=report)


def test_a_full_disk_at_the_end_keeps_the_training(trained, tables, toy_recipe, tmp_path, monkeypatch):
    write_bytes, path = Path.write_bytes, tmp_path / "a.safetensors"

    def full(at, data):
        if at.name.startswith(".a.safetensors."):
            write_bytes(at, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(at, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputFileError, match=r"a\.safetensors: cannot be written \(No space left on device"):
        train(tables.folder, toy_recipe(), path, accelerator="cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors.run"]
    monkeypatch.undo()
    model, _ = train(tables.folder, toy_recipe(), path, accelerator="cpu", resume=True, report=pytest.fail)
    assert same(model, trained[1])
