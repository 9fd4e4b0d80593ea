from __future__ import annotations

import errno
import io
import signal
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import torch

from flashsim.declarations.schedule import Schedule
from flashsim.errors import ModelFileError, OutputFileError, RecipeError
from flashsim.learning.fitting import Objective, fit
from flashsim.learning.perceptron_module import PerceptronModule

ROWS = 300
SCHEDULE = Schedule(epochs=5, batch=50, min_steps=1, patience=50, learning_rate=5e-3)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Networks this small only lose time to threads that wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class InterruptedFitError(Exception):
    """Stands for the user's, a power cut's or a batch system's."""


def data(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 3, generator=generator)
    return x, (x[:, 0] + 0.5 * torch.randn(rows, generator=generator) > 0).float()


TRAIN, VALIDATION = data(ROWS, 1), data(100, 2)


def network():
    torch.manual_seed(0)
    return PerceptronModule(3, 1, width=8, depth=1, dropout=0.2)


def loss(net, rows, generator):
    x, label = rows
    noisy = x + 0.1 * torch.randn(x.shape, generator=generator)
    return torch.nn.functional.binary_cross_entropy_with_logits(net(noisy)[:, 0], label)


def run(folder, schedule=SCHEDULE, loss=loss, stop_after=None, **options):
    seen = []

    def report(epoch, most, best):
        seen.append((epoch, most, best))
        if epoch == stop_after:
            raise InterruptedFitError

    net = network()
    options = {"seed": 3, "accelerator": "cpu"} | options
    result = fit(net, loss, TRAIN, VALIDATION, schedule, folder=folder, report=report, **options)
    return net, result, seen


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder and outcome of a fit without interruption."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *run(folder)


def test_the_loss_falls_and_the_best_epoch_is_kept(whole):
    folder, net, result, seen = whole
    history = result.history
    assert history["epoch"].tolist() == list(range(5))
    assert result.epochs == 5
    assert result.validation_loss == history["validation"].min() < history["validation"][0]
    assert result.best_epoch == history["validation"].idxmin()
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3, 4, 5]
    assert seen[-1][2] == result.validation_loss
    assert not net.training
    pd.testing.assert_frame_equal(pd.read_csv(folder / "losses.csv"), history)


def test_the_train_loss_is_that_of_the_kept_network(whole):
    _, net, result, _ = whole
    with torch.no_grad():
        expected = float(loss(net, TRAIN, torch.Generator().manual_seed(0)))
    assert result.train_loss == pytest.approx(expected, rel=1e-5)


def test_the_kept_network_has_the_best_loss(tmp_path):
    def worse_from_epoch_2(net, rows, generator):
        if net.training:
            worse_from_epoch_2.steps += 1
        sign = -1.0 if worse_from_epoch_2.steps > 2 * ROWS // SCHEDULE.batch else 1.0
        return sign * loss(net, rows, generator) if net.training else loss(net, rows, generator)

    worse_from_epoch_2.steps = 0
    schedule = SCHEDULE.model_copy(update={"learning_rate": 5e-2})
    net, result, _ = run(tmp_path, loss=worse_from_epoch_2, schedule=schedule)
    assert result.best_epoch < 3
    with torch.no_grad():
        kept = float(loss(net, VALIDATION, torch.Generator().manual_seed(0)))
    assert kept == pytest.approx(result.validation_loss, rel=1e-5)


def test_a_seed_fixes_the_outcome(whole, tmp_path):
    _, net, result, _ = whole
    again, repeated, _ = run(tmp_path / "a")
    other, _, _ = run(tmp_path / "b", seed=4)
    assert same(net, again)
    assert result.history.equals(repeated.history)
    assert not same(net, other)


def test_the_global_random_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    net = network()
    torch.manual_seed(5)
    fit(net, loss, TRAIN, VALIDATION, SCHEDULE, folder=tmp_path, seed=3, accelerator="cpu")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_a_resumed_fit_ends_as_if_never_stopped(whole, tmp_path, epoch):
    _, net, result, _ = whole
    with pytest.raises(InterruptedFitError):
        run(tmp_path, stop_after=epoch)
    resumed, again, seen = run(tmp_path, resume=True)
    assert same(net, resumed)
    pd.testing.assert_frame_equal(again.history, result.history, check_dtype=False)
    assert (again.train_loss, again.best_epoch) == (result.train_loss, result.best_epoch)
    assert seen[-1][0] == 5


