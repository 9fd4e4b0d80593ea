"""Objects without a gen object of their own: how many each object of a source makes, and what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from flashsim.events.collection import Collection
from flashsim.events.sources import source_objects, with_drawn
from flashsim.transforms.phase_space import OutsideCount, any_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from flashsim.declarations.unmatched import Unmatched
    from flashsim.events.gen_chunk import GenChunk
    from flashsim.events.sources import SourceObjects
    from flashsim.generation.draws import Draws
    from flashsim.models.object_model import ObjectModel
    from flashsim.transforms.codec import TargetCodec
    from flashsim.transforms.phase_space import PhaseSpace

    Columns = dict[str, NDArray[Any]]
    Check = Callable[[Columns, Callable[[NDArray[Any]], NDArray[np.bool_]]], None]

__all__ = ["UnmatchedObjects", "UnmatchedSimulator", "not_finite"]


@dataclass(frozen=True)
class UnmatchedObjects:
    """Unmatched objects of a chunk of events, source by source.

    Parameters
    ----------
    event_rows
        Rows of their events, shape (N,).
    columns
        Targets, shape (N,) each.
    outside
        Whether what they come from is outside of the phase space of the training, shape (N,).
    outside_counts
        How many objects of the sources are, by what, under the names of `UnmatchedSimulator.phase_spaces`.
    """

    event_rows: NDArray[np.int64]
    columns: Columns
    outside: NDArray[np.bool_]
    outside_counts: dict[str, OutsideCount]


class UnmatchedSimulator:
    """Draws the unmatched objects of one collection.

    Parameters
    ----------
    model
        The trained model.
    device
        Torch's name of the device that the flows run on.
    """

    def __init__(self, model: ObjectModel, device: str) -> None:
        self.declaration = model.declaration
        self.branches = model.targets.branches
        self.models = model.unmatched
        self._samplers = {
            name: unmatched.flow.sampler(device)
            for name, unmatched in model.unmatched.items()
            if unmatched.flow is not None
        }

    @property
    def phase_spaces(self) -> dict[str, PhaseSpace | None]:
        """What is known of the objects of each source in the training, by words for them."""
        return {self._words(s): self.models[s.name].phase_space for s in self.declaration.unmatched}

    def draw(self, chunk: GenChunk, draws: Draws, matched: Collection, check: Check) -> UnmatchedObjects:
        """Draw the objects of all sources, each given those before it.

        Parameters
        ----------
        chunk
            The events.
        draws
            Random numbers of the same events.
        matched
            The collection's objects that have a gen object, with the columns `self.branches`.
        check
            Refuses columns with values that are not as they must be.
        """
        drawn, parts = matched, [self._none()]
        for source in self.declaration.unmatched:
            objects = source_objects(source, with_drawn(chunk, self.declaration.collection, drawn))
            parts.append(self._of_source(source, objects, draws, check))
            more = Collection.of_event_rows(parts[-1].event_rows, parts[-1].columns, chunk.events)
            drawn = Collection.merged([drawn, more])
        return UnmatchedObjects(
            np.concatenate([part.event_rows for part in parts]),
            {name: np.concatenate([part.columns[name] for part in parts]) for name in self.branches},
            np.concatenate([part.outside for part in parts]),
            {name: count for part in parts for name, count in part.outside_counts.items()},
        )

    def _of_source(
        self, source: Unmatched, objects: SourceObjects, draws: Draws, check: Check
    ) -> UnmatchedObjects:
        model = self.models[source.name]
        reference = {field: objects.objects[field] for field in source.references(self.declaration.targets)}
        check(objects.conditioning, np.isnan)
        check(reference, not_finite)
        masks = {} if model.phase_space is None else model.phase_space.outside(objects.conditioning)
        size = len(objects.objects)
        outside = any_of(masks, size)
        counts = {} if model.phase_space is None else {self._words(source): OutsideCount.of(masks, size)}
        if model.targets is None:
            rows, columns = np.zeros(0, dtype=np.int64), {name: np.zeros(0) for name in self.branches}
        else:
            rows, columns = self._drawn(source, model.targets, objects, reference, draws)
        return UnmatchedObjects(objects.objects.event_rows[rows], columns, outside[rows], counts)

    def _drawn(
        self,
        source: Unmatched,
        targets: TargetCodec,
        objects: SourceObjects,
        reference: Columns,
        draws: Draws,
    ) -> tuple[NDArray[np.int64], Columns]:
        """Row of the source's object of each unmatched one, and its targets."""
        model = self.models[source.name]
        conditioning = model.conditioning.encode(objects.conditioning)
        event_rows, number = objects.objects.event_rows, objects.objects.local_index
        below = np.cumsum(softmax(model.count.logits(conditioning), axis=1), axis=1)[:, :-1]
        uniform = draws.uniform(f"unmatched {source.name}, number", event_rows, number)
        made = Collection.of_counts(np.count_nonzero(below < uniform[:, None], axis=1), {})
        rows = made.event_rows  # "events" are the source's objects here
        numbers = number[rows] * (source.max_count + 1) + made.local_index
        given = reference | {f"conditioning.{name}": c for name, c in objects.conditioning.items()}
        noise = draws.normal(f"unmatched {source.name}", event_rows[rows], numbers, targets.width)
        normal = self._samplers[source.name].from_noise(noise, conditioning[rows])
        return rows, targets.decode(normal, {name: column[rows] for name, column in given.items()})

    def _none(self) -> UnmatchedObjects:
        nothing = np.zeros(0, dtype=np.int64)
        columns = {name: np.zeros(0) for name in self.branches}
        return UnmatchedObjects(nothing, columns, nothing.astype(bool), {})

    def _words(self, source: Unmatched) -> str:
        unmatched = f"unmatched {self.declaration.collection}"
        if source.is_event:
            return f"events for {unmatched}"
        return f"{source.source} for {unmatched}, {source.name}"


def not_finite(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values of a column are NaN or infinite."""
    finite: NDArray[np.bool_] = np.isfinite(column)
    return ~finite
