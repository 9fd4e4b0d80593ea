"""Figures of a result as SVG, to stand in one HTML page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["FIGURES", "svg"]

_STYLE = {
    "full": {"color": "black", "label": "full"},
    "full_1": {"color": "0.6", "label": "full, second draw"},
    "flash": {"color": "#bd1f01", "label": "flash"},
    "fast": {"color": "#3f90da", "label": "fast"},
}
_OUTSIDE: Any = {"svg.fonttype": "none", "svg.hashsalt": "fidelity", "font.size": 9, "axes.titlesize": 9}


def svg(draw: Callable[[dict[str, Any]], Figure], measured: dict[str, Any], name: str) -> str:
    """Draw a figure of everything measured of one object, as an SVG element.

    Several figures stand in one page: `name`, that of the object, keeps the ids inside of them apart.
    """
    buffer = io.StringIO()
    with mpl.rc_context(_OUTSIDE):
        draw(measured).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    prefix = f"{name}_{draw.__name__}_"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'(url\(#|href="#)', rf"\1{prefix}", text)
    return text[text.index("<svg") :]


def _figure(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> tuple[Figure, np.ndarray[Any, Any]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = np.atleast_2d(figure.subplots(rows, columns, squeeze=False))
    for axis in axes.flat:
        axis.tick_params(direction="in", top=True, right=True)
    return figure, axes


def _shown(measured: dict[str, Any], *, reference: bool = False) -> list[str]:
    return [n for n in _STYLE if n in measured["reconstructed"] and (reference or n != "full")]


def draw_distances(measured: dict[str, Any]) -> Figure:
    """Wasserstein distances over the floor, target by target."""
    table = measured["distances"]
    figure, axes = _figure(6.4, 0.8 + 0.2 * len(table))
    axis, place = axes[0, 0], np.arange(len(table))[::-1]
    for name in _shown(measured):
        ratio, error = ([row[name][key] for row in table] for key in ("ratio", "ratio_error"))
        axis.errorbar(ratio, place, xerr=error, fmt="o", markersize=3.5, linewidth=0.9, **_STYLE[name])
    axis.axvspan(0.0, 2.0, color="0.93", zorder=0)
    axis.axvline(1.0, color="0.4", linewidth=0.8)
    axis.set(yticks=place, yticklabels=[row["target"] for row in table], xscale="log")
    axis.set_xlabel("Wasserstein-1 distance from full / floor")
    axis.set_xlim(left=0.3)
    axis.legend(frameon=False, loc="lower right")
    return figure


def draw_importance(measured: dict[str, Any]) -> Figure:
    """AUCs, and what gives the generated objects away."""
    tests = measured["classifier"]
    importance = sorted(tests["flash"]["importance"].items(), key=lambda item: item[1])[-12:]
    figure, axes = _figure(6.4, 2.8, 1, 2)
    left, right = axes[0]
    names = _shown(measured)
    for number, name in enumerate(names):
        left.errorbar(
            tests[name]["auc"], number, xerr=tests[name]["error"], fmt="o", color=_STYLE[name]["color"]
        )
    left.axvline(0.5, color="0.4", linewidth=0.8)
    left.set(
        yticks=range(len(names)), yticklabels=[_STYLE[n]["label"] for n in names], xlabel="AUC against full"
    )
    left.set_ylim(-0.5, len(names) - 0.5)
    right.barh([n for n, _ in importance], [v for _, v in importance], color=_STYLE["flash"]["color"])
    right.set_xlabel("AUC lost when shuffled (flash)")
    return figure


def draw_response(measured: dict[str, Any]) -> Figure:
    """Median and width of the response in bins of gen pT and eta, and by category."""
    figure, axes = _figure(9.6, 4.6, 2, 3)
    rows = measured["response"]
    parts = ("pt", "|eta|", None)
    for column, part in enumerate(parts):
        chosen = [r for r in rows if (r["column"] == part if part else r["high"] is None)]
        for name in _shown(measured, reference=True):
            shift = 0.08 * (list(_STYLE).index(name) - 1.5)
            place = np.arange(len(chosen)) + shift
            for row, key in enumerate(("median", "width")):
                y, error = ([r[name][k] for r in chosen] for k in (key, f"{key}_error"))
                axes[row, column].errorbar(
                    place, y, yerr=error, fmt="o", markersize=3, linewidth=0.9, **_STYLE[name]
                )
        labels = [_bin(r) if part else r["column"].replace("Flavour", "") for r in chosen]
        for axis in axes[:, column]:
            axis.set_xticks(range(len(chosen)), labels, rotation=60)
        axes[0, column].set_title({"pt": "gen pT [GeV]", "|eta|": "|gen eta|", None: "category"}[part])
    axes[0, 0].set_ylabel("median pT / gen pT")
    axes[1, 0].set_ylabel("half 68 % width")
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


def _bin(row: dict[str, Any]) -> str:
    """Label of a bin; the last one of pT ends far above all objects."""
    return f"> {row['low']:g}" if row["high"] > 1000 else f"{row['low']:g}-{row['high']:g}"


def draw_tagging(measured: dict[str, Any]) -> Figure:
    """ROC curves, one panel a background."""
    tagging = measured["tagging"]
    backgrounds = [n for n, rows in tagging.items() if isinstance(rows, dict) and rows]
    figure, axes = _figure(6.4, 3.0, 1, len(backgrounds))
    for axis, background in zip(axes[0], backgrounds, strict=True):
        for name, row in tagging[background].items():
            axis.plot(row["curve"], tagging["curve_mistags"], linewidth=1.1, **_STYLE[name])
        axis.set(yscale="log", xlabel="signal efficiency", ylabel=f"mistag rate, {background}", xlim=(0, 1))
        axis.set_title(tagging["score"])
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


def draw_efficiency(measured: dict[str, Any]) -> Figure:
    """Efficiency by gen pT and eta, with pulls."""
    tables = measured["efficiency"]
    figure, axes = _figure(6.4, 3.6, 2, len(tables))
    for column, (quantity, rows) in enumerate(tables.items()):
        place = np.arange(len(rows))
        for name in _shown(measured, reference=True):
            axes[0, column].plot(
                place, [r[name] for r in rows], "o-", markersize=3, linewidth=0.8, **_STYLE[name]
            )
            if name in {"flash", "full_1"}:
                style = _STYLE[name]
                axes[1, column].plot(place, [r[f"{name}_pull"] for r in rows], "o", markersize=3.5, **style)
        axes[1, column].axhspan(-2, 2, color="0.93", zorder=0)
        axes[0, column].set_xticks(place, [])
        axes[1, column].set_xticks(place, [_bin(r) for r in rows], rotation=60)
        axes[1, column].set_xlabel({"pt": "gen pT [GeV]"}.get(quantity, "|gen eta|"))
    axes[0, 0].set_ylabel("efficiency")
    axes[1, 0].set_ylabel("pull")
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


def draw_counts(measured: dict[str, Any]) -> Figure:
    """Numbers per event."""
    counts = measured["counts"]
    figure, axes = _figure(9.6, 2.4, 1, len(counts))
    for axis, (what, found) in zip(axes[0], counts.items(), strict=True):
        first = next(iter(found.values()))["first"]
        edges = np.arange(len(first) + 1) - 0.5
        mplhep.histplot(first, edges, ax=axis, yerr=False, linewidth=0.9, **_STYLE["full"])
        for name, row in found.items():
            mplhep.histplot(row["second"], edges, ax=axis, yerr=False, linewidth=0.9, **_STYLE[name])
        flash = found["flash"]
        axis.set_title(f"{what}\nchi2 {flash['chi2']:.0f} / {flash['ndf']}", fontsize=8)
        axis.set_xlabel("number in an event")
    axes[0, 0].legend(frameon=False, fontsize=7)
    return figure


def draw_correlations(measured: dict[str, Any]) -> Figure:
    """Difference of the rank correlations."""
    names = measured["correlations"]["targets"]
    figure, axes = _figure(6.4, 5.6)
    image = axes[0, 0].imshow(measured["correlations"]["shift"], cmap="RdBu_r", vmin=-0.1, vmax=0.1)
    axes[0, 0].set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes[0, 0].set_yticks(range(len(names)), names, fontsize=7)
    figure.colorbar(image, label="Spearman correlation, flash minus full", shrink=0.8)
    return figure


def draw_histograms(measured: dict[str, Any]) -> Figure:
    """Every target, relative to gen where it has a relation."""
    table = measured["histograms"]
    columns = 5
    rows = -(-len(table) // columns)
    figure, axes = _figure(9.6, 1.65 * rows, rows, columns)
    for axis, row in zip(axes.flat, table, strict=False):
        for name in _shown(measured, reference=True):
            mplhep.histplot(row[name], row["edges"], ax=axis, yerr=False, linewidth=0.8, **_STYLE[name])
        axis.set_yscale("log")
        axis.set_title(row["target"], fontsize=8)
        axis.tick_params(labelsize=6)
        axis.set_xlabel("")
    for axis in axes.flat[len(table) :]:
        axis.set_axis_off()
    axes.flat[0].legend(frameon=False, fontsize=6)
    return figure


def draw_copies(measured: dict[str, Any]) -> Figure:
    """Distances to the nearest training row over those to the nearest other row."""
    found = measured["memorisation"]
    figure, axes = _figure(4.4, 2.8)
    axis = axes[0, 0]
    for name, style in (("held out", _STYLE["full"]), ("generated", _STYLE["flash"])):
        label = f"{name}: {found[name]['share']:.3f} closer to the training"
        axis.stairs(found[name]["histogram"], found["edges"], color=style["color"], label=label)
    axis.axvline(0.0, color="0.4", linewidth=0.8)
    axis.set_xlabel("log10 of distance to nearest training row / to nearest other")
    axis.set_ylabel("share per bin")
    axis.set_ylim(top=1.35 * max(max(found[name]["histogram"]) for name in ("held out", "generated")))
    axis.legend(frameon=False)
    return figure


FIGURES: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "Distances of every target from the reference": draw_distances,
    "Classifier two-sample test": draw_importance,
    "pT response": draw_response,
    "Tagging": draw_tagging,
    "Reconstruction efficiency": draw_efficiency,
    "Numbers per event": draw_counts,
    "Correlations": draw_correlations,
    "Nearest rows of the training": draw_copies,
    "Targets": draw_histograms,
}
"""Titles and figures in the order of the page."""
