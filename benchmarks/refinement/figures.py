"""Displays of a result as SVG files, in the style of the validation report."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.refinement.judge import ROLES
from flashsim.analysis.validation.comparison import Topic
from flashsim.analysis.validation.figures import draw

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_figures"]

_TITLES = {
    "mmd": "discrepancy",
    "mse": "mean squared difference of pairs",
    "unitarity_mean": "mean of B + c/CvL",
}


def write_figures(name: str, measured: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write the figures of one object; gives the file names by title."""
    pictures = {"Distributions": draw(Topic.DISTRIBUTIONS, {"panels": measured["panels"]}, ROLES)}
    pearson = measured["correlations"]["pearson"] | {"targets": measured["correlations"]["targets"]}
    pictures["Correlations"] = draw(Topic.CORRELATIONS, pearson, ROLES)
    for branch, data in measured["tagging"].items():
        pictures[f"Tagging with {branch}"] = draw(Topic.TAGGING, data, ROLES)
    pictures["Classifier"] = draw(Topic.CLASSIFIER, {"tests": _by_role(measured["classifier"])}, ROLES)
    pictures["Training"] = _training(measured["training"])
    files = {}
    for title, svg in pictures.items():
        kind = "".join(c if c.isalnum() else "_" for c in title.lower())
        file = f"refinement_{name}_{kind}.svg".replace("__", "_")
        (folder / file).write_text(svg + "\n", encoding="utf-8")
        files[title] = file
    return files


def _by_role(by_name: dict[str, Any]) -> dict[str, Any]:
    return {role: by_name[name] for role, name in ROLES.items() if name in by_name}


def _training(training: dict[str, Any]) -> str:
    """Draw losses, multipliers and infeasibilities over epochs, of training and validation."""
    history, kept = training["history"], training["best_epoch"]
    parts = [p.removeprefix("validation_") for p in history if p.startswith("validation_")]
    multipliers = [p for p in parts if p.startswith("multiplier_")]
    shown = [p for p in _TITLES if p in parts] + multipliers
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "refinement", "font.size": 8}):
        figure = Figure(figsize=(2.6 * len(shown), 2.4), layout="constrained")
        for axis, part in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            for split, colour in (("train", "#3f90da"), ("validation", "#bd1f01")):
                values = np.array(history[f"{split}_{part}"], dtype=np.float64)
                axis.plot(np.array(history["epoch"]) + 1, values, color=colour, label=split, linewidth=1.0)
            axis.axvline(kept + 1, color="0.6", linewidth=0.6)
            if part.startswith("mmd"):
                axis.set_yscale("log", nonpositive="mask")
            held = part.removeprefix("multiplier_")
            title = _TITLES.get(held, held)
            axis.set_title(f"multiplier of {title}" if part in multipliers else title)
            axis.set_xlabel("epoch")
        figure.axes[0].legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
