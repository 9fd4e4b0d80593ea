"""The phase space of a training: where its conditioning lay, and what lies outside of it.

A network answers any question; outside of what it was trained on the answer is a guess. A model therefore
keeps the range of each column that it is given and a coarse density of pairs of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.conditioning import Activity, Categories, EventValue, GenField, Number
from flashsim.transforms.columns import Standard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.conditioning import Conditioning, Scale

    Columns = Mapping[str, NDArray[Any]]
    Masks = dict[str, NDArray[np.bool_]]

__all__ = ["CELLS", "PROBABILITIES", "Axis", "OutsideCount", "PhaseSpace", "any_of"]

PROBABILITIES = (0.0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0)
"""Of the quantiles that are kept of each column; the outermost are its range."""

CELLS = 12
"""Cells along each side of a density, of equal width on the scale that the networks see."""


@dataclass(frozen=True)
class Axis:
    """Distribution of one column in a training.

    Parameters
    ----------
    scale
        Scale on which the networks see the column.
    quantiles
        At `PROBABILITIES`, in the column's own unit; of the magnitude where the scale is ``abs``.
    """

    scale: Scale
    quantiles: tuple[float, ...]

    def __post_init__(self) -> None:
        quantiles = np.asarray(self.quantiles, dtype=np.float64)
        if quantiles.shape != (len(PROBABILITIES),) or not (
            np.isfinite(quantiles).all() and (np.diff(quantiles) >= 0.0).all()
        ):
            msg = f"expected {len(PROBABILITIES)} finite quantiles that never fall, found {quantiles}"
            raise ValueError(msg)

    @classmethod
    def fit(cls, column: NDArray[Any], scale: Scale) -> Axis:
        """Fit to finite values, shape (N,), at least one."""
        found = np.quantile(_natural(column, scale), PROBABILITIES, method="nearest")
        return cls(scale, tuple(float(f"{value:.9g}") for value in found))

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.quantiles[0], self.quantiles[-1]

    def outside(self, column: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which values, shape (N,), are beyond the limits."""
        values = _natural(column, self.scale)
        low, high = (np.float32(limit) for limit in self.limits)
        beyond: NDArray[np.bool_] = (values < low) | (values > high)
        return beyond

    def cells(self, column: NDArray[Any]) -> NDArray[np.intp]:
        """Cell of each value, shape (N,); values beyond the limits are in the outermost ones."""
        # Of two values the deviation is half of their distance: the limits are at -1 and 1.
        share = (self._between.forward(column) + 1.0) / 2.0
        return np.minimum(share * CELLS, CELLS - 1).astype(np.intp)

    @property
    def spreads(self) -> bool:
        """Whether the limits are apart on the scale, by more than rounding."""
        low, high = self._between.minimum, self._between.maximum
        return high - low > 1e-6 * max(1.0, abs(low), abs(high))

    @cached_property
    def _between(self) -> Standard:
        return Standard.fit(np.array(self.limits), self.scale)


def _natural(column: NDArray[Any], scale: Scale) -> NDArray[np.float32]:
    # In single precision, as tables are kept: a limit must not depend on which of the two is compared.
    values = np.asarray(column).astype(np.float32)
    return np.abs(values) if scale == "abs" else values


