"""Fitting one network to in-memory tensors, with Lightning: the loop of every stage that trains.

The tensors live on the device; a batch is an index into them. Loading row by row is what left the
prototype's GPU idle half of the time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn

from flashsim.errors import RecipeError
from flashsim.execution.whole_files import disk_errors, write_whole
from flashsim.learning.checkpoints import Checkpoints, WholeCheckpoints

if TYPE_CHECKING:
    from pathlib import Path

    from flashsim.declarations.schedule import Schedule

__all__ = ["FitResult", "Loss", "Objective", "fit"]


class Objective(nn.Module):
    """A loss of several parts, with a state of its own that checkpoints hold.

    Called like a `Loss`, it gives named scalars: ``loss``, which is minimised in training, and by whose value
    on validation rows the best epoch is chosen; the others are logged beside it.
    """

    def begin_epoch(self, epoch: int) -> None:
        """Take notice of a new epoch, from 0."""

    def after_backward(self) -> None:
        """Take notice of new gradients, before the network's step."""


Loss = Callable[[nn.Module, tuple[Tensor, ...], torch.Generator | None], Tensor] | Objective
"""(network, tensors of a batch, generator of noise) to the mean loss, a scalar, or an `Objective`."""

_Data = dict[str, tuple[Tensor, ...]]

Report = Callable[[int, int, float], None]
"""Called after every epoch with (epoch, largest number of epochs, best validation loss so far)."""

Record = Callable[[int, int, Mapping[str, float]], None]
"""Called after every epoch with (epoch, largest number of epochs, losses named as in `FitResult.history`)."""


_EVALUATED_ROWS = 8192


@dataclass(frozen=True)
class FitResult:
    """What became of a fit; losses are means over rows, in nats where they are likelihoods.

    Parameters
    ----------
    train_loss, validation_loss
        Of the epoch that was kept, the first without dropout, too.
    best_epoch, epochs
        The epoch that was kept, and how many were run.
    history
        Columns ``epoch``, ``train``, ``validation``, and for every further part of an `Objective`
        ``train_PART`` and ``validation_PART``.
    """

    train_loss: float
    validation_loss: float
    best_epoch: int
    epochs: int
    history: pd.DataFrame


class _Batches:
    """Batches of row numbers; with a seed in random order, which depends on seed and epoch only."""

    def __init__(self, rows: int, batch: int, *, seed: int | None = None) -> None:
        self.rows, self.batch, self.seed, self.epoch = rows, batch, seed, 0
        # Lightning tells the epoch to the sampler of a loader, also after a resumption.
        self.sampler, self.batch_sampler = self, None

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.rows // self.batch) if self.seed is None else max(1, self.rows // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.arange(self.rows)
        if self.seed is not None:
            order = torch.randperm(self.rows, generator=_generator(self.seed, self.epoch))
        for step in range(len(self)):
            yield order[step * self.batch : (step + 1) * self.batch]


def _generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(_seed_of(seed, number))


