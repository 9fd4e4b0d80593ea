from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save

from flashsim.errors import ModelFileError, OutputFileError, RecipeError, TableError
from flashsim.refinement.evaluation import evaluate, refine_rows
from flashsim.refinement.model import FORMAT_VERSION, RefinerModel
from flashsim.refinement.pairs import PairDescription
from flashsim.refinement.train import train_refiner
from flashsim.runs.history import read_run

CONSTRAINT = {"loss": "unitarity_mean", "target": "full"}
STAGES = [
    {"primary": "mse", "epochs": 1, "constraints": [{"loss": "mmd", "scale": 10.0}]},
    {"primary": "mmd", "constraints": [CONSTRAINT]},
]


class InterruptedTrainingError(Exception):
    """Stands for whatever stops a training."""


def write_pairs(folder, recipe, rows_of, rows=600):
    folder.mkdir(exist_ok=True)
    counts = {}
    for seed, split in enumerate(("train", "validation", "test")):
        made = rows_of(recipe, rows if split == "train" else rows // 3, seed=seed)
        columns = {name: np.arange(len(made)) for name in ("run", "luminosityBlock", "event")}
        columns |= {f"gen.{f}": made.gen[:, k] for k, f in enumerate(recipe.gen_fields)}
        for side, values in (("fast", made.fast), ("full", made.full)):
            columns |= {f"{side}.{b}": values[:, k] for k, b in enumerate(recipe.branches)}
        pd.DataFrame(columns).to_parquet(folder / f"{split}.parquet")
        counts[split] = len(made)
    description = PairDescription(
        schema_version=1,
        recipe=recipe,
        files=[("fast.root", "full.root")],
        events=1,
        events_apart=0,
        counts={},
        pairs=counts,
    )
    (folder / "pairs.json").write_text(description.model_dump_json(), encoding="utf-8")
    return folder


def run(folder, recipe, pairs, stop_after=None, **options):
    def report(epoch, most, best):
        if epoch == stop_after:
            raise InterruptedTrainingError

    return train_refiner(
        pairs, recipe, folder / "model.safetensors", accelerator="cpu", report=report, **options
    )


@pytest.fixture(scope="module")
def recipe(small):
    return small("jets", stages=STAGES)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, recipe, pair_rows):
    return write_pairs(tmp_path_factory.mktemp("pairs"), recipe, pair_rows)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, recipe, pairs):
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(folder, recipe, pairs)


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_every_component_and_multiplier_is_logged_for_both_splits(trained):
    folder, found = trained
    history = pd.read_csv(folder / "model.safetensors.run" / "losses.csv")
    parts = {"mmd", "mmd_0", "mmd_4", "mmd_5", "mse", "huber", "boundary"}
    parts |= {"unitarity_mean", "unitarity_std"}
    assert {f"{split}_{part}" for split in ("train", "validation") for part in parts} <= set(history)
    state = history[["train_multiplier_mmd", "train_infeasibility_unitarity_mean"]]
    assert state["train_multiplier_mmd"].notna().tolist() == [True, False, False]  # of the first stage
    assert state["train_infeasibility_unitarity_mean"].notna().tolist() == [False, True, True]
    assert found.result.epochs == 3


def test_the_run_log_tells_the_same(trained):
    folder, found = trained
    run = read_run(folder / "model.safetensors.run")
    assert (run.name, run.state(run.seen), run.done()) == ("model", "finished", (3, 3))
    assert run.parameters["network.blocks"] == found.model.recipe.network.blocks
    assert run.final == found.agreement.numbers()
    history = found.result.history
    assert {name: column.tolist() for name, column in run.curves["refiner"].losses.items()} == {
        name: pytest.approx(history[name].tolist(), nan_ok=True) for name in history if name != "epoch"
    }


def test_the_model_file_gives_the_refiner_back(trained, pair_rows, recipe):
    folder, found = trained
    model = RefinerModel.load(folder / "model.safetensors")
    assert model.recipe == recipe
    assert same(model.network, found.model.network)
    assert model.digest
    assert model.kernel["widths"] == [4.0, 2.0, 1.0, 0.5, 0.25]
    rows = pair_rows(recipe, 100, seed=9)
    assert np.array_equal(refine_rows(model.network, rows), refine_rows(found.model.network, rows))


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_training_ends_as_if_never_stopped(trained, tmp_path, recipe, pairs, epoch):
    with pytest.raises(InterruptedTrainingError):
        run(tmp_path, recipe, pairs, stop_after=epoch)
    again = run(tmp_path, recipe, pairs, resume=True)
    assert same(again.model.network, trained[1].model.network)
    pd.testing.assert_frame_equal(
        again.result.history, trained[1].result.history, check_dtype=False, check_like=True
    )


def test_a_training_is_resumed_as_what_it_was(trained, recipe, pairs, change):
    folder, _ = trained
    with pytest.raises(RecipeError, match="begun with another recipe; train without --resume"):
        run(folder, change(recipe, seed=5), pairs, resume=True, force=True)


def test_outputs_are_not_replaced_without_force(trained, recipe, pairs):
    with pytest.raises(OutputFileError, match="add --force"):
        run(trained[0], recipe, pairs)