@dataclass(frozen=True)
class PhaseSpace:
    """Where the conditioning of a training lay.

    Parameters
    ----------
    rows
        How many rows it had.
    axes
        Distribution of each column.
    density
        For pairs of columns that vary, the number of rows in each of `CELLS` times `CELLS` cells.
    """

    rows: int
    axes: dict[str, Axis]
    density: dict[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def fit(cls, conditioning: Sequence[Conditioning], columns: Columns) -> PhaseSpace:
        """Fit to the columns of a training, finite, shape (N,) by name, as the declared list gives them."""
        scales = {name: scale for entry in conditioning for name, scale in entry.columns().items()}
        axes = {name: Axis.fit(columns[name], scale) for name, scale in scales.items()}
        # A column of one value tells nothing in a pair, and on a logarithm it may have no place.
        pairs = [pair for pair in _pairs(conditioning) if all(axes[name].spreads for name in pair)]
        cells = {name: axes[name].cells(columns[name]) for name in {n for pair in pairs for n in pair}}
        density = {(x, y): _counts(cells[x], cells[y]) for x, y in pairs}
        return cls(len(next(iter(columns.values()))), axes, density)

    def outside(self, columns: Columns) -> Masks:
        """Tell what lies outside of the training.

        A row is outside by a variable if its value is beyond the limits, and outside by a pair of variables
        if, inside the limits of both, neither its cell nor one beside it held a row of the training.

        Parameters
        ----------
        columns
            Conditioning columns by name, shape (N,), not NaN.

        Returns
        -------
        Masks of shape (N,) by variable, or by pair as ``"pt, eta"``, those only that are true somewhere.
        """
        beyond = {name: axis.outside(columns[name]) for name, axis in self.axes.items()}
        masks = {name: mask for name, mask in beyond.items() if mask.any()}
        cells = {name: self.axes[name].cells(columns[name]) for name in {n for p in self._empty for n in p}}
        firsts = {x: cells[x] * CELLS for x, _ in self._empty}
        for (x, y), empty in self._empty.items():
            mask = empty.take(firsts[x] + cells[y])
            if mask.any() and (mask := mask & ~beyond[x] & ~beyond[y]).any():
                masks[f"{x}, {y}"] = mask
        return masks

    @cached_property
    def _empty(self) -> dict[tuple[str, str], NDArray[np.bool_]]:
        """Cells of each pair, in a row, that held no row of the training, nor did one beside them."""
        windows = {
            pair: np.lib.stride_tricks.sliding_window_view(np.pad(counts > 0, 1), (3, 3))
            for pair, counts in self.density.items()
        }
        return {pair: ~window.any(axis=(2, 3)).ravel() for pair, window in windows.items()}

    def to_json(self) -> dict[str, Any]:
        """JSON form; `from_json` gives the same phase space back."""
        return {
            "rows": self.rows,
            "axes": {n: {"scale": a.scale, "quantiles": list(a.quantiles)} for n, a in self.axes.items()},
            "density": [
                {"pair": list(pair), "counts": counts.ravel().tolist()}
                for pair, counts in self.density.items()
            ],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> PhaseSpace:
        """Phase space of a JSON form.

        Raises
        ------
        KeyError, ValueError
            If it is none.
        """
        axes = {name: Axis(a["scale"], tuple(a["quantiles"])) for name, a in content["axes"].items()}
        density = {}
        for entry in content["density"]:
            x, y = entry["pair"]
            density[x, y] = np.array(entry["counts"], dtype=np.int64).reshape(CELLS, CELLS)
            if not {x, y} <= axes.keys() or density[x, y].min() < 0:
                msg = f"expected numbers of rows in the cells of two of its axes, found those of {x}, {y}"
                raise ValueError(msg)
        if type(content["rows"]) is not int or content["rows"] < 0:
            msg = f"expected a number of rows, found {content['rows']!r}"
            raise ValueError(msg)
        return cls(content["rows"], axes, density)


@dataclass(frozen=True)
class OutsideCount:
    """How many rows were outside of a phase space.

    Parameters
    ----------
    rows
        All that were asked about.
    outside
        Those outside by anything.
    variables
        Those outside by each variable and pair of variables; zeros are left out.
    """

    rows: int = 0
    outside: int = 0
    variables: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, masks: Mapping[str, NDArray[np.bool_]], rows: int) -> OutsideCount:
        """Count what `PhaseSpace.outside` found among a number of rows."""
        counts = {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}
        return cls(rows, int(np.count_nonzero(any_of(masks, rows))), counts)

    def __add__(self, other: OutsideCount) -> OutsideCount:
        """Count both."""
        names = dict.fromkeys((*self.variables, *other.variables))
        counts = {name: self.variables.get(name, 0) + other.variables.get(name, 0) for name in names}
        return OutsideCount(self.rows + other.rows, self.outside + other.outside, counts)


def any_of(masks: Mapping[str, NDArray[np.bool_]], rows: int) -> NDArray[np.bool_]:
    """Tell which rows are outside by anything, shape (rows,)."""
    found = np.zeros(rows, dtype=bool)
    for mask in masks.values():
        found |= mask
    return found


def _pairs(conditioning: Sequence[Conditioning]) -> list[tuple[str, str]]:
    """Pairs of columns whose density is kept: of all that vary smoothly, and of gen fields with labels."""
    smooth: dict[str, str] = {}
    for entry in conditioning:
        if isinstance(entry, GenField | EventValue | Number) or (
            isinstance(entry, Activity) and entry.outer is None
        ):
            # One column of each source: eta and its magnitude say the same.
            source = entry.field if isinstance(entry, GenField) else entry.name
            smooth.setdefault(source, entry.name)
    fields = [entry.name for entry in conditioning if isinstance(entry, GenField)]
    labels = [name for entry in conditioning if isinstance(entry, Categories) for name in entry.columns()]
    kept = [name for name in smooth.values() if name in fields]
    return [*combinations(smooth.values(), 2), *((name, label) for name in kept for label in labels)]


def _counts(x: NDArray[np.intp], y: NDArray[np.intp]) -> NDArray[np.int64]:
    counted: NDArray[np.int64] = np.bincount(x * CELLS + y, minlength=CELLS * CELLS).astype(np.int64)
    return counted.reshape(CELLS, CELLS)
