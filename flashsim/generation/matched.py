"""Which gen objects are reconstructed, and as what: in waves, each given what became of those before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from flashsim.declarations.conditioning import Earlier
from flashsim.events.collection import Collection
from flashsim.events.neighbour_columns import EarlierNeighbours
from flashsim.events.neighbours import waves
from flashsim.generation.exclusive import drawn_apart
from flashsim.transforms.phase_space import OutsideCount, any_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.gen_chunk import GenChunk
    from flashsim.flows.protocol import FlowSampler
    from flashsim.generation.draws import Draws
    from flashsim.models.object_model import ObjectModel

    Columns = Mapping[str, NDArray[np.float64]]

__all__ = ["MatchedObjects", "draw_matched"]


@dataclass(frozen=True)
class MatchedObjects:
    """What became of N gen objects.

    Parameters
    ----------
    kept
        Whether they are reconstructed, shape (N,).
    columns
        Targets of those that are, shape (K,) each, in the order of the gen objects.
    outside
        Whether they are outside of the phase space of the training, shape (N,).
    outside_count
        How many of them are, by what.
    """

    kept: NDArray[np.bool_]
    columns: dict[str, NDArray[np.float64]]
    outside: NDArray[np.bool_]
    outside_count: OutsideCount


def draw_matched(
    model: ObjectModel, sampler: FlowSampler, chunk: GenChunk, draws: Draws, columns: Columns
) -> MatchedObjects:
    """Draw which gen objects of a chunk are reconstructed, and as what.

    Parameters
    ----------
    model
        The object's model.
    sampler
        Of its flow.
    chunk
        What it is simulated from.
    draws
        Of the same events.
    columns
        Conditioning of the N gen objects, shape (N,) each, but for what became of earlier ones.
    """
    drawing = _Drawing(model, sampler, chunk, draws, columns)
    for rows in drawing.waves():
        drawing.draw(rows)
    return drawing.result()


@dataclass
class _Drawing:
    model: ObjectModel
    sampler: FlowSampler
    chunk: GenChunk
    draws: Draws
    static: Columns

    def __post_init__(self) -> None:
        declaration = self.model.declaration
        self.gen = self.chunk.collections[declaration.gen]
        self.event_rows, self.number = self.gen.event_rows, self.gen.local_index
        entries = [entry for entry in declaration.conditioning if isinstance(entry, Earlier)]
        self.earlier = [EarlierNeighbours.of(entry, self.gen) for entry in entries]
        size = len(self.gen)
        self.kept = np.zeros(size, dtype=bool)
        self.outside = np.zeros(size, dtype=bool)
        self.outside_count = OutsideCount()
        self.columns: dict[str, NDArray[np.float64]] = {
            branch: np.full(size, np.nan) for branch in self.model.targets.branches
        }

    def waves(self) -> list[NDArray[np.int64]]:
        """Rows of the gen objects by wave: one wave where nothing depends on what is drawn before."""
        reaches = [near.entry.reach for near in self.earlier]
        if (radius := self.model.declaration.exclusive) is not None:
            # What is farther away at gen level does not come that close.
            reaches.append(2.0 * radius)
        if not reaches:
            return [np.arange(len(self.gen))]
        reach = max(reaches)
        wave = waves(self.gen.directions, self.gen["pt"], reach)
        return [np.flatnonzero(wave == number) for number in range(int(wave.max(initial=0)) + 1)]

    def draw(self, rows: NDArray[np.int64]) -> None:
        """Draw the objects of a wave."""
        columns = self._conditioning(rows)
        self._mark_outside(rows, columns)
        encoded = self.model.conditioning.encode(columns)
        chosen = self._chosen(rows, encoded)
        rows, encoded = rows[chosen], encoded[chosen]
        names = [name for name in self.model.declaration.related_conditioning() if name in columns]
        related = {name: columns[name][chosen] for name in names}
        radius = self.model.declaration.exclusive
        fields = () if radius is None else ("eta", "phi")
        before = Collection(self.gen.offsets, {f: self.columns[f] for f in fields}).select(self.kept)

        def of_attempts(
            chosen: NDArray[np.int64], attempts: NDArray[np.int64]
        ) -> dict[str, NDArray[np.float64]]:
            given = {name: column[chosen] for name, column in related.items()}
            return self._drawn(rows[chosen], encoded[chosen], given, attempts)

        drawn, apart = drawn_apart(of_attempts, self.event_rows[rows], before, radius)
        self.kept[rows[apart]] = True
        for branch, column in drawn.items():
            self.columns[branch][rows[apart]] = column[apart]

    def result(self) -> MatchedObjects:
        """Give what was drawn."""
        columns = {branch: column[self.kept] for branch, column in self.columns.items()}
        return MatchedObjects(self.kept, columns, self.outside, self.outside_count)

    def _conditioning(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Conditioning of some rows, columns in the declared order."""
        known: dict[str, NDArray[np.float64]] = {}
        for near in self.earlier:
            known |= near.columns(self.columns, rows)
        names = [name for entry in self.model.declaration.conditioning for name in entry.columns()]
        return {name: known[name] if name in known else self.static[name][rows] for name in names}

    def _mark_outside(self, rows: NDArray[np.int64], columns: Columns) -> None:
        if (space := self.model.phase_space) is None:
            return
        masks = space.outside(columns)
        self.outside[rows] = any_of(masks, len(rows))
        self.outside_count += OutsideCount.of(masks, len(rows))

    def _chosen(self, rows: NDArray[np.int64], encoded: NDArray[np.float32]) -> NDArray[np.int64]:
        """Draw which of the rows are reconstructed, as positions among them."""
        if self.model.efficiency is None:
            return np.arange(len(rows))
        probability = expit(self.model.efficiency.logits(encoded))[:, 0]
        uniform = self.draws.uniform("efficiency", self.event_rows[rows], self.number[rows])
        return np.flatnonzero(uniform < probability)

    def _drawn(
        self,
        rows: NDArray[np.int64],
        encoded: NDArray[np.float32],
        related: Columns,
        attempts: NDArray[np.int64],
    ) -> dict[str, NDArray[np.float64]]:
        width = self.model.targets.width
        noise = self.draws.attempted("flow", self.event_rows[rows], self.number[rows], width, attempts)
        declaration = self.model.declaration
        reference: dict[str, NDArray[Any]] = {f: self.gen[f][rows] for f in declaration.references()}
        reference |= {f"conditioning.{name}": column for name, column in related.items()}
        return self.model.targets.decode(self.sampler.from_noise(noise, encoded), reference)
