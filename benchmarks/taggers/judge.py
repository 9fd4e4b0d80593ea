"""Comparison of taggers with CMS's: how well they tell flavours apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.markdown import table as markdown_table
from benchmarks.realism.groups import groups
from benchmarks.taggers import tables
from flashsim.analysis.whole_events.reading import read_whole_events
from flashsim.reference.taggers.tagger import load_taggers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["area_under_curve", "judge"]

_DRAWS = 200
_MISTAGS = (0.1, 0.03, 0.01)
_SCORES = ("btagDeepFlavB", "btagDeepB", "btagCSVV2", "btagPNetB", "btagUParTAK4B")
_PT = ("30 to 50 GeV", "50 to 100 GeV", "above 100 GeV")
_GROUPS = {
    flavour: [f"{kind} jets, {pt}" for kind in kinds for pt in _PT]
    for flavour, kinds in {"b": ("b",), "c": ("c",), "light": ("light", "gluon")}.items()
}
_PAIRS = (("b", "light"), ("b", "c"), ("c", "light"))


def judge(files: Sequence[Path], table: Path, folder: Path) -> Iterator[str]:
    """Give a table in Markdown: areas under ROC curves and efficiencies, of CMS and of networks of a folder.

    Jets are those of b, c, and light quarks or gluons whose gen jet has more than 30 GeV and |eta| < 2.5;
    errors are those of CMS's files, from samples of their jets with replacement.
    """
    ours = tables.read_table(table, "Jet")
    for tagger in load_taggers(folder).get("Jet", []):
        ours |= tagger.columns(ours)
    groups_of_cms = [group for path in files for group in groups(read_whole_events(path))]
    here = {flavour: np.isin(ours["group"], names) for flavour, names in _GROUPS.items()}
    rng = np.random.default_rng(1)
    rows = []
    for score in (score for score in _SCORES if score in ours):
        cms = {
            flavour: [
                columns[score] for group, columns in groups_of_cms if group in names and score in columns
            ]
            for flavour, names in _GROUPS.items()
        }
        if not cms["b"]:
            continue
        for name, other in _PAIRS:
            signal, background = (np.concatenate(cms[flavour]) for flavour in (name, other))
            our_signal, our_background = (ours[score][here[flavour]] for flavour in (name, other))
            measured, found = _power(signal, background), _power(our_signal, our_background)
            drawn = [
                _power(rng.choice(signal, len(signal)), rng.choice(background, len(background)))
                for _ in range(_DRAWS)
            ]
            errors = np.std(drawn, axis=0)
            cells = [f"{a:.3f} ± {e:.3f} / {b:.3f}" for a, e, b in zip(measured, errors, found, strict=True)]
            rows.append((score, f"{name} against {other}", *cells))
    head = ("score", "", "area: CMS / here", *(f"efficiency at {m:.0%}: CMS / here" for m in _MISTAGS))
    yield from markdown_table(head, rows)


def area_under_curve(signal: NDArray[Any], background: NDArray[Any]) -> float:
    """Probability that an object of the signal has the larger score."""
    ordered = np.sort(background)
    below = np.searchsorted(ordered, signal, side="left") + np.searchsorted(ordered, signal, side="right")
    return float(below.mean() / (2.0 * len(background)))


def _power(signal: NDArray[Any], background: NDArray[Any]) -> list[float]:
    efficiencies = [_efficiency(signal, background, mistag) for mistag in _MISTAGS]
    return [area_under_curve(signal, background), *efficiencies]


def _efficiency(signal: NDArray[Any], background: NDArray[Any], mistag: float) -> float:
    return float(np.mean(signal > np.quantile(background, 1.0 - mistag)))
