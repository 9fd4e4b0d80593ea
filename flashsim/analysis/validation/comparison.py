"""What all comparisons of one object start from, and what they give."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.analysis.statistics.distances import Drawn
from flashsim.analysis.validation.lights import Difference, Found, Row
from flashsim.analysis.validation.samples import number_events

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.analysis.validation.recipe import ObjectRecipe, ValidationRecipe
    from flashsim.analysis.validation.samples import Sample, Selected
    from flashsim.declarations.objects import Target

__all__ = [
    "CANDIDATE",
    "LEAST",
    "REFERENCE",
    "THIRD",
    "Comparison",
    "Section",
    "Topic",
    "bins_of",
    "label_of_bin",
]

REFERENCE, CANDIDATE, THIRD = "reference", "candidate", "third"
"""Roles of the samples."""


class Topic(StrEnum):
    """Groups of figures, in the order of the page."""

    CLASSIFIER = "Classifier"
    EFFICIENCY = "Efficiency"
    UNMATCHED = "Unmatched objects"
    NUMBERS = "Numbers per event"
    RESPONSE = "Response"
    TAGGING = "Tagging"
    CORRELATIONS = "Correlations"
    CONTOURS = "Contours"
    JOINT = "Joint quantities"
    DISTRIBUTIONS = "Distributions"


LEAST = 100
"""Fewest objects that are compared."""


@dataclass(frozen=True)
class Section:
    """One figure of the report.

    Parameters
    ----------
    topic, title
        Heading of the group, and of the figure.
    anchor
        Its id in the page.
    data
        What is drawn, in JSON form.
    rows
        Lines of the table that link to it.
    """

    topic: Topic
    title: str
    anchor: str
    data: dict[str, Any]
    rows: list[Row]


@dataclass(frozen=True)
class Comparison:
    """Samples of one object, whose events are numbered together.

    Parameters
    ----------
    selected
        The declaration, and what of it all files have.
    recipe
        What is looked at.
    samples
        By role; the reference is the truth.
    events
        Numbers of events that there are.
    """

    selected: Selected
    recipe: ValidationRecipe
    samples: Mapping[str, Sample]
    events: int

    @classmethod
    def of(cls, selected: Selected, recipe: ValidationRecipe, samples: Mapping[str, Sample]) -> Comparison:
        """Compare samples as they were read, with their events numbered together."""
        others = {role: sample for role, sample in samples.items() if role != REFERENCE}
        numbers, events = number_events(samples[REFERENCE], others)
        numbered = {role: replace(s, events=numbers.get(role, s.events)) for role, s in samples.items()}
        return cls(selected, recipe, numbered, events)

    @property
    def name(self) -> str:
        """Name of the object."""
        return self.selected.declaration.name

    @property
    def special(self) -> ObjectRecipe:
        """What is special to the object."""
        return self.recipe.of(self.name)

    @property
    def reference(self) -> Sample:
        """The truth."""
        return self.samples[REFERENCE]

    @property
    def others(self) -> dict[str, Sample]:
        """All but the reference."""
        return {role: sample for role, sample in self.samples.items() if role != REFERENCE}

    def target(self, branch: str) -> Target | None:
        """Look up a target that all files have."""
        return next((t for t in self.selected.targets if t.branch == branch), None)

    def shared(self) -> dict[str, float]:
        """Share of the events of each other sample that are gen events of the reference."""
        own = len(self.reference.events)
        return {role: float(np.mean(sample.events < own)) for role, sample in self.others.items()}

    def values(self, target: Target) -> dict[str, Drawn]:
        """Finite values of a target of all reconstructed objects, by role."""
        return {
            role: _finite(s.reco[target.branch].astype(np.float64), s.events[s.reco_event])
            for role, s in self.samples.items()
        }

    def residuals(self, target: Target) -> dict[str, Drawn]:
        """Finite values of a target relative to gen, of the reconstructed gen objects, by role."""
        return {role: _finite(s.residual(target), s.matched_event) for role, s in self.samples.items()}

    def branch(self, target: Target) -> str:
        """Full name of the branch of a target."""
        return f"{self.selected.declaration.collection}_{target.branch}"

    def anchor(self, *words: str) -> str:
        """Make an id of the page."""
        return re.sub(r"[^a-z0-9]+", "-", " ".join((self.name, *words)).lower()).strip("-")

    def row(
        self, topic: Topic, quantity: str, anchor: str, differences: Mapping[str, Sequence[Difference]]
    ) -> Row:
        """Make a line of the table from differences by role."""
        found = {role: Found.of(list(some), self.recipe.lights) for role, some in differences.items()}
        return Row(self.name, topic, quantity, anchor, found)


def bins_of(values: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.int64]:
    """Bin of each value, shape (N,); -1 outside of all."""
    place = np.searchsorted(np.asarray(edges), values, side="right") - 1
    return np.where((place >= 0) & (place < len(edges) - 1), place, -1).astype(np.int64)


def label_of_bin(low: float, high: float) -> str:
    """Label of a bin; the last one of pT ends far above all objects."""
    return f"> {low:g}" if high > 1000 else f"{low:g}-{high:g}"


def _finite(values: NDArray[np.float64], event: NDArray[np.int64]) -> Drawn:
    there = np.isfinite(values)
    return Drawn(values[there], event[there])
