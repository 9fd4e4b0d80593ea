"""What ``networks.yaml`` declares: networks, what they read, and scores that are made of them."""

from __future__ import annotations

from fnmatch import filter as matching
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.taggers.tagger import Score

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["FILE", "Definition", "ScoreDefinition", "definitions"]

FILE = Path(__file__).with_name("networks.yaml")


class ScoreDefinition(Recipe):
    """A score, but for what training finds out."""

    ratio: str = Field(description="outputs over / under")
    link: Literal["share", "exp"] = Field(default="share", description="what is stored of the ratio")
    range: tuple[float, float] | None = Field(
        default=None, description="least and largest value of a score that is an output of its own"
    )
    inside: dict[str, tuple[float, float]] = Field(default={}, description="where there is a score")
    outside: float = Field(default=-1.0, description="what is stored elsewhere")
    points: dict[str, float | list[float] | str] = Field(
        default={}, description="working points; those of a group's name pass as many of it as CMS's"
    )
    bits: bool = Field(default=False, description="numbers of passed points as bits")

    @property
    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Outputs over and under."""
        over, _, under = self.ratio.partition("/")
        return tuple(over.split()), tuple(under.split())

    def score(self, name: str) -> Score:
        """Score of that name."""
        over, under = ((name,), ()) if self.range else self.sides
        low, high = self.range or (0.0, 1.0)
        points = {k: v for k, v in self.points.items() if not isinstance(v, str)}
        return Score(over, under, self.link, low, high, self.inside, self.outside, points, self.bits)


class Definition(Recipe):
    """A network."""

    collections: list[str] = Field(min_length=1, description="whose objects it scores; trained on the first")
    eras: list[str] = Field(min_length=1, description="in which it is used, and trained for each")
    inputs: list[str | list[str]] = Field(description="features, or patterns of their names")
    classes: dict[str, list[str]] = Field(default={}, description="labels of the classes")
    quantities: dict[str, str] = Field(
        default={}, description="what outputs regress: each is the median, with a half width beside it"
    )
    width: int = Field(default=64, ge=1, description="units of a hidden layer")
    depth: int = Field(default=3, ge=1, description="number of hidden layers")
    scores: dict[str, ScoreDefinition] = Field(description="by field of NanoAOD")

    def names(self, features: Collection[str]) -> tuple[str, ...]:
        """Names of the inputs: those that are given, and features that a pattern such as ``track*`` fits."""
        given = chain.from_iterable([entry] if isinstance(entry, str) else entry for entry in self.inputs)
        return tuple(
            chain.from_iterable(sorted(matching(features, name)) if "*" in name else [name] for name in given)
        )

    @property
    def of_classes(self) -> tuple[str, ...]:
        """Outputs that are logits of classes, if scores are made of them."""
        shared = any(s.link == "share" and s.range is None for s in self.scores.values())
        return tuple(self.classes) if shared else ()

    @property
    def own(self) -> tuple[str, ...]:
        """Scores that are outputs of their own."""
        return tuple(name for name, score in self.scores.items() if score.range)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs: logits of classes, scores, and median and half width of quantities."""
        regressed = (name + part for name in self.quantities for part in ("", "Width"))
        return (*self.of_classes, *self.own, *regressed)


def definitions(path: Path = FILE) -> dict[str, Definition]:
    """Read the networks of a file, by name."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: Definition(**definition) for name, definition in content.items()}
