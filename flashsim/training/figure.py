"""Figure of the losses of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from flashsim.execution.whole_files import disk_errors, unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flashsim.learning.fitting import FitResult

__all__ = ["draw_losses"]


def draw_losses(results: Mapping[str, FitResult], path: Path) -> Path:
    """Draw train and validation loss of each network against the epoch, and mark the epoch that was kept.

    The running train loss has dropout on and is averaged over an epoch, so it may lie above the validation
    loss.
    """
    figure = Figure(figsize=(4.2 * len(results), 3.4), layout="constrained")
    axes = figure.subplots(1, len(results), squeeze=False)[0]
    for axis, (name, result) in zip(axes, results.items(), strict=True):
        epoch = result.history["epoch"] + 1
        axis.plot(epoch, result.history["train"], label="train")
        axis.plot(epoch, result.history["validation"], label="validation")
        axis.axvline(result.best_epoch + 1, color="grey", linestyle=":", label="kept")
        axis.set(title=name.replace("_", " "), xlabel="epoch", ylabel="loss (nats a row)")
        axis.legend(frameon=False)
    with disk_errors(path), unfinished(path) as part:
        figure.savefig(part, dpi=150, format=path.suffix[1:])
    return path
