"""What the response of a jet depends on, and the random numbers that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.reference.detector.forms import flavour_class

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection
    from flashsim.reference.detector.truth import Noise, Truth

    Floats = NDArray[np.float64]

__all__ = ["DrawSource", "Draws", "JetCauses"]


@dataclass(frozen=True)
class JetCauses:
    """Jets before the detector: gen jets, or what stands for one where there is none.

    Parameters
    ----------
    columns
        Those of `Truth.jets` with hidden variables, and ``neighbours``, the pT sum around each jet in GeV;
        shapes (N,).
    flavour
        `flavour_class` of each.
    rho
        Energy density of each jet's event, in GeV.
    typical_density
        The density that the parameters are for, in GeV.
    is_pileup
        1 for jets without gen jet, 0 for others.
    """

    columns: Mapping[str, NDArray[Any]]
    flavour: NDArray[np.int64]
    rho: Floats
    typical_density: float
    is_pileup: float

    @classmethod
    def of(cls, jets: Collection, rho: Floats, typical_density: float, *, is_pileup: bool) -> JetCauses:
        """Take jets of E events with the energy density of each event, shape (E,)."""
        return cls(
            jets.columns, flavour_class(jets.columns), rho[jets.event_rows], typical_density, float(is_pileup)
        )

    def __getitem__(self, column: str) -> Floats:
        """Column of the jets, shape (N,)."""
        values: Floats = self.columns[column]
        return values

    @cached_property
    def density(self) -> Floats:
        """Energy density over the typical one, shape (N,)."""
        return self.rho / self.typical_density

    @cached_property
    def abs_eta(self) -> Floats:
        """Magnitude of pseudorapidity, shape (N,)."""
        return np.abs(self["eta"])

    @cached_property
    def lepton(self) -> Floats:
        """Energy fraction of electrons and muons, shape (N,)."""
        return np.minimum(self["muEF"] + self["chEmEF"], 1.0)


@dataclass(frozen=True)
class Draws:
    """Random numbers of N objects for one purpose.

    Parameters
    ----------
    normal, uniform
        Standard normal numbers and ones in (0, 1); a row for each number, shapes (number, N).
    """

    normal: Floats
    uniform: Floats


@dataclass(frozen=True)
class DrawSource:
    """Where the random numbers of N objects come from.

    Parameters
    ----------
    truth, noise
        The events and the detector's random numbers.
    objects
        The objects; the numbers belong to their events and positions.
    name
        What they are, such as ``"Jet"``.
    """

    truth: Truth
    noise: Noise
    objects: Collection
    name: str

    def draw(self, purpose: str, numbers: tuple[int, int]) -> Draws:
        """Draw that many normal and uniform numbers of each object; those of different purposes differ."""
        normal = self.noise.normal(self.truth, self.objects, self.name, f"{purpose} normal", numbers[0])
        uniform = self.noise.uniform(self.truth, self.objects, self.name, f"{purpose} uniform", numbers[1])
        return Draws(np.ascontiguousarray(normal.T), np.ascontiguousarray(uniform.T))

    def draw_all(self, purpose: str, numbers: Sequence[tuple[int, int]]) -> list[Draws]:
        """Draw the numbers of several stages at once, which is faster than one by one."""
        normals, uniforms = (np.cumsum([0, *column]) for column in zip(*numbers, strict=True))
        every = self.draw(purpose, (int(normals[-1]), int(uniforms[-1])))
        return [
            Draws(every.normal[a:b], every.uniform[c:d])
            for (a, b), (c, d) in zip(pairwise(normals), pairwise(uniforms), strict=True)
        ]
