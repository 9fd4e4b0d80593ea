"""The trigger recipe: which paths are emulated, from which simulated objects, and how well they fire.

The trigger sees an object again, with another momentum: the online object. A filter asks for its quality, a
path for online objects above thresholds. All paths see the same online object, so one with a higher threshold
fires on a part of the events of one with a lower one, as in life.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from flashsim.declarations.expressions import Expression, names_of
from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.declarations.versions import Spanned

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Bits",
    "Filter",
    "Given",
    "Leg",
    "LevelOne",
    "Minimum",
    "OnlineMomentum",
    "OnlineObject",
    "OnlineSum",
    "TriggerPath",
    "TriggerRecipe",
    "load_trigger",
]

_MOST_BITS = 62


def _rising(profile: list[tuple[float, float]]) -> list[tuple[float, float]]:
    edges = [edge for edge, _ in profile]
    if not edges or edges != sorted(set(edges)) or edges[0] <= 0:
        msg = f"expected upper ends of |eta| that rise from above 0, found {edges}"
        raise ValueError(msg)
    return profile


def _shares(profile: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if wrong := [value for _, value in profile if not 0 <= value <= 1]:
        msg = f"expected efficiencies from 0 to 1, found {wrong[0]}"
        raise ValueError(msg)
    return profile


Profile = Annotated[list[tuple[float, float]], AfterValidator(_rising)]
"""Pairs of the upper end of a range of abs(eta), and the value in it; none beyond the last."""

Efficiencies = Annotated[Profile, AfterValidator(_shares)]


class LevelOne(Recipe):
    """What the first level of the trigger, in hardware, measures of an object."""

    scale: float = Field(default=1.0, gt=0, description="mean of its pT over the reconstructed one")
    width: float = Field(ge=0, description="standard deviation of the logarithm of its pT")
    step: float = Field(gt=0, description="pT is counted in such steps, in GeV")
    isolation: int = Field(ge=0, description="isolation that it notes of objects that fired")
    charge: str | None = Field(default=None, description="field with the charge that it notes; none: 0")


class OnlineObject(Recipe):
    """Simulated objects as the trigger sees them again."""

    collection: str = Field(description="the simulated collection; with pt, eta and phi")
    scale: float = Field(default=1.0, gt=0, description="online pT over the reconstructed one")
    resolution: Profile = Field(description="relative width of online pT around it, by abs(eta)")
    stochastic: float = Field(
        default=0.0, ge=0, description="added to that in quadrature, over the root of pT in GeV"
    )
    direction: float = Field(default=0.0, ge=0, description="width of online eta and phi")
    id: int | None = Field(
        default=None, gt=0, description="kind that the trigger objects have; none: none are written"
    )
    level_1: LevelOne | None = Field(default=None, description="what the first level measures; none: 0")
    level_2: float | None = Field(
        default=None, ge=0, description="relative width of the pT of a first, coarse reconstruction; none: 0"
    )


class Given(Recipe):
    """Objects that pass a filter less often."""

    where: Expression = Field(description="which: an expression of the object's branches")
    factor: float = Field(ge=0, le=1, description="multiplies the efficiency; the first that fits counts")


class Filter(Recipe):
    """Identification and isolation that the trigger asks of an object, apart from its momentum."""

    of: str = Field(description="the online object, by its name in `objects`")
    efficiency: Efficiencies = Field(description="share that passes far above thresholds, by abs(eta)")
    given: list[Given] = Field(default=[], description="objects that pass less often")

    @property
    def branches(self) -> tuple[str, ...]:
        """Fields of the collection that it reads."""
        return tuple(dict.fromkeys(name for entry in self.given for name in names_of(entry.where).branches))


class _Measured(Recipe):
    """How well the trigger measures a momentum of the whole event."""

    scale: float = Field(default=1.0, gt=0, description="online value over the simulated one")
    relative: float = Field(default=0.0, ge=0, description="relative width around it")
    noise: float = Field(default=0.0, ge=0, description="width in GeV that is added in quadrature")


class OnlineSum(_Measured):
    """Sum over online objects of the event."""

    kind: Literal["sum", "missing"] = Field(description="of pT, or the pT of what balances them")
    of: str = Field(description="the online object, by its name in `objects`")
    min_pt: float = Field(ge=0, description="smallest online pT in GeV")
    max_abs_eta: float = Field(gt=0, description="largest abs(eta)")


class OnlineMomentum(_Measured):
    """Missing momentum of the event."""

    kind: Literal["momentum"]
    branches: list[str] = Field(min_length=1, description="prefix of its pt and phi; the first that there is")
    plus: list[str] = Field(default=[], description="objects that it leaves out: added as reconstructed")


Value = Annotated[OnlineSum | OnlineMomentum, Field(discriminator="kind")]


class Leg(Recipe):
    """An online object above a threshold."""

    filter: str = Field(description="which it passes, by its name in `filters`")
    pt: float = Field(ge=0, description="threshold of its pT in GeV")
    bits: list[str] = Field(default=[], description="bits of trigger objects that fired it, by name")


class Minimum(Recipe):
    """A value of the whole event above a threshold."""

    value: str = Field(description="which, by its name in `values`")
    above: float = Field(description="threshold in GeV")


class TriggerPath(Spanned):
    """A path: it fires where all of its legs find an object of their own, and all values are large enough."""

    name: str = Field(pattern=r"^[A-Za-z]\w*$", description="branch with its decisions")
    years: str = Field(default="all", description="whose menus have it, for readers")
    legs: list[Leg] = Field(default=[], description="objects; of one kind they share a filter")
    values: list[Minimum] = Field(default=[], description="values of the event")
    min_mass: float = Field(default=0.0, ge=0, description="smallest mass of the two legs in GeV")
    efficiency: float = Field(
        default=1.0, ge=0, le=1, description="of what else is asked, such as a common vertex of the legs"
    )

    @model_validator(mode="after")
    def _possible(self) -> TriggerPath:
        if not self.legs and not self.values:
            msg = f"{self.name}: asks for nothing; give it legs or values"
            raise ValueError(msg)
        if self.min_mass and (len(self.legs) != 2 or len(self.filters) != 1):
            msg = f"{self.name}: min_mass is that of two legs with the same filter"
            raise ValueError(msg)
        return self

    @property
    def filters(self) -> list[str]:
        """Names of its filters, each once."""
        return list(dict.fromkeys(leg.filter for leg in self.legs))

    def thresholds(self, name: str) -> list[float]:
        """Thresholds of its legs with a filter, falling."""
        return sorted((leg.pt for leg in self.legs if leg.filter == name), reverse=True)


class Bits(Spanned):
    """Which bit of a trigger object says what."""

    dtype: Literal["int32", "uint64"] = Field(description="type of the bits")
    of: dict[str, dict[str, Annotated[int, Field(ge=0, le=_MOST_BITS)]]] = Field(
        description="numbers of the bits by name, for each online object"
    )


class TriggerRecipe(Recipe):
    """Which paths are emulated, and how."""

    schema_version: Literal[1] = Field(description="version of this format")
    collection: str = Field(description="the collection of trigger objects")
    title: str = Field(description="title of the paths")
    objects: dict[str, OnlineObject] = Field(description="objects as the trigger sees them, by name")
    filters: dict[str, Filter] = Field(description="what it asks of them, by name")
    values: dict[str, Value] = Field(default={}, description="values of the whole event, by name")
    bits: list[Bits] = Field(default=[], description="bits of trigger objects; the first of a version counts")
    paths: list[TriggerPath] = Field(description="the paths, in the order in which they are written")

    @model_validator(mode="after")
    def _known(self) -> TriggerRecipe:
        objects = [(f"filters.{name}", "objects", [f.of]) for name, f in self.filters.items()]
        objects += [(f"values.{name}", "objects", _objects_of(value)) for name, value in self.values.items()]
        objects += [("bits", "objects", list(bits.of)) for bits in self.bits]
        for path in self.paths:
            objects.append((path.name, "filters", path.filters))
            objects.append((path.name, "values", [minimum.value for minimum in path.values]))
        for where, part, names in objects:
            known = getattr(self, part)
            if unknown := [name for name in names if name not in known]:
                msg = f"{where}: names {unknown[0]}, which is not among {part}: {', '.join(known)}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> TriggerRecipe:
        names = [path.name for path in self.paths]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"{twice[0]} is declared twice"
            raise ValueError(msg)
        for path in self.paths:
            kinds = [self.filters[name].of for name in path.filters]
            if len(kinds) != len(set(kinds)):
                msg = f"{path.name}: legs of one object need the same filter, found {', '.join(path.filters)}"
                raise ValueError(msg)
            for leg in path.legs:
                self._check_bits(path, leg)
        return self

    def _check_bits(self, path: TriggerPath, leg: Leg) -> None:
        kind = self.filters[leg.filter].of
        known = {name for bits in self.bits for name in bits.of.get(kind, {})}
        if unknown := [name for name in leg.bits if name not in known]:
            names = ", ".join(sorted(known)) or "none"
            msg = f"{path.name}: {unknown[0]} is no bit of {kind}; known are {names}"
            raise ValueError(msg)

    def bits_of(self, version: str) -> Bits | None:
        """Bits of a NanoAOD version; none where it has no trigger objects."""
        return next((bits for bits in self.bits if bits.exists_in(version)), None)

    def fields_of(self, name: str, filters: Iterable[str]) -> list[str]:
        """Fields of the simulated collection that an online object and filters need, each once."""
        kind = self.objects[name]
        fields = ["pt", "eta", "phi"]
        fields += [
            branch for f in filters if self.filters[f].of == name for branch in self.filters[f].branches
        ]
        if kind.id is not None and kind.level_1 is not None and kind.level_1.charge is not None:
            fields.append(kind.level_1.charge)
        return list(dict.fromkeys(fields))

    def objects_of(self, path: TriggerPath) -> list[str]:
        """Names of the online objects that a path needs, each once."""
        names = [self.filters[name].of for name in path.filters]
        names += [name for minimum in path.values for name in _objects_of(self.values[minimum.value])]
        return list(dict.fromkeys(names))


def _objects_of(value: OnlineSum | OnlineMomentum) -> list[str]:
    return [value.of] if isinstance(value, OnlineSum) else list(value.plus)


def load_trigger(name: str) -> TriggerRecipe:
    """Trigger recipe: a shipped one by name, or a user's own file by path.

    Raises
    ------
    RecipeError
        If there is no such recipe or it is not valid.
    """
    return load_recipe(TriggerRecipe, recipe_path("generation", name))
