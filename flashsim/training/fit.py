"""Fitting one network to in-memory tensors, with Lightning.

The tensors live on the device; a batch is an index into them. Loading row by row is what left the
prototype's GPU idle half of the time.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch import Tensor, nn

from flashsim.training.recipe import Schedule

__all__ = ["FitResult", "Loss", "fit"]

Loss = Callable[[nn.Module, tuple[Tensor, ...], torch.Generator | None], Tensor]
"""(network, tensors of a batch, generator of noise) to the mean loss, a scalar."""

Report = Callable[[int, int, float], None]
"""Called after every epoch with (epoch, largest number of epochs, best validation loss so far)."""


@dataclass(frozen=True)
class FitResult:
    """What became of a fit; losses in nats a row.

    Parameters
    ----------
    train_loss, validation_loss
        Of the epoch that was kept, the first without dropout, too.
    best_epoch, epochs
        The epoch that was kept, and how many were run.
    history
        Columns ``epoch``, ``train``, ``validation``.
    """

    train_loss: float
    validation_loss: float
    best_epoch: int
    epochs: int
    history: pd.DataFrame


class _Batches:
    """Random batches of row numbers, anew every epoch."""

    def __init__(self, rows: int, batch: int, *, shuffle: bool) -> None:
        self.rows, self.batch, self.shuffle = rows, batch, shuffle

    def __len__(self) -> int:
        return max(1, self.rows // self.batch) if self.shuffle else -(-self.rows // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.randperm(self.rows) if self.shuffle else torch.arange(self.rows)
        for step in range(len(self)):
            yield order[step * self.batch : (step + 1) * self.batch]


class _Fitting(lightning.LightningModule):
    """A network, its data and its loss."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        train: tuple[Tensor, ...],
        validation: tuple[Tensor, ...],
        schedule: Schedule,
        steps: int,
    ) -> None:
        super().__init__()
        self.network, self.loss, self.schedule, self.steps = network, loss, schedule, steps
        self.sizes = (len(train), len(validation))
        for name, tensors in (("train", train), ("validation", validation)):
            for number, tensor in enumerate(tensors):
                # Buffers move to the device with the network; not persistent: checkpoints stay small.
                self.register_buffer(f"{name}_{number}", tensor, persistent=False)

    def rows(self, name: str, index: Tensor | slice) -> tuple[Tensor, ...]:
        count = self.sizes[name == "validation"]
        return tuple(self.get_buffer(f"{name}_{number}")[index] for number in range(count))

    def training_step(self, index: Tensor, _: int) -> Tensor:
        loss = self.loss(self.network, self.rows("train", index), None)
        self.log("train", loss, on_step=False, on_epoch=True, batch_size=len(index))
        return loss

    def validation_step(self, index: Tensor, batch: int) -> None:
        # The same noise every epoch: the best epoch is chosen by the network, not by luck.
        generator = torch.Generator(device=self.device).manual_seed(batch)
        loss = self.loss(self.network, self.rows("validation", index), generator)
        self.log("validation", loss, on_step=False, on_epoch=True, batch_size=len(index))

    def configure_optimizers(self) -> lightning.pytorch.utilities.types.OptimizerLRScheduler:
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.schedule.learning_rate, weight_decay=self.schedule.weight_decay
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.schedule.learning_rate, total_steps=self.steps + 1, pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


class _Log(Callback):
    """Writes the losses of every epoch to a CSV file, which a resumed fit goes on with."""

    def __init__(self, path: Path, report: Report | None, *, resume: bool) -> None:
        self.path, self.report = path, report
        if resume and path.is_file():
            self.history = pd.read_csv(path)
        else:
            self.history = pd.DataFrame({"epoch": [], "train": [], "validation": []})

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        losses = {name: float(trainer.callback_metrics[name]) for name in ("train", "validation")}
        earlier = self.history[self.history["epoch"] < trainer.current_epoch]
        row = pd.DataFrame([{"epoch": trainer.current_epoch, **losses}])
        self.history = pd.concat([earlier, row], ignore_index=True) if len(earlier) else row
        self.history.to_csv(self.path, index=False)
        if self.report is not None:
            best = float(self.history["validation"].min())
            self.report(trainer.current_epoch + 1, trainer.max_epochs or 0, best)


def fit(
    network: nn.Module,
    loss: Loss,
    train: tuple[Tensor, ...],
    validation: tuple[Tensor, ...],
    schedule: Schedule,
    folder: Path,
    *,
    seed: int,
    resume: bool = False,
    report: Report | None = None,
    accelerator: str = "auto",
) -> FitResult:
    """Train a network in place and leave it with the weights of its best epoch, in evaluation mode.

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
        Go on from the last checkpoint in the folder, if there is one.
    report
        Called after every epoch.
    accelerator
        Lightning's name of the device: ``auto``, ``cpu``, ``cuda``.
    """
    rows = len(train[0])
    batch = min(schedule.batch, max(1, rows // schedule.min_steps))
    batches = _Batches(rows, batch, shuffle=True)
    fitting = _Fitting(network, loss, train, validation, schedule, schedule.epochs * len(batches))
    best = ModelCheckpoint(
        folder, filename="best", monitor="validation", save_last=True, enable_version_counter=False
    )
    last = folder / "last.ckpt"
    folder.mkdir(parents=True, exist_ok=True)
    log = _Log(folder / "losses.csv", report, resume=resume and last.is_file())
    with torch.random.fork_rng(), _quiet_lightning():
        torch.manual_seed(seed)
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=1,
            max_epochs=schedule.epochs,
            callbacks=[best, EarlyStopping("validation", patience=schedule.patience), log],
            logger=False,
            gradient_clip_val=schedule.gradient_clip,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=len(batches),
            num_sanity_val_steps=0,
        )
        trainer.fit(
            fitting,
            train_dataloaders=batches,
            val_dataloaders=_Batches(len(validation[0]), 8192, shuffle=False),
            ckpt_path=last if resume and last.is_file() else None,
        )
    checkpoint = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    fitting.load_state_dict(checkpoint["state_dict"])
    network.to("cpu").eval()
    history = log.history
    best_row = history.loc[history["validation"].idxmin()]
    return FitResult(
        train_loss=_mean_loss(fitting.cpu(), "train"),
        validation_loss=float(best_row["validation"]),
        best_epoch=int(best_row["epoch"]),
        epochs=int(history["epoch"].max()) + 1,
        history=history,
    )


@torch.no_grad()
def _mean_loss(fitting: _Fitting, name: str) -> float:
    """Loss of the kept network over a whole table, without dropout."""
    fitting.eval()
    total, rows = 0.0, 0
    count = len(fitting.rows(name, slice(None))[0])
    for number, index in enumerate(_Batches(count, 8192, shuffle=False)):
        generator = torch.Generator().manual_seed(number)
        total += float(fitting.loss(fitting.network, fitting.rows(name, index), generator)) * len(index)
        rows += len(index)
    return total / rows


class _quiet_lightning(warnings.catch_warnings):  # noqa: N801  # used like a function
    """Lightning advises on hardware, workers and folders; none of it applies to in-memory tensors."""

    def __init__(self) -> None:
        super().__init__()
        self._log = logging.getLogger("lightning.pytorch")

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        self._level = self._log.level
        self._log.setLevel(logging.ERROR)

    def __exit__(self, *error: object) -> None:
        self._log.setLevel(self._level)
        super().__exit__(*error)  # type: ignore[arg-type]
