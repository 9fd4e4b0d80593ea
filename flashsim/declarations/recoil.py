"""A momentum of the whole event that balances what is reconstructed: the missing transverse momentum.

What the detector gets wrong of each object is missing in it: ``expected = gen - sum(measured - true)``. The
rest, the soft term, belongs to no object and is what is simulated. `flashsim.events.recoil` computes it.
"""

from __future__ import annotations

from pydantic import Field

from flashsim.declarations.recipes import Recipe

__all__ = ["Measured", "Recoil"]


class Measured(Recipe):
    """Objects whose measurement moves a recoil."""

    reco: str = Field(description="reconstructed collection, simulated before")
    gen: str = Field(description="gen collection that its objects come from")
    match: str = Field(description="field of the reconstructed collection with the index of the gen object")
    where: dict[str, float] = Field(default={}, description="values of fields that an object must have")

    @property
    def fields(self) -> list[str]:
        """Fields of the reconstructed collection that are needed."""
        return ["pt", "eta", "phi", self.match, *self.where]


class Recoil(Recipe):
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
        """Fields that `flashsim.events.recoil.expected_momentum` adds to the gen-level event."""
        return [f"{self.name}_expected", f"{self.name}_axis"]
