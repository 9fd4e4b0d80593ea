"""A momentum of the whole event that balances what is reconstructed: the missing transverse momentum.

What the detector gets wrong of each object is missing in it: ``expected = gen - sum(measured - true)``. The
rest, the soft term, belongs to no object and is what is simulated. Here the two are put together and taken
apart, the same way for training and for generation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from flashsim.matching import gen_rows
from flashsim.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.collection import Collection

    Floats = NDArray[np.float64]

__all__ = ["Balance", "Measured"]


class Measured(Recipe):
    """Objects whose measurement moves a balance."""

    reco: str = Field(description="reconstructed collection, simulated before")
    gen: str = Field(description="gen collection that its objects come from")
    match: str = Field(description="field of the reconstructed collection with the index of the gen object")
    where: dict[str, float] = Field(default={}, description="values of fields that an object must have")

    @property
    def fields(self) -> list[str]:
        """Fields of the reconstructed collection that are needed."""
        return ["pt", "eta", "phi", self.match, *self.where]


class Balance(Recipe):
    """A momentum of the event, given by ``NAME_pt`` and ``NAME_phi``.

    Its targets are ``NAME_along`` and ``NAME_across``: its components along the expected momentum, whose
    magnitude is the gen field ``NAME_expected``, and across it, in GeV.
    """

    name: str = Field(description="prefix of the branches, such as MET")
    gen: str = Field(description="prefix of the gen-level branches, such as GenMET")
    minus: list[Measured] = Field(description="objects whose measured minus true momenta are taken away")

    @property
    def branches(self) -> list[str]:
        """Branches of the result."""
        return [f"{self.name}_pt", f"{self.name}_phi"]

    @property
    def targets(self) -> list[str]:
        """Targets that stand for them."""
        return [f"{self.name}_along", f"{self.name}_across"]

    @property
    def gen_branches(self) -> list[str]:
        """Branches of the gen-level momentum."""
        return [f"{self.gen}_pt", f"{self.gen}_phi"]

    @property
    def gen_fields(self) -> list[str]:
        """Fields that `expected` adds to the gen-level event."""
        return [f"{self.name}_expected", f"{self.name}_axis"]

    def expected(
        self, gen_pt: Floats, gen_phi: Floats, collections: Mapping[str, Collection]
    ) -> dict[str, Floats]:
        """Magnitude and azimuth of the expected momentum, shape (E,) each, named as `gen_fields`.

        Parameters
        ----------
        gen_pt, gen_phi
            The gen-level momentum, shape (E,).
        collections
            Gen and reconstructed collections by name.
        """
        x, y = gen_pt * np.cos(gen_phi), gen_pt * np.sin(gen_phi)
        for measured in self.minus:
            moved = _moved(collections[measured.reco], collections[measured.gen], measured)
            x, y = x - moved[0], y - moved[1]
        return dict(zip(self.gen_fields, (np.hypot(x, y), np.arctan2(y, x)), strict=True))

    def components(self, pt: Floats, phi: Floats, axis: Floats) -> dict[str, Floats]:
        """Give the targets of a momentum, shape (N,), given the azimuth of what is expected."""
        return dict(zip(self.targets, (pt * np.cos(phi - axis), pt * np.sin(phi - axis)), strict=True))

    def momentum(self, targets: Mapping[str, Floats], axis: Floats) -> dict[str, Floats]:
        """Give the branches, shape (N,) each, of targets: what `components` does, undone."""
        along, across = (targets[name] for name in self.targets)
        phi = np.arctan2(across, along) + axis
        phi = np.arctan2(np.sin(phi), np.cos(phi))
        return dict(zip(self.branches, (np.hypot(along, across), phi), strict=True))


def _moved(reco: Collection, gen: Collection, measured: Measured) -> tuple[Floats, Floats]:
    """Sum of measured minus true momenta of the objects of each event, x and y, shape (E,)."""
    row = gen_rows(gen, reco, measured.match)
    chosen = row >= 0
    for field, value in measured.where.items():
        # A reference to a collection that is not simulated is not there.
        if field in reco.columns:
            chosen &= reco[field] == value
    objects, row = reco.select(chosen), row[chosen]
    event = objects.event_rows

    def total(component: NDArray[np.float64]) -> Floats:
        return np.bincount(event, weights=component, minlength=reco.events).astype(np.float64)

    pt, phi = objects["pt"].astype(np.float64), objects["phi"].astype(np.float64)
    true_pt, true_phi = gen["pt"][row], gen["phi"][row]
    return (
        total(pt * np.cos(phi) - true_pt * np.cos(true_phi)),
        total(pt * np.sin(phi) - true_pt * np.sin(true_phi)),
    )
