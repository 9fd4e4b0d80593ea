"""What ``networks.yaml`` declares: networks, what they read, and scores that are made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.taggers.constituents import LEPTON, SHAPE, TRACKS, VERTEX
from flashsim.reference.taggers.tagger import Score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FILE", "Definition", "ScoreDefinition", "definitions"]

FILE = Path(__file__).with_name("networks.yaml")

_GROUPS = {
    "shape": SHAPE,
    "tracks": TRACKS,
    "vertices": VERTEX,
    "leptons": LEPTON,
    "event": ("rho", "npv"),
}


class ScoreDefinition(Recipe):
    """A score, but for what training finds out."""

    ratio: str = Field(description="outputs over / under")
    link: Literal["share", "exp", "form"] = Field(default="share", description="what is stored of the ratio")
    inside: dict[str, tuple[float, float]] = Field(default={}, description="where there is a score")
    outside: float = Field(default=-1.0, description="what is stored elsewhere")
    points: dict[str, float | list[float] | str] = Field(
        default={}, description="working points; those of a group's name pass as many of it as CMS's"
    )
    bits: bool = Field(default=False, description="numbers of passed points as bits")

    def score(self) -> Score:
        """Score without a form."""
        over, _, under = self.ratio.partition("/")
        return Score(
            over=tuple(over.split()),
            under=tuple(under.split()),
            link=self.link,
            inside=self.inside,
            outside=self.outside,
            points={k: v for k, v in self.points.items() if not isinstance(v, str)},
            bits=self.bits,
        )


class Definition(Recipe):
    """A network."""

    collections: list[str] = Field(min_length=1, description="whose objects it scores; trained on the first")
    eras: list[str] = Field(min_length=1, description="in which it is used, and trained for each")
    inputs: list[str | list[str]] = Field(description="features, or groups of them")
    classes: dict[str, list[str]] = Field(
        default={}, description="labels of the classes; one that is shared by classes has its share behind it"
    )
    quantities: list[str] = Field(default=[], description="what is regressed: median, and half width")
    width: int = Field(default=64, ge=1, description="units of a hidden layer")
    depth: int = Field(default=3, ge=1, description="number of hidden layers")
    scores: dict[str, ScoreDefinition] = Field(description="by field of NanoAOD")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(_expanded(self.inputs))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return tuple(self.classes) or tuple(name + part for name in self.quantities for part in ("", "Width"))


def _expanded(inputs: Iterable[Any]) -> Iterator[str]:
    for name in inputs:
        if isinstance(name, list):
            yield from name
        else:
            yield from _GROUPS.get(name, (name,))


def definitions(path: Path = FILE) -> dict[str, Definition]:
    """Read the networks of a file, by name."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: Definition(**definition) for name, definition in content.items()}
