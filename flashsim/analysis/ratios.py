r"""Efficiencies and ratios of simulations, with errors that know which gen events they share.

Two simulations of the same gen events fluctuate together where the gen event decides, and the folds of an
oversampled gen event do so as well. Everything is therefore summed by gen event first: with :math:`a_i, b_i`
the sums of weights that gen event i brings to a bin in two simulations of the same gen events,

.. math:: R = \frac{\sum b_i}{\sum a_i}, \qquad
   \sigma_R^2 = R^2 \sum_i \left(\frac{b_i}{\sum b} - \frac{a_i}{\sum a}\right)^2,

which is the linear propagation of gen events that fluctuate independently. Several passes of the same gen
events through a simulation, in one file each, are summed in the same way. Where simulations have gen events
of their own, the relative variances of their efficiencies add up.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from flashsim.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = [
    "Binned",
    "Totals",
    "binned",
    "central_width",
    "double_ratio",
    "ratio",
    "share_gen_events",
    "step_counts",
    "variation_ratio",
]


@dataclass(frozen=True)
class Totals:
    """What a data set holds in all.

    Parameters
    ----------
    events
        Number of events, folds and passes counted singly.
    sumw, sumw2
        Sum of weights, and of the squared sums of each gen event.
    fingerprint
        Sum of the identities of all gen events, as often as there are passes.
    folds
        How often each gen event was simulated in a pass.
    passes
        In how many files each gen event is.
    """

    events: int
    sumw: float
    sumw2: float
    fingerprint: int
    folds: int
    passes: int = 1

    @classmethod
    def of(cls, totals: Mapping[str, Any]) -> Totals:
        """Take what the processor counted.

        Raises
        ------
        InputFileError
            If some files are more passes of the same gen events than others.
        """
        files = {name: mark for name, mark in totals["files"].items() if mark}
        passes = Counter(files.values())
        if len(set(passes.values())) > 1:
            often, seldom = max(passes, key=passes.__getitem__), min(passes, key=passes.__getitem__)
            one, other = (next(n for n, m in files.items() if m == mark) for mark in (often, seldom))
            msg = (
                f"{one}: its gen events are in {passes[often]} files of the list, those of {other} in "
                f"{passes[seldom]}; name as many passes of all gen events"
            )
            raise InputFileError(msg)
        number = max(passes.values(), default=1)
        return cls(
            events=totals["events"],
            sumw=totals["sumw"],
            # The processor sees one pass at a time; the sum of a gen event is `passes` times that of one.
            sumw2=number * totals["sumw2"],
            fingerprint=sum(files.values()),
            folds=max(totals["folds"]),
            passes=number,
        )

    @property
    def entries(self) -> int:
        """Number of gen events, counted in every pass."""
        return self.events // self.folds


@dataclass(frozen=True)
class Binned:
    """Weights by gen event and bin, of E gen events and B bins.

    Parameters
    ----------
    events
        Shape (E,): identities, rising.
    weights
        Sparse, shape (E, B): sums of the weights of each gen event.
    whole
        Shape (E,): weight of all folds and passes of the gen event together.
    totals
        Of the data set.
    """

    events: NDArray[np.uint64]
    weights: Any
    whole: NDArray[np.float64]
    totals: Totals

    @property
    def efficiency(self) -> NDArray[np.float64]:
        """Shape (B,): share of the sum of weights that is in each bin."""
        return _columns(self.weights.sum(axis=0)) / self.totals.sumw

    @property
    def variance(self) -> NDArray[np.float64]:
        """Shape (B,): squared error of the efficiency; for unweighted events the binomial one."""
        efficiency = self.efficiency
        squares = _columns(self.weights.power(2).sum(axis=0))
        mixed = _columns(self.weights.T @ self.whole)
        variance = squares - 2.0 * efficiency * mixed + efficiency**2 * self.totals.sumw2
        return np.maximum(variance, 0.0) / self.totals.sumw**2


def binned(
    events: NDArray[np.uint64],
    weights: NDArray[np.float64],
    bins: NDArray[np.int64],
    number: int,
    totals: Totals,
) -> Binned:
    """Sum the weights of entries by gen event and bin.

    Parameters
    ----------
    events, weights, bins
        Shape (N,): identity of the gen event, weight, and number of the bin of each entry; other bins than 0
        to `number` - 1 are left out.
    number
        Number of bins.
    totals
        Of the data set.
    """
    inside = (bins >= 0) & (bins < number)
    identities, first, rows = np.unique(events[inside], return_index=True, return_inverse=True)
    matrix = sparse.coo_array((weights[inside], (rows, bins[inside])), shape=(len(identities), number))
    return Binned(identities, matrix.tocsr(), weights[inside][first] * (totals.folds * totals.passes), totals)


def step_counts(reached: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List for N events the steps that each passed.

    Parameters
    ----------
    reached
        Shape (N,): how many steps in a row each event passed.

    Returns
    -------
    rows, steps
        Shape (M,): number of the event and of the step, from 0.
    """
    counts = reached.astype(np.int64)
    rows = np.repeat(np.arange(len(counts)), counts)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return rows, np.arange(len(rows)) - starts