def _seed_of(seed: int, number: int) -> int:
    """Mix two numbers: torch's generator keeps 32 bits of a seed."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {number}".encode(), digest_size=4).digest(), "little")


class _Fitting(lightning.LightningModule):
    """A network, its data and its loss."""

    def __init__(self, network: nn.Module, loss: Loss, data: _Data, schedule: Schedule, seed: int) -> None:
        super().__init__()
        self.network, self.loss, self.schedule, self.seed = network, loss, schedule, seed
        self.parts: set[str] = set()
        self.sizes = {name: len(tensors) for name, tensors in data.items()}
        for name, tensors in data.items():
            for number, tensor in enumerate(tensors):
                # Buffers move to the device with the network; not persistent: checkpoints stay small.
                self.register_buffer(f"{name}_{number}", tensor, persistent=False)

    def rows(self, name: str, index: Tensor | slice) -> tuple[Tensor, ...]:
        return tuple(self.get_buffer(f"{name}_{number}")[index] for number in range(self.sizes[name]))

    def training_step(self, index: Tensor, _: int) -> Tensor:
        # Dropout and dequantisation belong to the step, so that a resumed fit goes on as if never stopped.
        torch.manual_seed(_seed_of(self.seed, self.global_step))
        parts = _parts(self.loss(self.network, self.rows("train", index), None))
        self.note("train", parts, len(index))
        return parts["loss"]

    def validation_step(self, index: Tensor, batch: int) -> None:
        # The same noise every epoch: the best epoch is chosen by the network, not by luck.
        generator = torch.Generator(device=self.device).manual_seed(batch)
        parts = _parts(self.loss(self.network, self.rows("validation", index), generator))
        self.note("validation", parts, len(index))

    def note(self, split: str, parts: Mapping[str, Tensor], rows: int) -> None:
        for name, value in parts.items():
            column = split if name == "loss" else f"{split}_{name}"
            self.parts.add(column)
            self.log(column, value, on_step=False, on_epoch=True, batch_size=rows)

    def on_train_epoch_start(self) -> None:
        self.parts.clear()
        if isinstance(self.loss, Objective):
            self.loss.begin_epoch(self.current_epoch)

    def on_before_optimizer_step(self, _: torch.optim.Optimizer) -> None:
        if isinstance(self.loss, Objective):
            self.loss.after_backward()

    def configure_optimizers(self) -> lightning.pytorch.utilities.types.OptimizerLRScheduler:
        # A cycle needs a step to rise and one to fall, however short the training.
        schedule, steps = self.schedule, max(4, int(self.trainer.estimated_stepping_batches))
        # Fused: one pass over the weights instead of a dozen, each of which waits for all threads.
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=schedule.learning_rate,
            total_steps=steps + 1,
            pct_start=max(0.2, 2.0 / (steps + 1)),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def _parts(loss: Tensor | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return {"loss": loss} if isinstance(loss, Tensor) else loss


class _Log(Callback):
    """Writes the losses of every epoch to a CSV file, which a resumed fit goes on with."""

    def __init__(
        self, path: Path, report: Report | None, record: Record | None, history: pd.DataFrame | None
    ) -> None:
        self.path, self.report, self.record = path, report, record
        self.history = (
            pd.DataFrame({"epoch": [], "train": [], "validation": []}) if history is None else history
        )

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        metrics = trainer.callback_metrics
        # Lightning keeps the values of earlier epochs of what is not noted any more.
        parts = module.parts - {"train", "validation"} if isinstance(module, _Fitting) else set()
        losses = {name: float(metrics[name]) for name in ("train", "validation", *sorted(parts))}
        earlier = self.history[self.history["epoch"] < trainer.current_epoch]
        row = pd.DataFrame([{"epoch": trainer.current_epoch, **losses}])
        self.history = pd.concat([earlier, row], ignore_index=True) if len(earlier) else row
        write_whole(self.path, self.history.to_csv(index=False))
        if self.record is not None:
            self.record(trainer.current_epoch + 1, trainer.max_epochs or 0, losses)
        if self.report is not None:
            best = float(self.history["validation"].min())
            self.report(trainer.current_epoch + 1, trainer.max_epochs or 0, best)

    def is_over(self, schedule: Schedule) -> bool:
        """Whether the fit has come to its end: all epochs, or no improvement for long."""
        epochs = len(self.history)
        if epochs == 0:
            return False
        since_best = epochs - 1 - int(self.history["validation"].to_numpy().argmin())
        return epochs >= schedule.epochs or since_best >= schedule.patience


def fit(
    network: nn.Module,
    loss: Loss,
    train: tuple[Tensor, ...],
    validation: tuple[Tensor, ...],
    schedule: Schedule,
    *,
    folder: Path,
    seed: int,
    resume: bool = False,
    report: Report | None = None,
    record: Record | None = None,
    accelerator: str = "auto",
    evaluated_rows: int = _EVALUATED_ROWS,
) -> FitResult:
    """Train a network in place and leave it with the weights of its best epoch, in evaluation mode.

    A fit that was interrupted and resumed gives the weights of one that was not; what the network, tables
    and schedule are is not checked.

    Parameters
    ----------
    network
        What is trained.
    loss
        Mean loss of a batch.
    train, validation
        Tensors with one row an example each.
    schedule
        Optimisation.
    folder
        Checkpoints and the CSV log of the losses.
    seed
        Fixes batches and noise.
    resume
        Go on from the last checkpoint in the folder, if there is one; otherwise they are removed.
    report, record
        Called after every epoch.
    accelerator
        ``cpu``, ``cuda``, ``cuda:1``, or what Lightning calls a device, such as ``auto``.
    evaluated_rows
        Rows of a batch in validation.

    Raises
    ------
    RecipeError
        If the loss is not finite.
    ModelFileError
        If what it shall go on from is damaged.
    OutputFileError
        If checkpoints or losses cannot be written, as on a full disk; earlier ones stay.
    """
    kept = Checkpoints(folder)
    if not (resume and kept.are_there):
        kept.clear()
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    fitting = _Fitting(network, loss, {"train": train, "validation": validation}, schedule, seed)
    checkpoint, _, losses = kept.newest(fitting.state_dict()) if kept.are_there else (None, 0, None)
    log = _Log(kept.losses, report, record, losses)
    if not log.is_over(schedule):
        _run(
            fitting,
            folder,
            log,
            checkpoint,
            accelerator=accelerator,
            evaluated_rows=evaluated_rows,
        )
    history = log.history
    if not np.isfinite(history["validation"].to_numpy(np.float64)).all():
        msg = f"{folder}: the loss is not finite in epoch {len(history)}; train with a lower learning_rate"
        raise RecipeError(msg)
    fitting.cpu()
    fitting.load_state_dict(kept.read(kept.best, fitting.state_dict())["state_dict"])
    network.eval()
    best_epoch = int(history["validation"].to_numpy().argmin())
    return FitResult(
        train_loss=_mean_loss(fitting, "train", evaluated_rows),
        validation_loss=float(history["validation"].to_numpy()[best_epoch]),
        best_epoch=best_epoch,
        epochs=len(history),
        history=history,
    )


class _Kept(ModelCheckpoint):
    """Keeps a checkpoint, and knows it again where the folder of the training has been moved.

    Lightning forgets which loss was the smallest if the folder has another path, and keeps a worse network.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of a checkpoint, with all paths in the present folder."""

        def here(path: str) -> str:
            return os.path.join(str(self.dirpath), os.path.basename(path)) if path else ""  # noqa: PTH118, PTH119

        moved = {
            "dirpath": self.dirpath,
            "best_k_models": {here(path): loss for path, loss in state_dict["best_k_models"].items()},
            **{
                key: here(state_dict[key])
                for key in ("best_model_path", "kth_best_model_path", "last_model_path")
            },
        }
        super().load_state_dict(state_dict | moved)


def _run(
    fitting: _Fitting,
    folder: Path,
    log: _Log,
    checkpoint: Path | None,
    *,
    accelerator: str,
    evaluated_rows: int,
) -> None:
    schedule = fitting.schedule
    rows, held_out = (len(fitting.rows(name, slice(None))[0]) for name in ("train", "validation"))
    batches = _Batches(rows, min(schedule.batch, max(1, rows // schedule.min_steps)), seed=fitting.seed)
    best, last = (
        _Kept(
            folder,
            filename=name,
            monitor=monitor,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        for name, monitor in (("best", "validation"), ("last", None))
    )
    kind, _, number = accelerator.partition(":")
    with torch.random.fork_rng(), _quiet_lightning():
        trainer = lightning.Trainer(
            accelerator=kind,
            devices=[int(number)] if number else 1,
            max_epochs=schedule.epochs,
            plugins=[WholeCheckpoints()],
            callbacks=[log, EarlyStopping("validation", patience=schedule.patience), best, last],
            logger=False,
            gradient_clip_val=schedule.gradient_clip,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=len(batches),
            num_sanity_val_steps=0,
        )
        try:
            trainer.fit(
                fitting,
                train_dataloaders=batches,
                val_dataloaders=_Batches(held_out, evaluated_rows),
                ckpt_path=checkpoint,
            )
        except SystemExit as ended:
            # Lightning ends the whole process at an interrupt: its caller decides that.
            if isinstance(ended.__context__, KeyboardInterrupt):
                raise ended.__context__ from None
            raise


@torch.no_grad()
def _mean_loss(fitting: _Fitting, name: str, batch: int) -> float:
    """Loss of the kept network over a whole table, without dropout."""
    fitting.eval()
    rows = len(fitting.rows(name, slice(None))[0])
    total = 0.0
    for number, index in enumerate(_Batches(rows, batch)):
        generator = torch.Generator().manual_seed(number)
        parts = _parts(fitting.loss(fitting.network, fitting.rows(name, index), generator))
        total += float(parts["loss"]) * len(index)
    return total / rows


@contextlib.contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning advises on hardware, workers and folders; none of it applies to in-memory tensors."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
