"""Draw the picture of the README: python docs/figures/pipeline.py docs/figures/pipeline.svg."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

INK = "#1f2933"
DATA, MODEL, COMMAND, STEP = "#e8eef4", "#fdf1d8", "#ffffff", "#fafafa"
HEIGHT = 0.78


def _box(
    axes: Axes, centre: tuple[float, float], width: float, title: str, text: str, *, colour: str
) -> None:
    """Draw a box with a title and a line below it; the names of commands are in a typewriter's letters."""
    (x, y), corner = centre, (centre[0] - width / 2, centre[1] - HEIGHT / 2)
    shape = "round,pad=0,rounding_size=0.08" if colour in {DATA, MODEL} else "square,pad=0"
    axes.add_patch(
        FancyBboxPatch(corner, width, HEIGHT, boxstyle=shape, facecolor=colour, edgecolor=INK, linewidth=1.0)
    )
    family = "monospace" if colour == COMMAND else "sans-serif"
    axes.text(x, y + 0.15, title, ha="center", va="center", fontsize=10, color=INK, family=family)
    axes.text(x, y - 0.17, text, ha="center", va="center", fontsize=7.5, color=INK)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow between two points."""
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=INK, shrinkA=0, shrinkB=0)
    )


def draw(path: str) -> None:
    """Draw training above, generation below, and write the picture."""
    mpl.rcParams["svg.hashsalt"] = "flashsim"  # the same file every time
    figure, axes = plt.subplots(figsize=(11.6, 3.4))
    axes.set(xlim=(0, 11.6), ylim=(0, 3.4), aspect="equal")
    axes.axis("off")

    top, bottom = 2.5, 0.7
    axes.text(0.15, 3.12, "once for each object", fontsize=8.5, color=INK, style="italic")
    axes.text(0.15, 1.32, "for every sample", fontsize=8.5, color=INK, style="italic")
    columns = (1.05, 3.35, 5.65, 7.95)
    upper = (
        (1.8, "FullSim NanoAOD", "gen and reconstructed", DATA),
        (1.9, "preprocess", "match, condition, split", COMMAND),
        (1.9, "train", "efficiency, flow, unmatched", COMMAND),
        (1.9, "model file", "one each: jets, muons", MODEL),
    )
    lower = (
        (1.8, "gen NanoAOD", "CMS, or flashsim gen", DATA),
        (1.9, "condition", "each gen jet and muon", STEP),
        (1.9, "draw", "found? as what? unmatched?", STEP),
        (1.9, "assemble", "order, links, types", STEP),
    )
    for y, row in ((top, upper), (bottom, lower)):
        for x, entry in zip(columns, row, strict=True):
            _box(axes, (x, y), *entry[:3], colour=entry[3])
        for k in range(3):
            start, end = columns[k] + row[k][0] / 2, columns[k + 1] - row[k + 1][0] / 2
            _arrow(axes, (start, y), (end, y))
    # Generation is one command: a frame around its three steps.
    axes.add_patch(
        FancyBboxPatch(
            (2.25, 0.17),
            6.8,
            1.06,
            boxstyle="square,pad=0",
            facecolor="none",
            edgecolor=INK,
            linestyle=(0, (4, 3)),
        )
    )
    axes.text(9.0, 1.3, "generate", fontsize=10, color=INK, family="monospace", ha="right")
    _arrow(axes, (columns[3], top - HEIGHT / 2), (columns[2] + 0.3, bottom + HEIGHT / 2))
    _arrow(axes, (columns[3] + 0.95, bottom), (9.45, bottom))
    _box(axes, (10.5, bottom), 2.1, "simulated NanoAOD", "coffea, RDataFrame", colour=DATA)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.05, metadata={"Date": None})


if __name__ == "__main__":
    draw(sys.argv[1])
