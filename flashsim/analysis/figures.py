"""Figures of an analysis: histograms of simulations with ratio panels, overlays of processes, errors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["Curve", "draw_errors", "draw_overlay", "draw_simulations", "save"]

COLOURS = ("#30404f", "#b4472e", "#5b8db8", "#8a9a5b", "#8d6aa9", "#c9962b")
LINES = ("-", "--", ":", "-.")
WIDTH, HEIGHT = 4.6, 4.4


@dataclass(frozen=True)
class Curve:
    """One histogram as it is drawn.

    Parameters
    ----------
    label
        In the legend.
    values, errors
        Shape (B,): contents and their statistical errors.
    ratio, ratio_errors
        Shape (B,): to the reference, with errors that know of shared gen events; none for the reference.
    """

    label: str
    values: NDArray[np.float64]
    errors: NDArray[np.float64]
    ratio: NDArray[np.float64] | None = None
    ratio_errors: NDArray[np.float64] | None = None


def draw_simulations(
    panels: Mapping[str, Sequence[Curve]],
    edges: NDArray[np.float64],
    *,
    axis: str,
    ylabel: str,
    counts: bool = True,
) -> Figure:
    """Draw one observable in all simulations, with their ratios to the first of them.

    Parameters
    ----------
    panels
        Curves of each panel by its title, the reference's first; panels stand side by side.
    edges
        Shape (B + 1,): edges of the bins.
    axis, ylabel
        What is binned, and what is counted.
    counts
        Whether the vertical axis starts at 0.
    """
    figure = Figure(figsize=(WIDTH * len(panels), HEIGHT), layout="constrained")
    grid = figure.subplots(2, len(panels), sharex=True, squeeze=False, height_ratios=[3, 1.2])
    for (main, below), (title, curves) in zip(grid.T, panels.items(), strict=True):
        for curve, colour in zip(curves, cycle(COLOURS), strict=False):
            style = {"color": colour, "label": curve.label, "ax": main, "flow": "none", "edges": counts}
            mplhep.histplot(curve.values, bins=edges, yerr=curve.errors, **style)
            if curve.ratio is not None:
                _points(below, edges, curve.ratio, curve.ratio_errors, colour)
        below.axhline(1.0, color=COLOURS[0], linewidth=0.8)
        below.set(xlabel=axis, ylim=_around_one(curves), xlim=(edges[0], edges[-1]))
        _finish(main, title, counts=counts)
    grid[0, 0].set_ylabel(ylabel)
    grid[1, 0].set_ylabel(f"ratio to\n{next(iter(panels.values()))[0].label}")
    return figure


def draw_overlay(
    processes: Mapping[str, Sequence[Curve]], edges: NDArray[np.float64], *, axis: str, title: str
) -> Figure:
    """Overlay processes in all simulations, each of unit area: colours are processes, lines simulations."""
    figure = Figure(figsize=(1.2 * WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    for (name, curves), colour in zip(processes.items(), cycle(COLOURS), strict=False):
        for curve, line in zip(curves, cycle(LINES), strict=False):
            if (area := curve.values.sum()) > 0:
                style = {
                    "color": colour,
                    "linestyle": line,
                    "label": f"{name}, {curve.label}",
                    "flow": "none",
                }
                mplhep.histplot(curve.values / area, bins=edges, yerr=False, ax=axes, **style)
    axes.set(xlabel=axis, ylabel="share of events", xlim=(edges[0], edges[-1]))
    _finish(axes, title, counts=True)
    return figure


def draw_errors(
    errors: Mapping[str, NDArray[np.float64]], edges: NDArray[np.float64], *, axis: str, title: str
) -> Figure:
    """Draw relative statistical errors, shape (B,) each, by their label; in percent."""
    figure = Figure(figsize=(WIDTH, 0.7 * HEIGHT), layout="constrained")
    axes = figure.subplots()
    for (label, values), colour in zip(errors.items(), cycle(COLOURS), strict=False):
        axes.stairs(100.0 * np.nan_to_num(values, posinf=0.0), edges, color=colour, label=label)
    axes.set(xlabel=axis, ylabel="relative error [%]", xlim=(edges[0], edges[-1]))
    _finish(axes, title, counts=True)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure, of the kind that the suffix says: the same file every time."""
    with mpl.rc_context({"svg.hashsalt": "flashsim"}):
        metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, metadata=metadata, dpi=130)


def _points(
    axes: Axes,
    edges: NDArray[np.float64],
    values: NDArray[np.float64],
    errors: NDArray[np.float64] | None,
    colour: str,
) -> None:
    centres = 0.5 * (edges[1:] + edges[:-1])
    there = np.isfinite(values)
    bars = None if errors is None else np.nan_to_num(errors[there])
    axes.errorbar(
        centres[there],
        values[there],
        yerr=bars,
        xerr=0.5 * np.diff(edges)[there],
        fmt="none",
        color=colour,
        linewidth=1.0,
    )


def _around_one(curves: Sequence[Curve]) -> tuple[float, float]:
    """Give limits that show the better known half of the ratios and their errors, from 0 to 2 at most."""
    far = [0.1]
    for curve in curves:
        if curve.ratio is not None and curve.ratio_errors is not None:
            there = np.isfinite(curve.ratio) & (curve.ratio_errors > 0)
            ratios, errors = curve.ratio[there], curve.ratio_errors[there]
            known = errors <= np.median(errors) if len(errors) else np.zeros(0, dtype=bool)
            far += (np.abs(ratios - 1.0) + errors)[known].tolist()
    half = min(1.0, 1.2 * max(far))
    return 1.0 - half, 1.0 + half


def _finish(axes: Axes, title: str, *, counts: bool) -> None:
    if counts:
        axes.set_ylim(bottom=0.0)
    # Room for the legend.
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.25 * (high - low))
    axes.set_title(title, fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=7, loc="upper right")
