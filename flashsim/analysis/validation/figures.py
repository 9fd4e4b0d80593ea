"""Figures of a report, from the JSON data of its sections, as SVG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from flashsim.analysis.validation.comparison import CANDIDATE, REFERENCE, THIRD, Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes

__all__ = ["draw"]

_COLOURS = {REFERENCE: "black", CANDIDATE: "#bd1f01", THIRD: "#3f90da"}
_FARTHEST = 12.0
"""End of the axis of differences, in errors."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "validation",
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
}


def _style(role: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"color": _COLOURS[role], "label": labels[role]}


def draw(topic: Topic, data: dict[str, Any], labels: Mapping[str, str]) -> str:
    """Draw the figure of a section as an SVG document; `labels` name the samples by role."""
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        _FIGURES[topic](data, labels).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def draw_histograms(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """Draw counts normalised to one, with ratios to the reference below."""
    panels = data["panels"]
    figure = Figure(figsize=(3.1 * max(len(panels), 1) + 0.3, 2.9))
    if not panels:
        figure.text(0.5, 0.5, "too few objects", ha="center")
        return figure
    grid = figure.subplots(
        2, len(panels), squeeze=False, sharex="col", gridspec_kw={"height_ratios": [3, 1.2], "hspace": 0.06}
    )
    figure.subplots_adjust(left=0.62 / figure.get_figwidth(), right=0.985, top=0.92, bottom=0.11, wspace=0.22)
    for (above, below), panel in zip(grid.T, panels, strict=True):
        _histogram(above, below, panel, labels)
        above.set_title(panel["name"])
    grid[0, 0].legend(frameon=False)
    grid[0, 0].set_ylabel("share per bin")
    grid[1, 0].set_ylabel("ratio")
    return figure


def _histogram(above: Axes, below: Axes, panel: dict[str, Any], labels: Mapping[str, str]) -> None:
    edges = np.asarray(panel["edges"])
    centres = (edges[1:] + edges[:-1]) / 2.0
    shares, errors = {}, {}
    for role, counts in panel["counts"].items():
        total = max(panel["totals"][role], 1)
        shares[role], errors[role] = np.asarray(counts) / total, np.sqrt(counts) / total
        above.stairs(shares[role], edges, color=_COLOURS[role], linewidth=1.0, label=labels[role])
    reference = shares.pop(REFERENCE)
    there = reference > 0.0
    relative = np.divide(errors[REFERENCE], reference, out=np.zeros_like(reference), where=there)
    below.stairs(1.0 + relative, edges, baseline=1.0 - relative, fill=True, color="0.85")
    for role, share in shares.items():
        below.errorbar(
            centres[there],
            share[there] / reference[there],
            yerr=errors[role][there] / reference[there],
            fmt=".",
            markersize=3,
            linewidth=0.7,
            color=_COLOURS[role],
        )
    below.axhline(1.0, color="0.3", linewidth=0.6)
    below.set_ylim(0.5, 1.5)
    below.set_xlim(edges[0], edges[-1])
    if reference.max() > 30.0 * np.median(reference[there]):
        above.set_yscale("log")


def draw_response(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """Median and width in bins of gen pT and eta, and by category."""
    bins = data["bins"]
    parts = [
        ("gen pT [GeV]", [b for b in bins if b["column"] == "pt"]),
        ("|gen eta|", [b for b in bins if b["column"] == "|eta|"]),
        ("category", [b for b in bins if b["high"] is None]),
    ]
    parts = [(name, some) for name, some in parts if some]
    figure = Figure(figsize=(3.2 * max(len(parts), 1), 4.0), layout="constrained")
    grid = figure.subplots(2, max(len(parts), 1), squeeze=False)
    for column, (name, some) in enumerate(parts):
        for row, key in enumerate(("median", "width")):
            axis = grid[row, column]
            for number, role in enumerate(labels):
                y, error = ([b[role][k] for b in some] for k in (key, f"{key}_error"))
                _points(
                    axis,
                    np.arange(len(some)) + 0.12 * (number - 1),
                    y,
                    error,
                    color=_COLOURS[role],
                    label=labels[role],
                )
            axis.set_xticks(range(len(some)), [] if row == 0 else [_bin(b) for b in some], rotation=60)
        grid[0, column].set_title(name)
    grid[0, 0].set_ylabel("median relative to gen")
    grid[1, 0].set_ylabel("half 68 % width")
    grid[0, 0].legend(frameon=False)
    return figure


def _bin(row: dict[str, Any]) -> str:
    if row["high"] is None:
        return str(row["column"])
    return f"> {row['low']:g}" if row["high"] > 1000 else f"{row['low']:g}-{row['high']:g}"


def _points(axis: Axes, x: Any, y: list[Any], error: list[Any], **style: Any) -> None:
    """Draw points with errors; None where there is none."""
    values, errors = (np.array(some, dtype=np.float64) for some in (y, error))
    axis.errorbar(x, values, yerr=errors, fmt="o", markersize=3, linewidth=0.9, **style)


def draw_rates(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """Rates in bins, with differences from the reference below."""
    panels = data["panels"]
    figure = Figure(figsize=(3.4 * len(panels), 3.4), layout="constrained")
    grid = figure.subplots(2, len(panels), squeeze=False, sharex="col", height_ratios=[2, 1.2])
    for column, panel in enumerate(panels):
        place = np.arange(len(panel["labels"]))
        for number, (role, rate) in enumerate(panel["rates"].items()):
            x = place + 0.12 * (number - 1)
            _points(
                grid[0, column], x, rate["value"], rate["error"], color=_COLOURS[role], label=labels[role]
            )
            if role != REFERENCE:
                _points(
                    grid[1, column],
                    x,
                    rate["difference"],
                    rate["difference_error"],
                    color=_COLOURS[role],
                    label=labels[role],
                )
        grid[1, column].axhline(0.0, color="0.3", linewidth=0.6)
        grid[1, column].set_xticks(place, panel["labels"], rotation=60)
        grid[1, column].set_xlabel(panel["name"])
    grid[0, 0].set_ylabel("share")
    grid[1, 0].set_ylabel("difference")
    grid[0, 0].legend(frameon=False)
    return figure


def draw_correlations(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """Correlations of the reference, and how those of the others differ."""
    names, reference = data["targets"], np.array(data["matrices"][REFERENCE])
    others = [role for role in data["matrices"] if role != REFERENCE]
    figure = Figure(figsize=(3.6 * (1 + len(others)), 4.0), layout="constrained")
    axes = figure.subplots(1, 1 + len(others), squeeze=False)[0]
    shown = [(labels[REFERENCE], reference, 1.0)]
    shown += [
        (f"{labels[role]} minus {labels[REFERENCE]}", np.array(data["matrices"][role]) - reference, 0.1)
        for role in others
    ]
    for axis, (title, matrix, limit) in zip(axes, shown, strict=True):
        image = axis.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(title)
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=5)
        rows = data.get("rows", names)
        axis.set_yticks(range(len(rows)), rows if axis is axes[0] else [""] * len(rows), fontsize=5)
        figure.colorbar(image, ax=axis, shrink=0.7)
    return figure


def draw_joint(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """Differences of joint quantities from the reference in errors; those beyond the axis at its end."""
    names, values = data["quantities"], data["values"]
    figure = Figure(figsize=(7.0, 0.9 + 0.19 * len(names)), layout="constrained")
    axis = figure.subplots()
    place = np.arange(len(names))[::-1]
    reference = np.array(values[REFERENCE])
    axis.axvspan(-3.0, 3.0, color="0.93", zorder=0)
    axis.axvline(0.0, color="0.3", linewidth=0.6)
    for role in (role for role in values if role != REFERENCE):
        other = np.array(values[role])
        error = np.maximum(np.hypot(reference[:, 1], other[:, 1]), 1e-12)
        pull = np.clip((other[:, 0] - reference[:, 0]) / error, -_FARTHEST, _FARTHEST)
        axis.plot(pull, place, "o", markersize=4, **_style(role, labels))
    axis.set_yticks(place, names, fontsize=6)
    axis.set_xlim(-1.05 * _FARTHEST, 1.05 * _FARTHEST)
    axis.set_xlabel(f"difference from {labels[REFERENCE]} in standard errors")
    axis.legend(frameon=False)
    return figure


def draw_contours(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """Contours of every sample that hold the same shares of it."""
    figure = Figure(figsize=(3.6, 3.2), layout="constrained")
    axis = figure.subplots()
    x, y = ((np.array(e)[1:] + np.array(e)[:-1]) / 2.0 for e in data["edges"])
    for role, density in data["density"].items():
        cuts = sorted({cut for cut in data["cuts"][role] if 0.0 < cut < np.max(density)})
        if cuts:
            axis.contour(x, y, np.array(density).T, levels=cuts, colors=_COLOURS[role], linewidths=0.9)
        axis.plot([], [], **_style(role, labels))
    axis.set(xlabel=data["axes"][0], ylabel=data["axes"][1])
    axis.set_title(", ".join(f"{level:g}" for level in data["levels"]) + " contours")
    axis.legend(frameon=False)
    return figure


def draw_tagging(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """ROC curves with the working points."""
    figure = Figure(figsize=(3.6, 3.2), layout="constrained")
    axis = figure.subplots()
    for role, sample in data["samples"].items():
        axis.plot(sample["curve"], data["curve_mistags"], **_style(role, labels))
        axis.errorbar(
            sample["efficiency"], data["mistags"], xerr=sample["error"], fmt=".", color=_COLOURS[role]
        )
    axis.set(yscale="log", xlim=(0, 1), xlabel="signal efficiency")
    axis.set_ylabel(f"mistag rate, {data['background']}")
    axis.legend(frameon=False)
    return figure


def draw_classifier(data: dict[str, Any], labels: Mapping[str, str]) -> Figure:
    """AUCs, and what gives the candidate away."""
    tests = data["tests"]
    importance = sorted(tests[CANDIDATE]["importance"].items(), key=lambda item: float(item[1]))[-10:]
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (role, test) in enumerate(tests.items()):
        left.errorbar(test["auc"], number, xerr=test["error"], fmt="o", color=_COLOURS[role])
    left.axvline(0.5, color="0.3", linewidth=0.6)
    left.set_yticks(range(len(tests)), [labels[role] for role in tests])
    left.set_ylim(-0.5, len(tests) - 0.5)
    left.set_xlabel(f"AUC against {labels[REFERENCE]}")
    right.barh([n for n, _ in importance], [v for _, v in importance], color=_COLOURS[CANDIDATE])
    right.set_xlabel(f"AUC lost when shuffled ({labels[CANDIDATE]})")
    return figure


_FIGURES: dict[Topic, Callable[[dict[str, Any], Mapping[str, str]], Figure]] = {
    Topic.CLASSIFIER: draw_classifier,
    Topic.EFFICIENCY: draw_rates,
    Topic.UNMATCHED: draw_rates,
    Topic.NUMBERS: draw_histograms,
    Topic.RESPONSE: draw_response,
    Topic.TAGGING: draw_tagging,
    Topic.CORRELATIONS: draw_correlations,
    Topic.CONTOURS: draw_contours,
    Topic.JOINT: draw_joint,
    Topic.DISTRIBUTIONS: draw_histograms,
}
