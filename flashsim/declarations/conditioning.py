"""What the networks are given: the kinds of conditioning variables that a declaration can list."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flashsim.declarations.expressions import Expression, names_of
from flashsim.declarations.gen_collections import FlagName
from flashsim.declarations.recipes import Recipe

__all__ = [
    "RECO",
    "Activity",
    "Angle",
    "Bits",
    "Categories",
    "Closest",
    "Conditioning",
    "Earlier",
    "EventValue",
    "GenField",
    "Momentum",
    "Number",
    "Scale",
    "Spread",
    "TurnOn",
]


Scale = Literal["linear", "abs", "log", "log1p"]
"""On which a network sees a column."""

RECO = "reco."
"""What names of simulated collections begin with: those drawn before; in training, the reconstructed ones."""


class _Conditioning(Recipe):
    name: str = Field(description="name of the column, or prefix of the columns")
    description: str = Field(default="", description="what it is, for the documentation")


class _OfCollection(_Conditioning):
    """What looks at the objects of a collection."""

    of: str = Field(description="gen collection, or reco.NAME for what is simulated before of NAME")
    where: dict[str, float] = Field(default={}, description="values of fields that an object must have")

    def reads(self) -> set[str]:
        """Fields of the collection that are needed."""
        return {"pt", "eta", "phi", *self.where}


class _Summed(_OfCollection):
    """What sums over a collection."""

    value: Expression | None = Field(
        default=None,
        description="what is summed, an expression of the objects' fields; none: as declared besides",
    )

    @model_validator(mode="after")
    def _of_fields(self) -> _Summed:
        if self.value is not None and not names_of(self.value).fields_only:
            msg = f"{self.name}: an expression of what is summed knows fields of its objects only"
            raise ValueError(msg)
        return self

    def reads(self) -> set[str]:
        """Fields of the collection that are needed."""
        return super().reads() | (set() if self.value is None else {*names_of(self.value).branches})


class GenField(_Conditioning):
    """A field of the gen object itself."""

    kind: Literal["field"]
    field: str = Field(description="field of the gen collection")
    scale: Scale = Field(default="linear", description="scale on which the network sees it")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: self.scale}


class TurnOn(_Conditioning):
    """A smooth step in a field: ``1 / (1 + exp(-(value - threshold) / width))``.

    Reconstruction starts at a threshold (in pT, or in the magnitude of eta), sharply on the scale of a whole
    spectrum; a network told where learns the turn-on curve from few objects.
    """

    kind: Literal["turn_on"]
    field: str = Field(description="field of the gen collection; its magnitude is used")
    threshold: float = Field(description="where the step is, in the unit of the field")
    width: float = Field(gt=0, description="its width, in the unit of the field")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: "linear"}


class Angle(_Conditioning):
    """An angle of the gen object, as cosine and sine: no seam."""

    kind: Literal["angle"]
    field: str = Field(description="field of the gen collection, in radians")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {f"{self.name}_cos": "linear", f"{self.name}_sin": "linear"}


class Categories(_Conditioning):
    """A label of the gen object, one-hot; labels in no category give all zeros."""

    kind: Literal["categories"]
    field: str = Field(description="field of the gen collection")
    categories: dict[str, list[int]] = Field(description="labels of each category; signs are ignored")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {f"{self.name}_{category}": "linear" for category in self.categories}


class Bits(_Conditioning):
    """Status flags of the gen particle, a column a flag."""

    kind: Literal["bits"]
    field: str = Field(default="statusFlags", description="field of the gen collection")
    flags: list[FlagName] = Field(description="names of the flags")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return dict.fromkeys(self.flags, "linear")


class EventValue(_Conditioning):
    """One value of the whole event: of the generator, such as the pileup, or simulated before."""

    kind: Literal["event"]
    branch: str = Field(description="NanoAOD branch with one value an event")
    of: str = Field(
        default="",
        pattern=r"^(reco\..+)?$",
        description="reco.NAME for what is simulated before, declared per event; none: of the generator",
    )
    otherwise: list[str] = Field(default=[], description="the branch's names in other NanoAOD versions")
    scale: Scale = Field(default="linear", description="scale on which the network sees it")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: self.scale}

    @property
    def key(self) -> str:
        """Name of the value among those of a chunk of events."""
        return f"{self.of}.{self.branch}" if self.of else self.branch


class Closest(_OfCollection):
    """The n-th closest object of a collection inside a cone, by distance in eta and phi.

    Columns: ``found`` (0 or 1), ``dr`` (the cone's size when there is none, so that an object at the edge and
    no object look alike), ``deta`` and ``dphi`` (object minus neighbour, 0 when there is none), for every
    name in `shares` the neighbour's value over the object's pT, and for every one in `values` its value as it
    is (0 when there is none).

    With `rest` also what is left of the neighbour without the object, as of a jet that holds a lepton:
    ``rest_share``, its pT over the object's, and ``rest_dr``, its distance from the object. Isolation is made
    of it, of a lepton with all leptons taken out (`without`). Where there is none, and below what NanoAOD's
    digits can tell, the share is 0.001; where there is none, or it is farther away, the distance is twice the
    cone.
    """

    kind: Literal["closest"]
    cone: float = Field(gt=0, description="largest distance")
    rank: int = Field(default=1, ge=1, description="1 for the closest, 2 for the second closest")
    shares: list[str] = Field(default=["pt"], description="fields of the neighbour, over the object's pT")
    values: dict[str, Scale] = Field(default={}, description="fields of the neighbour, each with its scale")
    rest: bool = Field(default=False, description="the neighbour holds the object: tell what else is in it")
    without: str | None = Field(
        default=None,
        description="gen collection that does not count in the rest, the object among it; none: only that",
    )

    @model_validator(mode="after")
    def _of_a_rest(self) -> Closest:
        if self.without is not None and not self.rest:
            msg = f"{self.name}: 'without' goes with 'rest: true'"
            raise ValueError(msg)
        return self

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        names: dict[str, Scale] = dict.fromkeys(
            (f"{self.name}_{suffix}" for suffix in ("found", "dr", "deta", "dphi")), "linear"
        )
        names |= dict.fromkeys((f"{self.name}_{share}_share" for share in self.shares), "log1p")
        names |= {f"{self.name}_{value}": scale for value, scale in self.values.items()}
        if self.rest:
            names |= {f"{self.name}_rest_share": "log", f"{self.name}_rest_dr": "linear"}
        return names

    def reads(self) -> set[str]:
        """Fields of the collection that are needed."""
        return super().reads() | {*self.shares, *self.values}


class Activity(_Summed):
    """Scalar sum over a collection: in a ring around the object, or of the whole event.

    A `value` is summed in place of pT. For a ring the object itself is left out by its distance being below
    `inner`. With `owned` each of the others counts for the closest of the objects only, as a lepton for the
    jet that holds it.
    """

    kind: Literal["activity"]
    quantity: Literal["pt", "energy"] = Field(
        default="pt", description="what is summed, in GeV; energy of massless objects"
    )
    inner: float = Field(default=0.0, ge=0, description="inner radius of the ring")
    outer: float | None = Field(default=None, description="outer radius; none: the whole event")
    owned: bool = Field(default=False, description="sum only what has no closer object of the own collection")

    @model_validator(mode="after")
    def _rises(self) -> Activity:
        if self.outer is not None and self.outer <= self.inner:
            msg = f"{self.name}: the outer radius {self.outer} is not beyond the inner one {self.inner}"
            raise ValueError(msg)
        if self.owned and (self.outer is None or self.inner):
            msg = f"{self.name}: 'owned: true' goes with an outer radius, and none inside"
            raise ValueError(msg)
        return self

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: "log1p"}


class Number(_OfCollection):
    """Number of objects of a collection in the event."""

    kind: Literal["number"]
    min_pt: float = Field(default=0.0, ge=0, description="smallest pT in GeV")

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {self.name: "linear"}


class Momentum(_Summed):
    """Vector sum of the momenta of a collection, along and across what is expected of a recoil, in GeV.

    A `value` is the size of each vector in place of its pT.
    """

    kind: Literal["momentum"]
    recoil: str = Field(description="name of the recoil of the declaration, such as MET")
    size: list[str] = Field(
        default=["pt"], min_length=1, description="fields whose product is the size of each vector"
    )

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {f"{self.name}_along": "linear", f"{self.name}_across": "linear"}

    def reads(self) -> set[str]:
        """Fields of the collection that are needed."""
        return super().reads() | {*self.size}


class Spread(_OfCollection):
    """How pT of a collection is spread in azimuth: what a covariance of the sum of momenta is made of.

    Columns in GeV, sums over the objects: ``xx`` of pT cos^2(phi), ``yy`` of pT sin^2(phi) and ``xy`` of pT
    cos(phi) sin(phi).
    """

    kind: Literal["spread"]

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        return {f"{self.name}_{element}": "linear" for element in ("xx", "yy", "xy")}


class Earlier(_Conditioning):
    """What became of the closest gen objects of higher pT of the object's own collection.

    Objects within reach of each other are drawn by falling gen pT, each given those before it. Columns:
    ``found`` (0 or 1), ``dr`` (the reach when there is none), ``deta`` and ``dphi`` (object minus neighbour,
    at gen level), ``pt_share`` (the neighbour's gen pT over the object's), ``kept`` (whether it was
    reconstructed), ``response`` (logarithm of its reconstructed over its gen pT), ``shift_eta`` and
    ``shift_phi`` (its reconstructed minus its gen direction), and its reconstructed `values`, all 0 when it
    was not reconstructed; ``reco_dr``, from the object's gen direction to its reconstructed one, twice the
    reach when it was not.
    """

    kind: Literal["earlier"]
    reach: float = Field(gt=0, description="largest distance in eta and phi, at gen level")
    rank: int = Field(default=1, ge=1, description="1 for the closest, 2 for the second closest")
    values: dict[str, Scale] = Field(
        default={}, description="reconstructed fields of the neighbour, each with its scale"
    )

    def columns(self) -> dict[str, Scale]:
        """Names of the columns with their scales."""
        there = ("found", "dr", "deta", "dphi", "pt_share")
        names = (*there, "kept", "response", "shift_eta", "shift_phi", "reco_dr")
        scales: dict[str, Scale] = dict.fromkeys((f"{self.name}_{name}" for name in names), "linear")
        scales[f"{self.name}_pt_share"] = "log1p"
        return scales | {f"{self.name}_{value}": scale for value, scale in self.values.items()}

    def reads(self) -> set[str]:
        """Fields of the own reconstructed collection that are needed."""
        return {"pt", "eta", "phi", *self.values}


Conditioning = Annotated[
    GenField
    | TurnOn
    | Angle
    | Categories
    | Bits
    | EventValue
    | Closest
    | Activity
    | Number
    | Momentum
    | Spread
    | Earlier,
    Field(discriminator="kind"),
]