def test_a_fit_whose_folder_was_moved_knows_its_best_epoch(tmp_path):
    """The first epoch is the best: none that comes after the move may take its place."""
    schedule = Schedule(epochs=5, batch=50, patience=9, learning_rate=1e-2)

    def rising(epochs):
        def loss_of(net, rows, generator):
            epochs[0] += not net.training
            return loss(net, rows, generator) + (0.0 if net.training else 1.0 * epochs[0])

        return loss_of

    net, result, _ = run(tmp_path / "whole", schedule=schedule, loss=rising([0]))
    epochs = [0]
    with pytest.raises(InterruptedFitError):
        run(tmp_path / "cut", schedule=schedule, loss=rising(epochs), stop_after=2)
    (tmp_path / "cut").rename(tmp_path / "moved")
    resumed, again, _ = run(tmp_path / "moved", schedule=schedule, loss=rising(epochs), resume=True)
    assert same(net, resumed)
    assert again.best_epoch == result.best_epoch == 0


def test_a_fit_that_is_over_does_not_go_on(whole):
    folder, net, result, _ = whole
    again, repeated, seen = run(folder, resume=True)
    assert seen == []
    assert same(net, again)
    assert repeated.train_loss == result.train_loss


def test_without_resume_a_fit_starts_anew(tmp_path, whole):
    with pytest.raises(InterruptedFitError):
        run(tmp_path, stop_after=2, seed=8)
    again, result, seen = run(tmp_path)
    assert same(whole[1], again)
    assert (result.epochs, seen[0][0]) == (5, 1)


def test_stops_early_without_improvement(tmp_path):
    schedule = Schedule(epochs=30, batch=50, patience=2, learning_rate=1e-12)

    def rising(net, rows, generator):
        rising.epoch += not net.training
        return loss(net, rows, generator) + (0.0 if net.training else 1.0 * rising.epoch)

    rising.epoch = 0
    _, result, _ = run(tmp_path, schedule=schedule, loss=rising)
    assert (result.epochs, result.best_epoch) == (3, 0)
    _, _, seen = run(tmp_path, schedule=schedule, resume=True)
    assert seen == []


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    def broken(net, rows, generator):
        return loss(net, rows, generator) * float("nan")

    with pytest.raises(RecipeError, match="not finite in epoch 1; train with a lower learning_rate"):
        run(tmp_path, loss=broken)


def test_small_tables_get_small_batches(tmp_path):
    steps = []

    def counting(net, rows, generator):
        if net.training:
            steps.append(len(rows[1]))
        return loss(net, rows, generator)

    run(tmp_path, schedule=Schedule(epochs=1, batch=1024, min_steps=10), loss=counting)
    assert steps == [30] * 10


def test_an_epoch_sees_every_row_once_in_another_order(tmp_path):
    seen = []
    labels = torch.arange(ROWS).float()

    def recording(net, rows, generator):
        if net.training:
            seen.extend(rows[1].tolist())
        return (net(rows[0])[:, 0] - rows[1] * 0.0).square().mean()

    net = network()
    schedule = Schedule(epochs=2, batch=50, min_steps=1)
    data = (TRAIN[0], labels)
    fit(net, recording, data, VALIDATION, schedule, folder=tmp_path, seed=3, accelerator="cpu")
    first, second = seen[:ROWS], seen[ROWS:]
    assert sorted(first) == sorted(second) == labels.tolist()
    assert first != second != labels.tolist()


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 6])
def test_the_learning_rate_cycles_however_short_the_training(tmp_path, steps):
    schedule = SCHEDULE.model_copy(update={"epochs": steps, "batch": ROWS})
    _, result, _ = run(tmp_path, schedule)
    assert result.epochs == steps


class Held(Objective):
    """The loss, a second part, and a parameter that counts steps and epochs: a state that must be resumed."""

    def __init__(self):
        super().__init__()
        self.steps = torch.nn.Parameter(torch.zeros(()))
        self.epochs = []

    def begin_epoch(self, epoch):
        self.epochs.append(epoch)

    def after_backward(self):
        with torch.no_grad():
            self.steps.add_(self.steps.grad)
        self.steps.grad = None

    def forward(self, net, rows, generator):
        value = loss(net, rows, generator)
        return {
            "loss": value * (1.0 + 1e-3 * self.steps.detach()) + self.steps - self.steps.detach(),
            "plain": value,
        }


def test_parts_of_an_objective_are_logged(tmp_path):
    objective = Held()
    _, result, _ = run(tmp_path, loss=objective)
    assert objective.epochs == [0, 1, 2, 3, 4]
    assert list(result.history) == ["epoch", "train", "validation", "train_plain", "validation_plain"]
    assert (result.history["train"] > result.history["train_plain"]).all()


