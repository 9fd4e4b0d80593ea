"""How CMS's scores are distributed: quantiles by groups of objects, from files of its full simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.realism.groups import groups
from benchmarks.realism.samples import half_of
from flashsim.analysis.whole_events.reading import read_whole_events
from flashsim.reference.taggers.scores import pileup_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from flashsim.reference.taggers.tagger import Score

    Columns = dict[str, NDArray[Any]]

__all__ = [
    "FILE",
    "PROBABILITIES",
    "Anchors",
    "add_pileup_scores",
    "logarithms",
    "measure",
    "read_anchors",
]

FILE = Path(__file__).with_name("quantiles.json")

PROBABILITIES = (0.02, 0.05, 0.1, 0.16, 0.3, 0.5, 0.7, 0.84, 0.9, 0.95, 0.98)

Anchors = dict[str, dict[str, list[float]]]
"""By score and group: number of objects, and quantiles at `PROBABILITIES`, or of working points the share."""

_TINY = 1e-7
_FEWEST = {"quantiles": 20, "share": 5}
"""Objects that they need."""


def measure(files: Iterable[Path], scores: Mapping[str, Score], points: Mapping[str, str]) -> Anchors:
    """Measure the distributions of scores in the half of the events that is there to tune with.

    Parameters
    ----------
    files
        NanoAOD of CMS; a score is taken from those that have it.
    scores
        By name.
    points
        Working points, and the group of which a share passes.
    """
    found: dict[str, dict[str, list[NDArray[Any]]]] = {}
    samples = [half_of(read_whole_events(path), "tune") for path in files]
    add_pileup_scores([sample["Jet"].columns for sample in samples])
    for sample in samples:
        for group, columns in groups(sample):
            for name in columns:
                if name in scores:
                    values = columns[name][_is_score(scores[name], columns[name])]
                elif points.get(name) == group:
                    values = columns[name]
                else:
                    continue
                found.setdefault(name, {}).setdefault(group, []).append(values)
    every = {name: _summaries(by_group, share=name in points) for name, by_group in found.items()}
    return {name: by_group for name, by_group in every.items() if by_group}


def _is_score(score: Score, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether stored values are scores and not what is stored elsewhere."""
    good: NDArray[np.bool_] = stored != score.outside
    return good & ((stored > 0.0) if score.link == "exp" else (stored >= score.low))


def logarithms(score: Score, stored: NDArray[Any]) -> NDArray[np.float64]:
    """Logarithms of the ratios that stored values are of."""
    if score.link == "exp":
        ratio = np.maximum(stored, _TINY)
    else:
        share = np.clip((stored - score.low) / (score.high - score.low), _TINY, 1.0 - _TINY)
        ratio = share / (1.0 - share)
    return np.asarray(np.log(ratio), dtype=np.float64)


def add_pileup_scores(samples: list[Columns]) -> None:
    """Give jets with bits of pileup identification, but no score, one of jets of the same bits and place."""
    own = [columns for columns in samples if "puIdDisc" in columns and "puId" in columns]
    without = [columns for columns in samples if "puId" in columns and "puIdDisc" not in columns]
    if not own or not without:
        return
    known, values = (
        np.concatenate(parts) for parts in ([_bits(c) for c in own], [c["puIdDisc"] for c in own])
    )
    rng = np.random.default_rng(1)
    for columns in without:
        bits = _bits(columns)
        columns["puIdDisc"] = np.full(len(bits), np.nan)
        for one in np.intersect1d(bits, known):
            columns["puIdDisc"][bits == one] = rng.choice(values[known == one], np.sum(bits == one))


def _bits(jets: Columns) -> NDArray[np.int64]:
    """Give one number for the bits and the cell in pT and eta that working points are of, shape (N,)."""
    row, column = pileup_cell(jets["pt"], jets["eta"])
    return (row * 4 + column) * 8 + jets["puId"]


def _summaries(by_group: Mapping[str, list[NDArray[Any]]], *, share: bool) -> dict[str, list[float]]:
    found = {}
    for group, parts in by_group.items():
        values = np.concatenate(parts)
        if len(values) >= _FEWEST["share" if share else "quantiles"]:
            numbers = [np.mean(values)] if share else np.quantile(values, PROBABILITIES)
            found[group] = [len(values), *(float(f"{number:.7g}") for number in numbers)]
    return found


def read_anchors() -> dict[str, Anchors]:
    """Read what `measure` gave, by era."""
    content: dict[str, Anchors] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
