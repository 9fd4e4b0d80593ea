"""Differentiable transforms of one column, whose inverse gives only values that the branch can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from flashsim.declarations.refinement import Variable

__all__ = ["ColumnTransform"]

_EDGE = 2.0**-12
"""Half a step of a half float below one: no discriminator is nearer to its end, and apart from it."""

_OFFSET = 0.02
"""Share of the width that keeps values at a threshold away from log(0)."""

_EDGE_SHARE = 0.005
"""Share of the values above an atom that count as the smallest of them."""

_ATOM_SPREAD = 1.0
"""Width, on the log scale, over which an atom is spread."""

_LARGEST_EXPONENT = 60.0

_KNOTS = 24
_ROWS_PER_KNOT = 50
_LEAST_SPREAD = 1e-3


class ColumnTransform(nn.Module):
    """Transform of one variable to the scale that the network sees.

    - ``linear``: x;
    - ``excess``: log((x - t + d) / s(g)), with the threshold t, a small d, and the gen value g in
      s(g) = w log(1 + exp((g - t) / w)): the log-response far above the threshold, and going back never
      below it; then in units of its spread at g, from its median at g. At 300 GeV a response is ten times
      narrower than at 20 GeV, and a shift that is nothing there would be a bias here;
    - ``logit``: log(x / (1 - x)), for discriminators in [0, 1];
    - ``log``: log(x / w), for positive values; an atom is spread below the others, of which the smallest few
      in a thousand count as one value, and all that lies there going back is the atom, exactly;
    - ``asinh``: asinh(x / w), for values of both signs with tails.

    Parameters
    ----------
    variable
        Its declaration.
    gen_column
        Column of the gen values that an excess is relative to.
    """

    edge: Tensor
    knots: Tensor
    median: Tensor
    spread: Tensor

    def __init__(self, variable: Variable, gen_column: int | None) -> None:
        super().__init__()
        self.variable, self.gen_column = variable, gen_column
        self.register_buffer("edge", torch.zeros(()))
        self.register_buffer("knots", torch.arange(_KNOTS, dtype=torch.get_default_dtype()))
        self.register_buffer("median", torch.zeros(_KNOTS))
        self.register_buffer("spread", torch.ones(_KNOTS))

    def fit(self, column: Tensor, gen: Tensor) -> None:
        """Find where an atom ends, and how an excess depends on the gen value.

        Parameters
        ----------
        column
            Values, shape (N,).
        gen
            All gen values, shape (N, G).
        """
        if self.variable.transform == "excess" and len(column) >= _KNOTS * _ROWS_PER_KNOT:
            self._fit_excess(column, gen)
        atom = self.variable.atom
        if atom is not None:
            above = column[(column > atom) & ~self.is_undefined(column)]
            if len(above):
                # Not the smallest: an isolation of 1e-30, nothing but rounding, would stretch the scale.
                self.edge.copy_((above.quantile(_EDGE_SHARE) / self.variable.width).log())

    def _fit_excess(self, column: Tensor, gen: Tensor) -> None:
        order = self._place(gen).argsort()
        place, level = self._place(gen)[order], self._excess(column, gen)[order]
        shares = torch.tensor([0.16, 0.5, 0.84]).to(level)
        for knot, (where, found) in enumerate(
            zip(place.tensor_split(_KNOTS), level.tensor_split(_KNOTS), strict=True)
        ):
            low, middle, high = found.quantile(shares)
            self.knots[knot], self.median[knot] = where.mean(), middle
            self.spread[knot] = (0.5 * (high - low)).clamp(min=_LEAST_SPREAD)

    def is_undefined(self, values: Tensor) -> Tensor:
        """Which values say that there is none, shape (N,)."""
        if self.variable.undefined is None:
            return torch.zeros_like(values, dtype=torch.bool)
        return values == self.variable.undefined

    def forward(self, values: Tensor, gen: Tensor, uniform: Tensor) -> Tensor:
        """Transform values, shape (N,).

        Parameters
        ----------
        values
            As NanoAOD has them, shape (N,).
        gen
            All gen values, shape (N, G).
        uniform
            Numbers in [0, 1) that spread an atom, shape (N,).
        """
        v = self.variable
        match v.transform:
            case "excess":
                median, spread = self._expected(gen)
                return (self._excess(values, gen) - median) / spread
            case "logit":
                return values.clamp(_EDGE, 1.0 - _EDGE).logit()
            case "log":
                if v.atom is None:
                    return (values / v.width).clamp(min=1e-12).log()
                level = (values / v.width).log().clamp(min=self.edge)
                return torch.where(values <= v.atom, self.edge - _ATOM_SPREAD * (1.0 - uniform), level)
            case "asinh":
                return (values / v.width).asinh()
            case _:
                return values

    def inverse(self, latent: Tensor, gen: Tensor) -> Tensor:
        """Values, shape (N,), of transformed ones and all gen values, (N, G)."""
        v = self.variable
        bounded = latent.clamp(-_LARGEST_EXPONENT, _LARGEST_EXPONENT)
        match v.transform:
            case "excess":
                median, spread = self._expected(gen)
                level = (latent * spread + median).clamp(-_LARGEST_EXPONENT, _LARGEST_EXPONENT)
                above = level.exp() * self._scale(gen) - _OFFSET * v.width
                return above.clamp(min=0.0) + v.threshold
            case "logit":
                return latent.sigmoid()
            case "log":
                values = bounded.exp() * v.width
                return values if v.atom is None else torch.where(latent < self.edge, v.atom, values)
            case "asinh":
                return bounded.sinh() * v.width
            case _:
                return latent

    def _excess(self, values: Tensor, gen: Tensor) -> Tensor:
        above = (values - self.variable.threshold).clamp(min=0.0) + _OFFSET * self.variable.width
        return above.log() - self._place(gen)

    def _place(self, gen: Tensor) -> Tensor:
        """Place of gen values on the scale of the knots, shape (N,)."""
        return self._scale(gen).log()

    def _expected(self, gen: Tensor) -> tuple[Tensor, Tensor]:
        """Median and spread of the excess at each gen value, shape (N,): straight between knots."""
        place = self._place(gen)
        right = torch.searchsorted(self.knots, place).clamp(1, _KNOTS - 1)
        first, last = self.knots[right - 1], self.knots[right]
        share = ((place - first) / (last - first).clamp(min=1e-9)).clamp(0.0, 1.0)
        return self.median[right - 1].lerp(self.median[right], share), self.spread[right - 1].lerp(
            self.spread[right], share
        )

    def _scale(self, gen: Tensor) -> Tensor:
        v = self.variable
        distance = (gen[:, self.gen_column or 0] - v.threshold) / v.width
        return (nn.functional.softplus(distance) * v.width).clamp(min=1e-9)
