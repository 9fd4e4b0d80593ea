"""The refiner: a residual network between raw values, with all transforms inside.

As in "Refining fast simulation using machine learning" (arXiv:2309.12919) the network adds something to the
fast simulation's values, on transformed scales, and starts as the exact identity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from flashsim.refinement.transforms import ColumnTransform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.declarations.refinement import Condition, RefinerRecipe

__all__ = ["Latent", "Refiner"]

_LEAST_DEVIATION = 1e-6
_SEEN = torch.tensor([0.001, 0.999])
"""Quantiles of the values between which a network learns what to do with them."""
_LARGEST_MEASURE = 1e12
"""With it squares, and ratios of it, are finite in single precision."""


class Latent(NamedTuple):
    """Values on the scale that the network sees.

    Parameters
    ----------
    values
        Standardised, shape (N, V); 0 where undefined.
    undefined
        Shape (N, V), bool.
    """

    values: Tensor
    undefined: Tensor


class Refiner(nn.Module):
    """Refines the variables of a recipe.

    Call `fit` once before training; its results are part of the state.

    Parameters
    ----------
    recipe
        What is refined, given what, and the size of the network.
    """

    keeps_sign: Tensor
    mean: Tensor
    deviation: Tensor
    value_low: Tensor
    value_high: Tensor
    condition_mean: Tensor
    condition_deviation: Tensor
    condition_low: Tensor
    condition_high: Tensor

    def __init__(self, recipe: RefinerRecipe) -> None:
        super().__init__()
        self.branches, self.gen_fields = recipe.branches, recipe.gen_fields
        self.conditions: list[Condition] = recipe.conditions
        self.measures = [variable.relative_to for variable in recipe.variables]
        keeps_sign = torch.tensor([variable.keeps_sign for variable in recipe.variables])
        self.register_buffer("keeps_sign", keeps_sign, persistent=False)
        self.transforms = nn.ModuleList(
            ColumnTransform(v, self.gen_fields.index(v.gen_field) if v.transform == "excess" else None)
            for v in recipe.variables
        )
        variables, conditions = len(self.branches), sum(max(1, len(c.categories)) for c in self.conditions)
        for name, columns, value in (
            ("mean", variables, 0.0),
            ("deviation", variables, 1.0),
            ("value_low", variables, -math.inf),
            ("value_high", variables, math.inf),
            ("condition_mean", conditions, 0.0),
            ("condition_deviation", conditions, 1.0),
            ("condition_low", conditions, -math.inf),
            ("condition_high", conditions, math.inf),
        ):
            self.register_buffer(name, torch.full((columns,), value))
        size = recipe.network
        self.enter = nn.Linear(2 * variables + conditions, size.width)
        self.blocks = nn.ModuleList(_Block(size.width, size.dropout) for _ in range(size.blocks))
        self.leave = nn.Linear(size.width, variables)
        # Nothing is added before training: identity.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    @torch.no_grad()
    def fit(self, full: Tensor, gen: Tensor) -> None:
        """Fit scales to values of the full simulation, shape (N, V), and their gen objects, (N, G)."""
        for k, transform in enumerate(self._columns()):
            transform.fit(full[:, k] / self._measure(k, full.unbind(1), gen), gen)
        spread = torch.rand(full.shape, generator=torch.Generator().manual_seed(0))
        raw, undefined = self._raw(full, gen, spread)
        for number in range(full.shape[1]):
            defined = raw[~undefined[:, number], number]
            if len(defined) > 1:
                self.mean[number] = defined.mean()
                self.deviation[number] = defined.std().clamp(min=_LEAST_DEVIATION)
                seen = (defined - self.mean[number]) / self.deviation[number]
                self.value_low[number], self.value_high[number] = seen.quantile(_SEEN.to(seen))
        plain = self._conditions(gen)
        for column, number in self._numbers():
            values = plain[:, column]
            self.condition_mean[column], self.condition_deviation[column] = values.mean(), 1.0
            if number:
                self.condition_deviation[column] = values.std().clamp(min=_LEAST_DEVIATION)
            else:
                self.condition_mean[column] = 0.0
            self.condition_low[column], self.condition_high[column] = values.min(), values.max()

    def forward(self, values: Tensor, gen: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Refined values, shape (N, V).

        Parameters
        ----------
        values
            Of the fast simulation, as NanoAOD has them, in the order of `branches`, shape (N, V).
        gen
            Of the gen objects, in the order of `gen_fields`, shape (N, G).
        uniform
            Numbers in [0, 1) that spread atoms, shape (N, V); by default the middle. Other variables ignore
            them.
        """
        uniform = torch.full_like(values, 0.5) if uniform is None else uniform
        latent = self.encode(values, gen, uniform)
        shift = self.shift(latent, self.condition(gen))
        # No value becomes one that hardly any object has; in training that would stop all gradients.
        seen = self._seen(latent)
        inside = shift.clamp(self.value_low - seen, self.value_high - seen)
        refined = self.decode(latent.values + inside, gen)
        refined = torch.where(self.keeps_sign, refined.copysign(values), refined)
        # What is not moved keeps its value to the last bit, which no transform and its inverse promise.
        return torch.where(latent.undefined | self._still(shift), values, refined)

    def encode(self, values: Tensor, gen: Tensor, uniform: Tensor) -> Latent:
        """Values to the scale that the network sees; parameters as for `forward`."""
        raw, undefined = self._raw(values, gen, uniform)
        return Latent(torch.where(undefined, 0.0, (raw - self.mean) / self.deviation), undefined)

    def decode(self, latent: Tensor, gen: Tensor) -> Tensor:
        """Values, shape (N, V), of latent ones, which branches can have; magnitudes where a sign is kept."""
        raw = latent * self.deviation + self.mean
        columns: list[Tensor] = []
        for k, transform in enumerate(self._columns()):
            columns.append(transform.inverse(raw[:, k], gen) * self._measure(k, columns, gen))
        return torch.stack(columns, dim=1)

    def condition(self, gen: Tensor) -> Tensor:
        """Standardised conditions inside the range of training, shape (N, C), of gen values, (N, G)."""
        inside = self._conditions(gen).clamp(self.condition_low, self.condition_high)
        return (inside - self.condition_mean) / self.condition_deviation

    def shift(self, latent: Latent, condition: Tensor) -> Tensor:
        """Find what is added to latent values, shape (N, V); 0 where they are undefined.

        Values that hardly any object has are moved as the outermost of the others: so few tell nothing.
        """
        hidden = self.enter(torch.cat((self._seen(latent), latent.undefined.to(condition), condition), 1))
        for block in self.blocks:
            hidden = block(hidden)
        shift: Tensor = self.leave(nn.functional.silu(hidden))
        return shift.masked_fill(latent.undefined, 0.0)

    def _seen(self, latent: Latent) -> Tensor:
        """Latent values, shape (N, V), held between those that all but a few objects have."""
        return latent.values.clamp(self.value_low, self.value_high)

    def _columns(self) -> list[ColumnTransform]:
        return [transform for transform in self.transforms if isinstance(transform, ColumnTransform)]

    def _measure(self, number: int, columns: Sequence[Tensor], gen: Tensor) -> Tensor | float:
        """Give what a variable is relative to, shape (N,), by the values of those before it; mostly 1."""
        measure = self.measures[number]
        if measure is None:
            return 1.0
        parts = [columns[self.branches.index(name)] for name in measure.of]
        if measure.along:
            stretch = gen[:, self.gen_fields.index("eta")].cosh()
            parts += [columns[self.branches.index(name)] / stretch for name in measure.along]
        squares = [part.clamp(-_LARGEST_MEASURE, _LARGEST_MEASURE).square() for part in parts]
        return torch.stack(squares).sum(0).clamp(min=measure.least**2).sqrt()

    def _still(self, shift: Tensor) -> Tensor:
        """Tell what is not moved, neither itself nor what it is relative to, shape (N, V)."""
        still: list[Tensor] = []
        for k, measure in enumerate(self.measures):
            names = [] if measure is None else [*measure.of, *measure.along]
            own = shift[:, k] == 0.0
            still.append(torch.stack([own, *(still[self.branches.index(name)] for name in names)]).all(0))
        return torch.stack(still, 1)

    def _raw(self, values: Tensor, gen: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        plain = torch.where(self.keeps_sign, values.abs(), values)
        relative = [column / self._measure(k, values.unbind(1), gen) for k, column in enumerate(plain.T)]
        parts = [t.forward(relative[k], gen, uniform[:, k]) for k, t in enumerate(self._columns())]
        undefined = [t.is_undefined(values[:, k]) for k, t in enumerate(self._columns())]
        return torch.stack(parts, 1), torch.stack(undefined, 1)

    def _conditions(self, gen: Tensor) -> Tensor:
        columns: list[Tensor] = []
        for condition in self.conditions:
            values = gen[:, self.gen_fields.index(condition.field)]
            if condition.categories:
                columns += [(values == category).to(values) for category in condition.categories]
            elif condition.scale == "log":
                columns.append(values.clamp(min=_LEAST_DEVIATION).log())
            else:
                columns.append(values.abs() if condition.scale == "abs" else values)
        return torch.stack(columns, dim=1)

    def _numbers(self) -> list[tuple[int, bool]]:
        """Condition columns, and whether each is a number (and no flag)."""
        kinds = [not c.categories for c in self.conditions for _ in range(max(1, len(c.categories)))]
        return list(enumerate(kinds))


class _Block(nn.Module):
    """Two layers around which the input is carried; a Fixup-like start: the second layer gives zero."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        inner = nn.functional.silu(self.first(nn.functional.silu(hidden)))
        carried: Tensor = hidden + self.second(self.dropout(inner))
        return carried