def test_an_objective_is_resumed_with_its_state(tmp_path):
    net, result, _ = run(tmp_path / "whole", loss=Held())
    with pytest.raises(InterruptedFitError):
        run(tmp_path / "cut", loss=Held(), stop_after=2)
    objective = Held()
    resumed, again, _ = run(tmp_path / "cut", loss=objective, resume=True)
    assert same(net, resumed)
    # The interruption came between the losses of epoch 1 and its checkpoint.
    assert objective.epochs == [1, 2, 3, 4]
    pd.testing.assert_frame_equal(again.history, result.history, check_dtype=False)
    assert float(objective.steps.detach()) == (result.best_epoch + 1) * ROWS / SCHEDULE.batch


CUTS = {
    "half": lambda raw: raw[: len(raw) // 2],
    "empty": lambda raw: b"",
    "junk": lambda raw: b"\x80" * 5000,
}


def flipped(raw):
    """One byte of a tensor is another; the file is as long as before."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        largest = max((i for i in archive.infolist() if "/data/" in i.filename), key=lambda i: i.file_size)
        place = raw.index(archive.read(largest)) + 5
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


@pytest.mark.parametrize("cut", [*CUTS.values(), flipped], ids=[*CUTS, "flipped"])
def test_where_the_last_checkpoint_is_damaged_the_best_is_gone_on_from(whole, tmp_path, caplog, cut):
    with pytest.raises(InterruptedFitError):
        run(tmp_path, stop_after=4)
    (tmp_path / "last.ckpt").write_bytes(cut((tmp_path / "last.ckpt").read_bytes()))
    net, result, seen = run(tmp_path, resume=True)
    assert same(net, whole[1])
    assert result.history.equals(whole[2].history)
    assert seen[0][0] < 5
    assert "last.ckpt: is damaged (" in caplog.text
    assert "going on from best.ckpt, after epoch" in caplog.text


@pytest.mark.parametrize("cut", [*CUTS.values(), flipped], ids=[*CUTS, "flipped"])
@pytest.mark.parametrize("name", ["best.ckpt", "losses.csv"])
def test_what_a_fit_cannot_end_without_is_named(whole, tmp_path, name, cut):
    if name == "losses.csv" and cut is flipped:
        pytest.skip("a number is another one: no checkpoint is damaged")
    with pytest.raises(InterruptedFitError):
        run(tmp_path, stop_after=3)
    damaged = cut((tmp_path / name).read_bytes())
    (tmp_path / name).write_bytes(damaged)
    sentence = rf"{name}: is damaged \(.+\); remove this file to train its network again, and .* --resume$"
    with pytest.raises(ModelFileError, match=sentence) as refused:
        run(tmp_path, resume=True)
    assert "\n" not in str(refused.value)
    assert (tmp_path / name).read_bytes() == damaged
    (tmp_path / name).unlink()
    assert same(run(tmp_path, resume=True)[0], whole[1])


def test_a_checkpoint_of_another_network_is_named(tmp_path):
    with pytest.raises(InterruptedFitError):
        run(tmp_path, stop_after=2)
    wide = PerceptronModule(3, 1, width=9, depth=1, dropout=0.2)
    options = {"folder": tmp_path, "seed": 3, "accelerator": "cpu", "resume": True}
    with pytest.raises(ModelFileError, match=r"best\.ckpt: is damaged \(its network is of another arch"):
        fit(wide, loss, TRAIN, VALIDATION, SCHEDULE, **options)


@pytest.mark.parametrize("spoilt", ["best", "last", "losses"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(whole, tmp_path, monkeypatch, spoilt):
    write_bytes = Path.write_bytes

    def full(path, data):
        if path.name.startswith(f".{spoilt}.") and full.epochs == 2:
            write_bytes(path, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        full.epochs += path.name.startswith(f".{spoilt}.")
        return write_bytes(path, data)

    full.epochs = 0
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputFileError, match=r"cannot be written \(No space left on device\)$"):
        run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"best.ckpt", "last.ckpt", "losses.csv"}
    monkeypatch.undo()
    assert same(run(tmp_path, resume=True)[0], whole[1])


def test_an_interrupt_is_its_callers(tmp_path):
    def report(epoch, most, best):
        raise KeyboardInterrupt

    # Shells start what runs in the background with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        fit(
            network(),
            loss,
            TRAIN,
            VALIDATION,
            SCHEDULE,
            folder=tmp_path,
            seed=3,
            accelerator="cpu",
            report=report,
        )
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
