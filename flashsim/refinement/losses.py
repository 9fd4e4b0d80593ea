"""What a refiner is trained for: an ensemble loss, pair losses, sums of probabilities, ranges.

All losses are made once a step, on latent values of unit variance, and combined stage by stage: one is
minimised, others are held at a value by multipliers. Two simulations of one gen object are two draws of a
distribution, so a pair loss alone would make refined objects too much alike; the discrepancy compares
ensembles.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn

from flashsim.learning.fitting import Objective
from flashsim.refinement.mdmm import Constraint, Multipliers
from flashsim.refinement.mmd import FourierFeatures, MixtureKernel, grouped_mmd

if TYPE_CHECKING:
    from collections.abc import Callable

    from flashsim.declarations.refinement import RefinerRecipe, Stage
    from flashsim.refinement.network import Latent, Refiner

__all__ = ["LOSSES", "Batch", "RefinementObjective", "boundary", "deepjet_sum", "huber", "mse", "unitarity"]

_HUBER = 0.1
_LARGEST_SUM = 10.0
"""A sum of probabilities is cut here: where c against light tends to 0 it has no bound."""


class Batch(NamedTuple):
    """A batch of N pairs with V variables on latent scale.

    Parameters
    ----------
    refined
        Refined values of the fast simulation, shape (N, V).
    fast, full
        The two simulations; ``values`` and ``undefined`` have shape (N, V).
    condition
        What the network is given, shape (N, C).
    gen
        Gen fields, on their own scale, shape (N, G).
    """

    refined: Tensor
    fast: Latent
    full: Latent
    condition: Tensor
    gen: Tensor

    @property
    def differences(self) -> Tensor:
        """Refined minus full values that both simulations define, shape (M,)."""
        defined = ~(self.fast.undefined | self.full.undefined)
        return (self.refined - self.full.values)[defined]


def mse(batch: Batch) -> Tensor:
    """Mean squared difference of pairs, shape ()."""
    found = batch.differences
    return found.square().sum() / max(1, found.numel())


def huber(batch: Batch) -> Tensor:
    """Mean Huber loss of the differences of pairs, shape ()."""
    found = batch.differences
    total = nn.functional.huber_loss(found, torch.zeros_like(found), delta=_HUBER, reduction="sum")
    return total / max(1, found.numel())


LOSSES: dict[str, Callable[[Batch], Tensor]] = {
    "mse": mse,
    "huber": huber,
}
"""Losses that a batch is all they need for, by name."""


class RefinementObjective(Objective):
    """Losses and multipliers of all stages, with the kernel that they share.

    Parameters
    ----------
    recipe
        Which losses, when.
    network
        The refiner, fitted.
    fast, full, gen
        Training rows, shapes (N, V), (N, V), (N, G): bandwidths, ranges and values of the full simulation are
        from these.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self, recipe: RefinerRecipe, network: Refiner, fast: Tensor, full: Tensor, gen: Tensor
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.stage = 0
        self.flag_columns = [k for k, v in enumerate(recipe.variables) if v.undefined is not None]
        with torch.no_grad():
            uniform = torch.rand(full.shape, generator=torch.Generator().manual_seed(recipe.seed))
            latent, condition = network.encode(full, gen, uniform), network.condition(gen)
            joint = self.joint(latent.values, latent, condition)
            kernel = MixtureKernel.fit(
                joint, widths=recipe.kernel.widths, count=recipe.kernel.rows, seed=recipe.seed
            )
            self.register_buffer("low", latent.values.amin(0))
            self.register_buffer("high", latent.values.amax(0))
            sums = self._sums(network, latent.values, latent, gen)
        features = recipe.kernel.features
        subsets = self._subsets(joint.shape[1]) if recipe.kernel.subsets else ()
        self.kernel = (
            FourierFeatures(kernel, features, subsets=subsets, seed=recipe.seed) if features else kernel
        )
        self.multipliers = nn.ModuleList(self._multipliers(stage, sums) for stage in recipe.stages)
        self.unrefined = self._unrefined(network, fast, full, gen)

    def forward(
        self, network: nn.Module, rows: tuple[Tensor, ...], generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        """All losses of a batch of fast, full and gen values; ``loss`` is the Lagrangian in training.

        In evaluation ``loss`` is the discrepancy (U-statistic), whatever the stage: it means the same in
        every epoch, while a Lagrangian moves with its multipliers.
        """
        refiner = cast("Refiner", network)
        fast_values, full_values, gen = rows
        uniform = torch.rand((2, *fast_values.shape), generator=generator, device=gen.device)
        fast = refiner.encode(fast_values, gen, uniform[0])
        full = refiner.encode(full_values, gen, uniform[1])
        condition = refiner.condition(gen)
        refined = fast.values + refiner.shift(fast, condition)
        losses = self._losses(refiner, Batch(refined, fast, full, condition, gen))
        multipliers = self._current
        parts = {name: loss.detach() for name, loss in losses.items()} | multipliers.state(losses)
        primary = losses[self.recipe.stages[self.stage].primary]
        total = multipliers(primary, losses) if network.training else losses["mmd"]
        return {"loss": total, **parts}

    def begin_epoch(self, epoch: int) -> None:
        """Choose the stage that an epoch belongs to."""
        end = 0
        for number, stage in enumerate(self.recipe.stages):
            end = end + stage.epochs if stage.epochs is not None else epoch + 1
            self.stage = number
            if epoch < end:
                return

    def after_backward(self) -> None:
        """Let the multipliers ascend."""
        self._current.ascend()

    def joint(self, values: Tensor, latent: Latent, condition: Tensor) -> Tensor:
        """Columns that the kernel compares, shape (N, D): values, whether any is undefined, conditions."""
        columns = [values]
        if self.flag_columns:
            columns.append(latent.undefined[:, self.flag_columns].any(1, keepdim=True).to(values))
        return torch.cat([*columns, condition], 1)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """Constraints of the current stage, their targets as numbers."""
        return self._current.constraints

    @property
    def _current(self) -> Multipliers:
        return cast("Multipliers", self.multipliers[self.stage])

    def _losses(self, network: Refiner, batch: Batch) -> dict[str, Tensor]:
        losses = self._discrepancies(batch) | {name: loss(batch) for name, loss in LOSSES.items()}
        losses["boundary"] = boundary(batch.refined, self.low, self.high)
        sums = self._sums(network, batch.refined, batch.fast, batch.gen)
        if sums is not None:
            losses["unitarity_mean"], losses["unitarity_std"] = unitarity(sums)
        return losses

    def _discrepancies(self, batch: Batch) -> dict[str, Tensor]:
        x = self.joint(batch.refined, batch.fast, batch.condition)
        y = self.joint(batch.full.values, batch.full, batch.condition)
        if self.recipe.groups is None:
            # One group: the last batch of a split may be too small for a discrepancy.
            return {"mmd": grouped_mmd(x, y, torch.zeros(len(x), device=x.device), self.kernel)[0]}
        groups = batch.gen[:, self.recipe.gen_fields.index(self.recipe.groups)]
        total, parts = grouped_mmd(x, y, groups, self.kernel)
        known = next(c.categories for c in self.recipe.conditions if c.field == self.recipe.groups)
        # Every batch has every column, though it may have no row of a rare group.
        zero = torch.zeros_like(total)
        return {"mmd": total} | {f"mmd_{group}": parts.get(group, zero) for group in known}

    def _sums(self, network: Refiner, values: Tensor, latent: Latent, gen: Tensor) -> Tensor | None:
        names = self.recipe.deepjet
        if names is None:
            return None
        at = [self.recipe.branches.index(n) for n in (names.b, names.c_against_b, names.c_against_light)]
        defined = ~latent.undefined[:, at].any(1)
        return deepjet_sum(*network.decode(values[defined], gen[defined])[:, at].T)

    def _subsets(self, columns: int) -> list[tuple[int, ...]]:
        """Choose columns of `joint`: a variable, two of them, one and a condition that is a number, all."""
        variables = range(len(self.recipe.variables))
        first = len(variables) + bool(self.flag_columns)
        sizes = [max(1, len(c.categories)) for c in self.recipe.conditions]
        starts = [first + sum(sizes[:k]) for k in range(len(sizes))]
        numbers = [s for s, c in zip(starts, self.recipe.conditions, strict=True) if not c.categories]
        return [
            *((v,) for v in variables),
            *itertools.combinations(variables, 2),
            *itertools.product(variables, numbers),
            tuple(range(columns)),
        ]

    def _multipliers(self, stage: Stage, sums_of_full: Tensor | None) -> Multipliers:
        of_full: dict[str, float] = {}
        if sums_of_full is not None:
            mean, deviation = unitarity(sums_of_full)
            of_full = {"unitarity_mean": float(mean), "unitarity_std": float(deviation)}
        constraints = [
            Constraint(c.loss, of_full[c.loss] if c.target == "full" else float(c.target), c.scale, c.damping)
            for c in stage.constraints
        ]
        return Multipliers(
            constraints, learning_rate=self.recipe.multiplier_rate, bound=self.recipe.multiplier_bound
        )

    @torch.no_grad()
    def _unrefined(self, network: Refiner, fast: Tensor, full: Tensor, gen: Tensor) -> dict[str, float]:
        """Losses of the fast simulation as it is, from as many rows as a validation batch has."""
        rows = slice(self.recipe.validation_batch)
        training, network.training = network.training, False
        losses = self(network, (fast[rows], full[rows], gen[rows]), torch.Generator().manual_seed(0))
        network.training = training
        return {name: float(value) for name, value in losses.items()}


def deepjet_sum(b: Tensor, c_against_b: Tensor, c_against_light: Tensor) -> Tensor:
    """Sum of the probabilities that DeepJet's discriminators imply, shape (N,); 1 for a consistent set.

    With c = B CvB / (1 - CvB) the sum b + c + uds + g is B + c / CvL: quark against gluon cancels.

    Parameters
    ----------
    b, c_against_b, c_against_light
        Discriminators in [0, 1], shape (N,).
    """
    tiny = torch.finfo(b.dtype).eps
    c = b * c_against_b / (1.0 - c_against_b).clamp(min=tiny)
    return (b + c / c_against_light.clamp(min=tiny)).clamp(max=_LARGEST_SUM)


def unitarity(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of sums of probabilities; 1 and 0 where there are too few."""
    if len(sums) < 2:
        return sums.sum() * 0.0 + 1.0, sums.sum() * 0.0
    return sums.mean(), sums.std()


def boundary(latent: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Mean squared distance by which latent values, shape (N, V), leave the range [low, high], shape (V,)."""
    return ((low - latent).clamp(min=0.0) + (latent - high).clamp(min=0.0)).square().mean()
