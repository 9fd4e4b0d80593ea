"""How near refined objects come to the full simulation, beside the fast one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import wasserstein_distance

from flashsim.refinement.losses import deepjet_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.declarations.refinement import RefinerRecipe
    from flashsim.refinement.network import Refiner
    from flashsim.refinement.pairs import PairRows

__all__ = ["Agreement", "Distance", "evaluate", "refine_rows"]

_TILE = 16384


@dataclass(frozen=True)
class Distance:
    """First Wasserstein distance of one variable to the full simulation, in the variable's unit.

    Parameters
    ----------
    variable, group
        What is compared; the group is ``all``, or the number of a category.
    rows
        Number of pairs.
    fast, refined
        The distances.
    floor
        Distance of the two halves of the full simulation, over the root of 2, as the distance that two equal
        ensembles of this size have.
    """

    variable: str
    group: str
    rows: int
    fast: float
    refined: float
    floor: float


@dataclass(frozen=True)
class Agreement:
    """Agreement with the full simulation.

    Parameters
    ----------
    distances
        Of each variable, overall and by group.
    correlation
        Largest difference of a coefficient of correlation, ``fast`` and ``refined``, over variables and gen
        fields, among pairs where all are defined.
    sums
        Mean of DeepJet's sum of probabilities: ``fast``, ``refined``, ``full``; empty without DeepJet.
    """

    distances: list[Distance]
    correlation: dict[str, float]
    sums: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    def numbers(self) -> dict[str, float]:
        """Numbers that tell refiners apart, each the smaller the better but the sum of probabilities."""
        distances = {f"wasserstein {d.variable} ({d.group})": d.refined for d in self.distances}
        sums = {
            f"sum of probabilities, {name}": value for name, value in self.sums.items() if name == "refined"
        }
        return distances | {"correlation": self.correlation["refined"]} | sums


@torch.inference_mode()
def refine_rows(network: Refiner, rows: PairRows, *, seed: int = 1) -> NDArray[np.float32]:
    """Refine the fast simulation of some pairs, shape (N, V)."""
    network.eval()
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for start in range(0, len(rows), _TILE):
        values = torch.from_numpy(rows.fast[start : start + _TILE])
        gen = torch.from_numpy(rows.gen[start : start + _TILE])
        parts.append(network(values, gen, torch.rand(values.shape, generator=generator)).numpy())
    return np.concatenate(parts)


def evaluate(recipe: RefinerRecipe, rows: PairRows, refined: NDArray[np.float32]) -> Agreement:
    """Compare fast and refined values with the full simulation.

    Parameters
    ----------
    recipe
        Names of columns and groups.
    rows
        The pairs.
    refined
        Refined values of their fast simulation, shape (N, V).
    """
    groups: dict[str, NDArray[np.bool_]] = {"all": np.ones(len(rows), dtype=bool)}
    if recipe.groups is not None:
        numbers = rows.gen[:, recipe.gen_fields.index(recipe.groups)]
        groups |= {f"{n:g}": numbers == n for n in np.unique(numbers)}
    distances = [
        _distance(name, group, rows.fast[chosen, k], refined[chosen, k], rows.full[chosen, k])
        for k, name in enumerate(recipe.branches)
        for group, chosen in groups.items()
        if np.count_nonzero(chosen) > 1
    ]
    samples = {"fast": rows.fast, "refined": refined, "full": rows.full}
    coefficients = {name: _correlation(recipe, rows.gen, values) for name, values in samples.items()}
    correlation = {
        name: float(np.nanmax(np.abs(coefficients[name] - coefficients["full"])))
        for name in ("fast", "refined")
    }
    sums = {name: _mean_sum(recipe, values) for name, values in samples.items()} if recipe.deepjet else {}
    return Agreement(distances, correlation, sums)


def _distance(
    variable: str,
    group: str,
    fast: NDArray[np.float32],
    refined: NDArray[np.float32],
    full: NDArray[np.float32],
) -> Distance:
    # Neighbours in the table share events, so halves are taken alternately.
    floor = wasserstein_distance(full[::2], full[1::2]) / np.sqrt(2.0)
    return Distance(
        variable,
        group,
        len(full),
        float(wasserstein_distance(fast, full)),
        float(wasserstein_distance(refined, full)),
        float(floor),
    )


def _defined(recipe: RefinerRecipe, values: NDArray[np.float32]) -> NDArray[np.bool_]:
    keep = np.ones(len(values), dtype=bool)
    for k, variable in enumerate(recipe.variables):
        if variable.undefined is not None:
            keep &= values[:, k] != np.float32(variable.undefined)
    return keep


def _correlation(
    recipe: RefinerRecipe, gen: NDArray[np.float32], values: NDArray[np.float32]
) -> NDArray[np.float64]:
    keep = _defined(recipe, values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(np.hstack((values, gen))[keep].T.astype(np.float64)))


def _mean_sum(recipe: RefinerRecipe, values: NDArray[np.float32]) -> float:
    names = recipe.deepjet
    if names is None:
        return float("nan")
    defined = torch.from_numpy(values[_defined(recipe, values)].astype(np.float64))
    at = [recipe.branches.index(n) for n in (names.b, names.c_against_b, names.c_against_light)]
    return float(deepjet_sum(*defined[:, at].T).mean())