def test_pairs_of_another_selection_are_refused(tmp_path, recipe, pairs, change):
    other = change(recipe, pairs={"distance": 0.1})
    with pytest.raises(TableError, match="was made with another 'pairs'"):
        run(tmp_path, other, pairs)


def test_too_few_pairs_are_refused(tmp_path, recipe, pairs, change):
    with pytest.raises(TableError, match=r"has 600 pairs in 'train', expected at least 601"):
        run(tmp_path, change(recipe, min_rows=601), pairs)


def test_files_that_are_no_refiner_are_refused(tmp_path, trained):
    with pytest.raises(ModelFileError, match="there is no such"):
        RefinerModel.load(tmp_path / "none")
    text = tmp_path / "text"
    text.write_text("text")
    with pytest.raises(ModelFileError, match="is not a model file"):
        RefinerModel.load(text)
    damaged = tmp_path / "damaged.safetensors"
    content = (trained[0] / "model.safetensors").read_bytes()
    known, other = (rb"\"format_version\": %d" % number for number in (FORMAT_VERSION, 7))
    damaged.write_bytes(content.replace(known, other))
    with pytest.raises(ModelFileError, match=f"has format version 7, this flashsim reads {FORMAT_VERSION}"):
        RefinerModel.load(damaged)


@pytest.mark.parametrize("name", ["pt", "muons"])
def test_a_short_training_brings_the_simulations_together(name, small, tmp_path, pair_rows):
    schedule = {"epochs": 12, "batch": 512, "min_steps": 4, "learning_rate": 1e-2}
    recipe = small(name, schedule=schedule, validation_batch=1000, groups=None)
    pairs = write_pairs(tmp_path / "pairs", recipe, pair_rows, rows=3000)
    found = run(tmp_path, recipe, pairs)
    distance = found.agreement.distances[0]
    assert distance.variable == "pt"
    assert distance.refined < 0.5 * distance.fast
    stored = json.loads((tmp_path / "model.safetensors.run" / "agreement.json").read_text())
    assert stored == found.agreement.to_json()


def test_agreement_of_equal_simulations_is_perfect(small, pair_rows):
    recipe = small("jets")
    rows = pair_rows(recipe, 500)
    found = evaluate(recipe, rows, rows.full)
    assert all(d.refined == 0.0 < d.fast for d in found.distances)
    assert {(d.variable, d.group) for d in found.distances} >= {("pt", "all"), ("btagDeepFlavB", "5")}
    assert found.correlation["refined"] == 0.0 < found.correlation["fast"]
    assert found.sums["refined"] == found.sums["full"]


def changed_file(path, *, header=lambda content: None, tensors=lambda arrays: None):
    """Write a refiner's file again with another header or other tensors, as if it had been made so."""
    with safe_open(path, framework="np") as file:
        content = json.loads(file.metadata()["flashsim_refiner"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    content.pop("sha256")
    header(content)
    tensors(arrays)
    path.write_bytes(save(arrays, metadata={"flashsim_refiner": json.dumps(content)}))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["mean", "value_low", "enter.weight", "transforms.0.median"])
def test_a_refiner_with_numbers_that_are_none_is_refused(trained, tmp_path, name, value):
    path = tmp_path / "a.safetensors"
    shutil.copyfile(trained[0] / "model.safetensors", path)
    changed_file(path, tensors=lambda arrays: arrays[name].reshape(-1).__setitem__(0, value))
    if name == "value_low" and np.isinf(value):  # as of a column that training had no values of
        RefinerModel.load(path)
        return
    with pytest.raises(ModelFileError, match=rf"the tensor {name} has 1 of \d+ numbers that are NaN or inf"):
        RefinerModel.load(path)


@pytest.mark.parametrize(
    ("spoilt", "fault"),
    [
        (
            {"header": lambda h: h["recipe"]["network"].update(blocks=10**9)},
            "blocks 1000000000, for which the",
        ),
        ({"header": lambda h: h["recipe"]["network"].update(width=10**9)}, "width 1000000000, for which the"),
        ({"header": lambda h: h["recipe"]["network"].update(width=17)}, "has shape"),
        ({"header": lambda h: h.update(kernel=[])}, "expected mappings"),
        ({"header": lambda h: h.pop("recipe")}, "'recipe'"),
        ({"tensors": lambda t: t.pop("mean")}, "the tensor mean is missing"),
        ({"tensors": lambda t: t.update(mean=t["mean"].astype(np.int32))}, "mean is of type int32"),
    ],
    ids=["blocks", "width", "another width", "kernel", "no recipe", "no mean", "whole numbers"],
)
def test_a_refiner_that_does_not_fit_its_header_is_refused(trained, tmp_path, spoilt, fault):
    path = tmp_path / "a.safetensors"
    shutil.copyfile(trained[0] / "model.safetensors", path)
    changed_file(path, **spoilt)
    with pytest.raises(ModelFileError, match=rf"a\.safetensors: is damaged or .*{fault}"):
        RefinerModel.load(path)


def test_a_refiner_whose_bytes_are_others_is_refused(trained, tmp_path):
    path = tmp_path / "a.safetensors"
    raw = bytearray((trained[0] / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelFileError, match="its content is not what was written, by its checksum"):
        RefinerModel.load(path)
