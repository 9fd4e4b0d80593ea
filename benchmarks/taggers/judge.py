"""Comparison of taggers with CMS's: how well they tell flavours apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.markdown import table as markdown_table
from benchmarks.taggers import anchors, tables
from flashsim.reference.taggers.tagger import load_taggers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["area_under_curve", "judge"]

_PT, _ETA = 30.0, 2.4
_DRAWS = 200
_MISTAGS = (0.1, 0.03, 0.01)
_SCORES = ("btagDeepFlavB", "btagDeepB", "btagCSVV2", "btagPNetB", "btagUParTAK4B")
_PAIRS = (("b", 5, "light", 0), ("b", 5, "c", 4), ("c", 4, "light", 0))


def judge(files: Sequence[Path], table: Path, folder: Path) -> Iterator[str]:
    """Give a table in Markdown: areas under ROC curves and efficiencies, of CMS and of networks of a folder.

    Jets have a gen jet, more than 30 GeV and |eta| < 2.4; errors are those of CMS's files, from samples of
    their jets with replacement.
    """
    ours: dict[str, NDArray[Any]] = dict(tables.read_table(table, "Jet"))
    for tagger in load_taggers(folder).get("Jet", []):
        ours |= tagger.columns(ours)
    real = _merged([anchors.read_columns(path, "Jet") for path in files])
    ours, real = _chosen(ours), _chosen(real)
    rng = np.random.default_rng(1)
    rows = []
    for score in (score for score in _SCORES if score in ours and score in real):
        for name, code, other, other_code in _PAIRS:
            (signal, background), (our_signal, our_background) = (
                [jets[score][jets["hadronFlavour"] == flavour] for flavour in (code, other_code)]
                for jets in (real, ours)
            )
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


def _merged(parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    shared = set.intersection(*(set(part) for part in parts))
    return {name: np.concatenate([part[name] for part in parts]) for name in shared}


def _chosen(jets: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    good = (jets["pt"] > _PT) & (np.abs(jets["eta"]) < _ETA) & jets["isMatched"]
    return {name: column[good] for name, column in jets.items()}
