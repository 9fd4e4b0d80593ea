"""Paired comparisons of counts: the same gen objects, or the same events, in two simulations.

Pulls are those of McNemar's test, which looks only at what differs between the two, and the chi-square is
that of Stuart and Maxwell: gen-level fluctuations, the same in both, do not enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import chi2

__all__ = ["Closure", "binned_efficiency", "chi_square", "closure", "pull"]

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Closure:
    """Histograms of a number per event in two simulations of the same events.

    Parameters
    ----------
    first, second
        Events by number; the last bin holds all that is above.
    pulls
        Second minus first over its error, bin by bin.
    chi2, ndf, p_value
        Of all bins together.
    mean_first, mean_second, difference_error
        Mean numbers, and the error of their difference.
    """

    first: list[int]
    second: list[int]
    pulls: list[float]
    chi2: float
    ndf: int
    p_value: float
    mean_first: float
    mean_second: float
    difference_error: float


def pull(first: Flags, second: Flags) -> float:
    """Difference of two shares of the same rows over its error; flags of shape (N,)."""
    gained, lost = np.count_nonzero(second & ~first), np.count_nonzero(first & ~second)
    return float((gained - lost) / max(float(gained + lost), 1.0) ** 0.5)


def chi_square(
    first: tuple[Counts, Counts], second: tuple[Counts, Counts], *, shape: tuple[int, int]
) -> tuple[float, int]:
    """Compare histograms of two simulations of the same events, of which each can make several entries.

    The covariance of the bins is that of the differences event by event.

    Parameters
    ----------
    first, second
        Event and bin of each entry, shape (N,) each.
    shape
        Numbers of events and of bins.

    Returns
    -------
    Chi-square, and the number of its degrees of freedom: where the entries of an event sum to the same in
    both, one bin follows from the others.
    """
    one, two = (
        sparse.coo_array((np.ones(len(event)), (event, bins)), shape=shape).tocsr()
        for event, bins in (first, second)
    )
    differences = two - one
    total: NDArray[np.float64] = np.asarray(differences.sum(axis=0)).ravel()
    covariance = (differences.T @ differences).toarray()
    statistic = float(total @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ total)
    return statistic, int(np.linalg.matrix_rank(covariance, hermitian=True))


def closure(first: Counts, second: Counts) -> Closure:
    """Compare numbers per event, shape (E,), of two simulations of the same events."""
    most = int(np.quantile(first, 0.999))
    events, bins = np.arange(len(first)), np.arange(most + 1)
    filled = [(events, np.minimum(counts, most)) for counts in (first, second)]
    statistic, rank = chi_square(*filled, shape=(len(events), len(bins)))
    one, two = (number[:, None] == bins for _, number in filled)
    per_event = (second - first).astype(np.float64)
    return Closure(
        first=one.sum(axis=0).tolist(),
        second=two.sum(axis=0).tolist(),
        pulls=[pull(one[:, b], two[:, b]) for b in bins],
        chi2=statistic,
        ndf=rank,
        p_value=float(chi2.sf(statistic, rank)) if rank else 1.0,
        mean_first=float(first.mean()),
        mean_second=float(second.mean()),
        difference_error=float(per_event.std() / np.sqrt(max(len(first), 1))),
    )


def binned_efficiency(
    values: NDArray[np.float64], edges: list[float], samples: dict[str, Flags], against: str
) -> list[dict[str, float]]:
    """Efficiencies in bins of a gen quantity, with the pull of each sample against one of them.

    Parameters
    ----------
    values
        The gen quantity, shape (N,).
    edges
        Bin edges.
    samples
        Whether each gen object was reconstructed, shape (N,), by sample.
    against
        The sample that the others are compared with.
    """
    rows = []
    for low, high in pairwise(edges):
        inside = (values >= low) & (values < high)
        if not inside.any():
            continue
        row: dict[str, float] = {"low": low, "high": high, "objects": int(np.count_nonzero(inside))}
        for name, found in samples.items():
            row[name] = float(found[inside].mean())
            if name != against:
                row[f"{name}_pull"] = pull(samples[against][inside], found[inside])
        rows.append(row)
    return rows
