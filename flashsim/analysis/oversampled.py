"""Histograms of oversampled events: what the folds of one gen event tell is not independent."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["OversampledHistogram"]


@dataclass(frozen=True)
class _Entries:
    """Entries of a histogram, shape (N,) each: fold, number of the bin, weight."""

    folds: NDArray[np.int64]
    bins: NDArray[np.int64]
    weights: NDArray[np.float64]

    def select(self, keep: NDArray[np.bool_]) -> _Entries:
        return _Entries(self.folds[keep], self.bins[keep], self.weights[keep])

    @classmethod
    def merged(cls, parts: list[_Entries]) -> _Entries:
        return cls(
            np.concatenate([part.folds for part in parts]),
            np.concatenate([part.bins for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )


@dataclass(frozen=True)
class _Moments:
    """Sums over gen events, of B bins.

    Parameters
    ----------
    sums
        Shape (B,): contents of the bins.
    covariance
        Shape (B, B): products of the sums of each gen event.
    alone
        Shape (B,): squares of the sums of each fold of each gen event.
    """

    sums: NDArray[np.float64]
    covariance: NDArray[np.float64]
    alone: NDArray[np.float64]

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(self.sums + other.sums, self.covariance + other.covariance, self.alone + other.alone)

    @classmethod
    def of_events(cls, events: NDArray[np.int64], entries: _Entries, folds: int, bins: int) -> _Moments:
        """Of whole gen events, whose numbers, shape (N,), count from 0."""
        number = int(events.max(initial=-1)) + 1

        def summed(rows: NDArray[np.int64], count: int) -> Any:
            return sparse.coo_array((entries.weights, (rows, entries.bins)), shape=(count, bins)).tocsr()

        by_event = summed(events, number)
        by_fold = summed(events * folds + entries.folds, number * folds)
        return cls(
            np.asarray(by_event.sum(axis=0), dtype=np.float64).ravel(),
            (by_event.T @ by_event).toarray(),
            np.asarray(by_fold.power(2).sum(axis=0)).ravel(),
        )


class OversampledHistogram:
    r"""Histogram of events that stand in a file several times, with the errors that they really have.

    The folds of one gen event share it: they fluctuate together where the gen event does, and apart where the
    detector does. Their weights are therefore summed for each gen event i and bin b before they are squared,

    .. math:: H_b = \sum_i s_{ib}, \qquad V_{bb'} = \sum_i s_{ib}\, s_{ib'},

    with the sum of weights s over all entries of all folds. The gen events are independent, so V is the
    covariance of a number of them that fluctuates as Poisson's, bins included between which one gen event's
    folds migrate. (A histogram that squares each entry's weight has errors that are too small by up to the
    square root of the number of folds.)

    Parameters
    ----------
    *axes
        Axes of hist or boost-histogram, with a name each; they may not grow.
    folds
        How often each gen event was simulated.
    sample
        Name of the sample that is filled. Gen events of different samples are independent, also where their
        numbers are equal.

    Notes
    -----
    All entries of a gen event must come in one call of `fill`, apart from the first and the last gen event of
    a call, which may go on in others: chunks of a file can be filled one by one, in any order, or into
    histograms that are added up afterwards. Files are written so, all folds of a gen event side by side.

    Examples
    --------
    Two gen events, each simulated twice. The folds of the first fall into two bins, those of the second into
    one:

    >>> import hist
    >>> h = OversampledHistogram(hist.axis.Regular(2, 0, 2, name="mass", flow=False), folds=2)
    >>> event, weight = [7, 7, 8, 8], [0.5, 0.5, 0.5, 0.5]
    >>> h.fill(gen_event=event, fold=[0, 1, 0, 1], weight=weight, mass=[0.1, 1.1, 1.2, 1.3])
    >>> h.values().tolist()
    [0.5, 1.5]
    >>> h.covariance().tolist()
    [[0.25, 0.25], [0.25, 1.25]]
    """

    def __init__(self, *axes: Any, folds: int, sample: str = "") -> None:
        if folds < 1:
            msg = f"an event is simulated at least once, found {folds} folds"
            raise ValueError(msg)
        if any(axis.traits.growth for axis in axes):
            msg = "an axis may not grow: bins must be the same for all fills"
            raise ValueError(msg)
        self.axes = hist.Hist(*axes).axes
        self.folds, self.sample = folds, sample
        self._shape = self.axes.extent
        bins = math.prod(self._shape)
        self._closed = _Moments(np.zeros(bins), np.zeros((bins, bins)), np.zeros(bins))
        # Gen events that may go on in another fill: the parts that are there, by sample and event.
        self._open: dict[tuple[str, int], list[_Entries]] = {}

    def fill(
        self, *, gen_event: ArrayLike, fold: ArrayLike, weight: ArrayLike, **values: ArrayLike | ak.Array
    ) -> None:
        """Fill entries.

        Parameters
        ----------
        gen_event, fold, weight
            Shape (E,): of each event the branches ``genEventId`` and ``fold``, and its weight, such as
            ``genWeight`` times the integrated luminosity times the cross section over ``genEventSumw``.
        **values
            By name of the axis. One value an event, or a list of values an event, where every list has as
            many as those of the other axes.

        Raises
        ------
        ValueError
            If a value for an axis is missing or there is no such axis, lengths differ, or a fold has a number
            that is not below the number of folds.
        """
        if set(values) != set(self.axes.name):
            msg = f"expected values of {', '.join(self.axes.name)}, found {', '.join(values) or 'none'}"
            raise ValueError(msg)
        columns = [np.asarray(c) if not isinstance(c, ak.Array) else c for c in (gen_event, fold, weight)]
        columns += [ak.Array(values[name]) for name in self.axes.name]
        if len({len(column) for column in columns}) > 1:
            msg = f"gen_event, fold, weight and values differ in length: {[len(c) for c in columns]}"
            raise ValueError(msg)
        flat = [np.asarray(ak.flatten(column, axis=None)) for column in ak.broadcast_arrays(*columns)]
        events, folds, weights = flat[0].astype(np.uint64), flat[1].astype(np.int64), flat[2]
        if len(folds) and (folds.min() < 0 or folds.max() >= self.folds):
            msg = f"expected folds 0 to {self.folds - 1}, found {folds.min()} to {folds.max()}"
            raise ValueError(msg)
        bins, inside = self._bins(flat[3:])
        entries = _Entries(folds, bins, weights.astype(np.float64)).select(inside)
        events = events[inside]
        if not len(events):
            return
        ends = np.isin(events, events[[0, -1]])
        for event in np.unique(events[[0, -1]]).tolist():
            self._open.setdefault((self.sample, event), []).append(entries.select(events == event))
        self._closed += self._moments(events[~ends], entries.select(~ends))

    def __add__(self, other: OversampledHistogram) -> OversampledHistogram:
        """Add what two histograms hold, of parts of one sample or of different samples.

        Raises
        ------
        ValueError
            If axes or numbers of folds differ.
        """
        if self.axes != other.axes or self.folds != other.folds:
            msg = "histograms can only be added if they have the same axes and the same number of folds"
            raise ValueError(msg)
        added = copy.copy(self)
        added._closed = self._closed + other._closed
        added._open = {
            key: [*self._open.get(key, []), *other._open.get(key, [])]
            for key in {**self._open, **other._open}
        }
        return added

    def values(self) -> NDArray[np.float64]:
        """Give the sums of weights, of the shape of the axes without flow bins."""
        return self._shaped(self._all().sums)

    def variances(self) -> NDArray[np.float64]:
        """Give the squares of the statistical errors of `values`."""
        return self._shaped(self._all().covariance.diagonal())

    def covariance(self) -> NDArray[np.float64]:
        """Give the covariance of all bins of `values`, flattened, shape (B, B)."""
        inside = self._shaped(np.arange(math.prod(self._shape))).ravel()
        covariance: NDArray[np.float64] = self._all().covariance[np.ix_(inside, inside)]
        return covariance

    def effective_entries(self) -> NDArray[np.float64]:
        """Give the numbers of unweighted events with the same relative errors; NaN where a bin is empty."""
        moments = self._all()
        return self._shaped(_ratio(moments.sums**2, moments.covariance.diagonal()))

    def gain(self) -> NDArray[np.float64]:
        """Give the factors by which more gen events would be needed for the same errors without oversampling.

        From 1, where all folds of a gen event fall into one bin, to the number of folds, where no two do; NaN
        where a bin is empty.
        """
        moments = self._all()
        return self._shaped(_ratio(self.folds * moments.alone, moments.covariance.diagonal()))

    def overall_gain(self) -> float:
        """Give one `gain` for the whole observable: sums over the bins of what it is the ratio of."""
        moments = self._all()
        alone, variances = self._shaped(moments.alone), self._shaped(moments.covariance.diagonal())
        return float(_ratio(self.folds * alone.sum(), variances.sum()))

    def to_hist(self) -> hist.Hist[Any]:
        """Give values and variances as a histogram that draws itself; correlations are lost, flow is not."""
        moments = self._all()
        histogram = hist.Hist(*self.axes, storage=hist.storage.Weight())
        view = histogram.view(flow=True)
        view["value"] = moments.sums.reshape(self._shape)
        view["variance"] = moments.covariance.diagonal().reshape(self._shape)
        return histogram

    def _bins(self, values: list[NDArray[Any]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Numbers of the bins, flow bins included, and whether there is one."""
        inside = np.ones(len(values[0]), dtype=bool)
        indices = []
        for axis, column in zip(self.axes, values, strict=True):
            index = np.asarray(axis.index(column), dtype=np.int64) + bool(axis.traits.underflow)
            inside &= (index >= 0) & (index < axis.extent)
            indices.append(index)
        clipped = np.ravel_multi_index(tuple(indices), self._shape, mode="clip")
        return np.asarray(clipped, dtype=np.int64), inside

    def _moments(self, events: NDArray[np.uint64], entries: _Entries) -> _Moments:
        numbers = np.unique(events, return_inverse=True)[1]
        return _Moments.of_events(numbers, entries, self.folds, math.prod(self._shape))

    def _all(self) -> _Moments:
        if not self._open:
            return self._closed
        parts = [_Entries.merged(parts) for parts in self._open.values()]
        events = np.repeat(np.arange(len(parts)), [len(part.bins) for part in parts])
        return self._closed + self._moments(events.astype(np.uint64), _Entries.merged(parts))

    def _shaped(self, flat: NDArray[Any]) -> NDArray[Any]:
        inner = (slice(bool(a.traits.underflow), bool(a.traits.underflow) + a.size) for a in self.axes)
        return flat.reshape(self._shape)[tuple(inner)]


def _ratio(above: Any, below: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(above, below)
