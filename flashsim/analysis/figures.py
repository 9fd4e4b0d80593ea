"""Figures of an analysis: histograms of simulations with ratio panels, overlays of processes, variations."""

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

__all__ = ["Curve", "draw_overlay", "draw_simulations", "draw_variations"]

COLOURS = ("#30404f", "#b4472e", "#5b8db8", "#8a9a5b", "#8d6aa9", "#c9962b")
LINES = ("-", "--", ":", "-.")
SIZE = (5.6, 4.8)


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
    curves: Sequence[Curve], edges: NDArray[np.float64], path: Path, *, axis: str, title: str, ylabel: str
) -> None:
    """Draw one observable of one process in all simulations, with their ratios to the first of them."""
    figure = Figure(figsize=SIZE, layout="constrained")
    main, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    for curve, colour in zip(curves, cycle(COLOURS), strict=False):
        style = {"color": colour, "label": curve.label, "ax": main, "flow": "none"}
        mplhep.histplot(curve.values, bins=edges, yerr=curve.errors, **style)
        if curve.ratio is not None:
            _points(below, edges, curve.ratio, curve.ratio_errors, colour)
    below.axhline(1.0, color=COLOURS[0], linewidth=0.8)
    below.set(xlabel=axis, ylabel=f"ratio to\n{curves[0].label}", ylim=_around_one(curves))
    _finish(main, title, ylabel)
    _save(figure, path)


def draw_overlay(
    processes: Mapping[str, Sequence[Curve]], edges: NDArray[np.float64], path: Path, *, axis: str, title: str
) -> None:
    """Overlay processes in all simulations, each of unit area: colours are processes, lines simulations."""
    figure = Figure(figsize=SIZE, layout="constrained")
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
    axes.set_xlabel(axis)
    _finish(axes, title, "share of events")
    _save(figure, path)


def draw_variations(
    ratios: Mapping[str, Mapping[str, NDArray[np.float64]]],
    edges: NDArray[np.float64],
    path: Path,
    *,
    axis: str,
    title: str,
) -> None:
    """Draw the ratio of each theory variation to the nominal, by variation and simulation.

    Where the ratios of two simulations agree, one predicts the other's variation from its nominal.
    """
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for (variation, simulations), colour in zip(ratios.items(), cycle(COLOURS), strict=False):
        for (label, values), line in zip(simulations.items(), cycle(LINES), strict=False):
            style = {"color": colour, "linestyle": line, "label": f"{variation}, {label}", "flow": "none"}
            mplhep.histplot(
                np.nan_to_num(values, nan=1.0), bins=edges, yerr=False, edges=False, ax=axes, **style
            )
    axes.set_xlabel(axis)
    _finish(axes, title, "variation / nominal")
    axes.set_ylim(auto=True)
    _save(figure, path)


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


def _finish(axes: Axes, title: str, ylabel: str) -> None:
    axes.set_ylabel(ylabel)
    axes.set_ylim(bottom=0.0)
    axes.margins(y=0.25)
    axes.set_title(title, fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=7, loc="upper right")


def _save(figure: Figure, path: Path) -> None:
    with mpl.rc_context({"svg.hashsalt": "flashsim"}):  # the same file every time
        metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, metadata=metadata, dpi=130)