def share_gen_events(one: Totals, other: Totals) -> bool:
    """Tell whether two data sets are of the same gen events and weights, in any number of passes."""
    same_weights = np.isclose(one.sumw * other.entries, other.sumw * one.entries, rtol=1e-4)
    return one.fingerprint * other.entries == other.fingerprint * one.entries and bool(same_weights)


def ratio(candidate: Binned, reference: Binned) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the ratio of efficiencies of two simulations and its error, shape (B,); NaN where one is zero."""
    above, below = candidate.efficiency, reference.efficiency
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where((above > 0) & (below > 0), above / below, np.nan)
        if share_gen_events(candidate.totals, reference.totals):
            relative = _variance_of_product({1: [candidate], -1: [reference]})
        else:
            relative = candidate.variance / above**2 + reference.variance / below**2
        return value, np.abs(value) * np.sqrt(relative)


def variation_ratio(varied: Binned, nominal: Binned) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give what a variation of the weights makes of each bin, and its error, shape (B,); NaN in empty bins.

    Both are of the same events, so only the spread of the weights counts.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _sums(varied) / _sums(nominal)
        return value, np.abs(value) * np.sqrt(_variance_of_product({1: [varied], -1: [nominal]}))


def double_ratio(
    candidate: tuple[Binned, Binned], reference: tuple[Binned, Binned]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compare what a variation makes of two simulations: the quotient of both `variation_ratio`.

    Parameters
    ----------
    candidate, reference
        Varied and nominal of each.

    Returns
    -------
    Quotient and error, shape (B,). Where it is 1, the candidate predicts the reference's variation from its
    nominal.
    """
    ours, theirs = variation_ratio(*candidate), variation_ratio(*reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = ours[0] / theirs[0]
        if share_gen_events(candidate[1].totals, reference[1].totals):
            together = {1: [candidate[0], reference[1]], -1: [candidate[1], reference[0]]}
            relative = _variance_of_product(together)
        else:
            relative = (ours[1] / ours[0]) ** 2 + (theirs[1] / theirs[0]) ** 2
        return value, np.abs(value) * np.sqrt(relative)


def _sums(one: Binned) -> NDArray[np.float64]:
    return _columns(one.weights.sum(axis=0))


def _variance_of_product(factors: Mapping[int, list[Binned]]) -> NDArray[np.float64]:
    """Relative variance of a product of powers of sums over the same gen events, shape (B,).

    Linear propagation of gen events that fluctuate independently: each brings to the logarithm of the product
    its shares of the sums, times their powers.
    """
    events = np.unique(np.concatenate([one.events for some in factors.values() for one in some]))
    total: Any = 0
    for power, some in factors.items():
        for one in some:
            entries = one.weights.tocoo()
            rows = np.searchsorted(events, one.events)[entries.row]
            data = power * entries.data / _sums(one)[entries.col]
            shape = (len(events), one.weights.shape[1])
            total = total + sparse.coo_array((data, (rows, entries.col)), shape=shape).tocsr()
    return _columns(total.power(2).sum(axis=0))


def central_width(
    values: NDArray[np.float64], events: NDArray[np.uint64], *, seed: int = 1, resamples: int = 100
) -> tuple[float, float]:
    """Give half the width of the interval with the central 68.3 % of values, and its bootstrap error.

    Parameters
    ----------
    values
        Shape (N,); every value counts once, whatever its weight.
    events
        Shape (N,): identity of the gen event of each, which are resampled.
    seed, resamples
        Of the bootstrap.

    Returns
    -------
    Width and error; NaN where there are fewer than two values, or gen events.
    """
    identities, rows = np.unique(events, return_inverse=True)
    if len(identities) < 2:
        return math.nan, math.nan
    order = np.argsort(values, kind="stable")
    ranked, rows, rng = values[order], rows[order], np.random.default_rng(seed)

    def width(times: NDArray[np.int64]) -> float:
        low, high = np.quantile(np.repeat(ranked, times[rows]), (0.1585, 0.8415))
        return float(high - low) / 2.0

    number = len(identities)
    draws = (np.bincount(rng.integers(number, size=number), minlength=number) for _ in range(resamples))
    return width(np.ones(number, dtype=np.int64)), float(np.std([width(draw) for draw in draws], ddof=1))


def _columns(sums: Any) -> NDArray[np.float64]:
    return np.asarray(sums, dtype=np.float64).ravel()
