"""A momentum of the whole event that balances what is reconstructed: the missing transverse momentum.

What the detector gets wrong of each object is missing in it: ``expected = gen - sum(measured - true)``. The
rest, the soft term, belongs to no object and is what is simulated. `flashsim.events.recoil` computes it.
"""

from __future__ import annotations

from pydantic import Field, model_validator

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
    """A momentum of the event, given by ``NAME_pt`` and ``NAME_phi``, by other names of these, or by x and y.

    Its targets are ``NAME_along`` and ``NAME_across``: its components along the expected momentum, whose
    magnitude is the gen field ``NAME_expected``, and across it, in GeV; ``NAME_genAlong`` and
    ``NAME_genAcross`` are those of the gen-level momentum. Raw and corrected momenta share what
    is expected (`like`), so that their components can be compared.
    """

    name: str = Field(description="prefix of the branches, such as MET")
    gen: str = Field(default="", description="prefix of the gen-level branches, such as GenMET")
    minus: list[Measured] = Field(
        default=[], description="objects whose measured minus true momenta are taken away"
    )
    like: str = Field(
        default="", description="recoil with the same expected momentum, in place of gen and minus"
    )
    pt: str = Field(default="", description="branch of its magnitude, if it has another name")
    phi: str = Field(default="", description="branch of its azimuth, if it has another name")
    x: str = Field(default="", description="branch of its x component, of one that has no size and azimuth")
    y: str = Field(default="", description="branch of its y component")

    @model_validator(mode="after")
    def _one_expected(self) -> Recoil:
        if bool(self.gen) == bool(self.like) or (self.like and self.minus):
            msg = f"{self.name}: expected either 'gen' with 'minus', or 'like'"
            raise ValueError(msg)
        if bool(self.x) != bool(self.y) or (self.x and (self.pt or self.phi)):
            msg = f"{self.name}: expected 'x' and 'y', or 'pt' and 'phi'"
            raise ValueError(msg)
        return self

    @property
    def cartesian(self) -> bool:
        """Whether the branches are its components x and y."""
        return bool(self.x)

    @property
    def branches(self) -> list[str]:
        """Branches of the result."""
        if self.cartesian:
            return [self.x, self.y]
        return [self.pt or f"{self.name}_pt", self.phi or f"{self.name}_phi"]

    @property
    def targets(self) -> list[str]:
        """Targets that stand for them."""
        return [f"{self.name}_along", f"{self.name}_across"]

    @property
    def gen_branches(self) -> list[str]:
        """Branches of the gen-level momentum; none where another recoil has them."""
        return [f"{self.gen}_pt", f"{self.gen}_phi"] if self.gen else []

    @property
    def gen_fields(self) -> list[str]:
        """Fields that `flashsim.events.recoil.expected_momentum` adds to the gen-level event."""
        name = self.like or self.name
        return [f"{name}_expected", f"{name}_axis", f"{name}_genAlong", f"{name}_genAcross"]
