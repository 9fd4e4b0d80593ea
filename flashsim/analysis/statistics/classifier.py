"""Classifier two-sample test: whether gradient-boosted trees can tell two samples apart.

After Lopez-Paz and Oquab, arXiv:1610.06545: an area under the ROC curve of 0.5 means that they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["TwoSample", "two_sample_test"]

FOLDS = 5
_SHUFFLED_ROWS, _SHUFFLED = 30_000, 900_000
"""Most rows that are shuffled, and rows times groups: hundreds of these take longer than the training."""


@dataclass(frozen=True)
class TwoSample:
    """Result of the test.

    Parameters
    ----------
    auc, error
        Mean over the folds; the error is the larger of their spread and that of indistinguishable samples.
    importance
        By name of a group of columns: how much the AUC drops when they are shuffled together.
    """

    auc: float
    error: float
    importance: dict[str, float]


def two_sample_test(
    first: Mapping[str, NDArray[np.float64]],
    second: Mapping[str, NDArray[np.float64]],
    first_event: NDArray[np.int64],
    second_event: NDArray[np.int64],
    *,
    groups: Mapping[str, list[str]] | None = None,
    seed: int = 0,
) -> TwoSample:
    """Train on four fifths of the events, measure on the fifth, five times.

    Parameters
    ----------
    first, second
        Columns of the samples by name, shape (N,) and (M,).
    first_event, second_event
        Numbers of the events: both samples may hold the same gen object, which must not be on both sides.
    groups
        Columns that are shuffled together for the importance, by name; none: no importance.
    seed
        Of trees, folds and shuffles.
    """
    names = list(first)
    rows = np.concatenate([np.column_stack([s[n] for n in names]) for s in (first, second)]).astype(
        np.float32
    )
    label = np.concatenate((np.zeros(len(first_event)), np.ones(len(second_event))))
    event = np.concatenate((first_event, second_event))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    areas, importance = [], {}
    for number, (train, test) in enumerate(folds.split(rows, label, event)):
        trees = HistGradientBoostingClassifier(max_iter=200, early_stopping=True, random_state=seed)
        trees.fit(rows[train], label[train])
        areas.append(_area(trees, rows[test], label[test]))
        if groups and number == 0:
            most = min(_SHUFFLED_ROWS, _SHUFFLED // len(groups))
            few = test[np.random.default_rng(seed).permutation(len(test))[:most]]
            columns = {name: [names.index(n) for n in group] for name, group in groups.items()}
            importance = _importance(trees, rows[few], label[few], columns, seed)
    ones, zeros = np.count_nonzero(label == 1), np.count_nonzero(label == 0)
    # Variance of the Mann-Whitney statistic where both samples are alike.
    alike = np.sqrt((ones + zeros + 1) / (12.0 * ones * zeros))
    error = max(float(np.std(areas, ddof=1)) / np.sqrt(FOLDS), float(alike))
    return TwoSample(auc=float(np.mean(areas)), error=error, importance=importance)


def _area(
    trees: HistGradientBoostingClassifier, rows: NDArray[np.float32], label: NDArray[np.float64]
) -> float:
    return float(roc_auc_score(label, trees.predict_proba(rows)[:, 1]))


def _importance(
    trees: HistGradientBoostingClassifier,
    rows: NDArray[np.float32],
    label: NDArray[np.float64],
    groups: Mapping[str, list[int]],
    seed: int,
) -> dict[str, float]:
    rng, whole = np.random.default_rng(seed), _area(trees, rows, label)
    found = {}
    for name, columns in groups.items():
        shuffled = rows.copy()
        shuffled[:, columns] = rows[rng.permutation(len(rows))][:, columns]
        found[name] = whole - _area(trees, shuffled, label)
    return found
