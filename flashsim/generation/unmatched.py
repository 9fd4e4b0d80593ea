"""Objects without a gen object of their own: how many each object of a source makes, where, and what.

Where it is declared so, sources give places, and one network says for those of all sources what is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from flashsim.declarations.unmatched import EVENT, PLACE
from flashsim.events.collection import Collection
from flashsim.events.sources import placed_objects, rows_of_source, source_objects, with_drawn
from flashsim.generation.exclusive import drawn_apart
from flashsim.transforms.phase_space import OutsideCount, any_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.unmatched import Unmatched
    from flashsim.events.gen_chunk import GenChunk
    from flashsim.events.sources import SourceObjects
    from flashsim.flows.protocol import FlowSampler
    from flashsim.generation.draws import Draws
    from flashsim.models.object_model import ObjectModel
    from flashsim.models.unmatched_model import PlacedModel, UnmatchedModel
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
        self.placed = model.placed
        self._drawn = self.branches if model.declaration.placed is None else list(PLACE)
        self._samplers = {
            name: unmatched.flow.sampler(device)
            for name, unmatched in model.unmatched.items()
            if unmatched.flow is not None
        }
        self._placed_sampler = None if model.placed is None else model.placed.flow.sampler(device)

    @property
    def phase_spaces(self) -> dict[str, PhaseSpace | None]:
        """What is known of the objects of each source in the training, by words for them."""
        known = {self._words(s): self.models[s.name].phase_space for s in self.declaration.unmatched}
        return known if self.placed is None else known | {self._of_places: self.placed.phase_space}

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
        drawn = Collection(matched.offsets, {name: matched[name] for name in self._drawn})
        parts: list[UnmatchedObjects] = []
        before: list[tuple[Unmatched, Collection]] = []
        of_events: list[Collection] = []
        for source in self.declaration.unmatched:
            there = with_drawn(chunk, self.declaration.collection, drawn)
            objects = source_objects(source, there, of_events)
            parts.append(self._of_source(source, objects, before, drawn, draws, check))
            if not source.passes_on:
                before.append((source, objects.objects))
            more = Collection.of_event_rows(parts[-1].event_rows, parts[-1].columns, chunk.events)
            drawn = Collection.merged([drawn, more])
            of_events += [more] if source.is_event else []
        numbers = np.repeat(np.arange(len(parts)), [len(part.event_rows) for part in parts])
        whole = UnmatchedObjects(
            np.concatenate([part.event_rows for part in parts]),
            {name: np.concatenate([part.columns[name] for part in parts]) for name in self._drawn},
            np.concatenate([part.outside for part in parts]),
            {name: count for part in parts for name, count in part.outside_counts.items()},
        )
        if self.placed is None:  # whole already, or there are none
            columns = {name: whole.columns.get(name, np.zeros(0)) for name in self.branches}
            return replace(whole, columns=columns)
        given = with_drawn(chunk, self.declaration.collection, matched)
        return self._filled(self.placed, whole, numbers, given, draws, check)

    def _filled(  # noqa: PLR0917
        self,
        model: PlacedModel,
        places: UnmatchedObjects,
        numbers: NDArray[np.int64],
        chunk: GenChunk,
        draws: Draws,
        check: Check,
    ) -> UnmatchedObjects:
        """Draw all else of objects that have their places; `numbers` are those of their sources."""
        declared, sampler = self.declaration.placed, self._placed_sampler
        if declared is None or sampler is None:
            msg = "places without a network of what is there"
            raise RuntimeError(msg)
        columns = {**places.columns, "source": numbers, "row": np.arange(len(numbers))}
        there = Collection.of_event_rows(places.event_rows, columns, chunk.events)
        objects = placed_objects(declared, chunk, there)
        check(objects.conditioning, np.isnan)
        unlike, counts = _outside(model.phase_space, objects, self._of_places)
        noise = draws.normal("placed", there.event_rows, there.local_index, model.targets.width)
        normal = sampler.from_noise(noise, model.conditioning.encode(objects.conditioning))
        given = {name: there[name] for name in PLACE}
        given |= {f"conditioning.{name}": column for name, column in objects.conditioning.items()}
        outside = places.outside[there["row"]] | unlike
        drawn = model.targets.decode(normal, given)
        return UnmatchedObjects(there.event_rows, drawn, outside, places.outside_counts | counts)

    def _of_source(  # noqa: PLR0917
        self,
        source: Unmatched,
        objects: SourceObjects,
        before: Sequence[tuple[Unmatched, Collection]],
        drawn: Collection,
        draws: Draws,
        check: Check,
    ) -> UnmatchedObjects:
        model = self.models[source.name]
        targets = self.declaration.source_targets()
        reference = {field: objects.objects[field] for field in source.references(targets)}
        check(objects.conditioning, np.isnan)
        check(reference, not_finite)
        outside, counts = _outside(model.phase_space, objects, self._words(source))
        if model.targets is None:
            rows, columns = np.zeros(0, dtype=np.int64), {name: np.zeros(0) for name in self._drawn}
        else:
            drawing = _Drawing(source, model, self._samplers[source.name], objects, before, reference, draws)
            rows, columns = drawing.drawn(drawn, self.declaration.exclusive)
        return UnmatchedObjects(objects.objects.event_rows[rows], columns, outside[rows], counts)

    @property
    def _of_places(self) -> str:
        return f"places of unmatched {self.declaration.collection}"

    def _words(self, source: Unmatched) -> str:
        unmatched = f"unmatched {self.declaration.collection}"
        if source.name == EVENT:
            return f"events for {unmatched}"
        return f"{'events' if source.is_event else source.source} for {unmatched}, {source.name}"


@dataclass(frozen=True)
class _Drawing:
    """Draws the objects of one source."""

    source: Unmatched
    model: UnmatchedModel
    sampler: FlowSampler
    objects: SourceObjects
    before: Sequence[tuple[Unmatched, Collection]]
    reference: Columns
    draws: Draws

    def drawn(self, others: Collection, exclusive: float | None) -> tuple[NDArray[np.int64], Columns]:
        """Row of the source's object of each unmatched one, and its targets, apart from what is there."""
        rows, numbers = self._places()
        event_rows = self.objects.objects.event_rows[rows]
        encoded = self.model.conditioning.encode(self.objects.conditioning)

        def draw(chosen: NDArray[np.int64], attempts: NDArray[np.int64]) -> Columns:
            return self._targets(rows[chosen], event_rows[chosen], numbers[chosen], encoded, attempts)

        def allow(chosen: NDArray[np.int64], columns: Columns) -> NDArray[np.bool_]:
            return self._belong(event_rows[chosen], rows[chosen], columns)

        columns, kept = drawn_apart(draw, event_rows, others, exclusive, allow)
        return rows[kept], {name: column[kept] for name, column in columns.items()}

    @property
    def _fixed(self) -> int:
        """Leading variables that stay as they are drawn at first.

        What is drawn of an event does not know where its other objects are. So the flow has learned the
        spectra of those that found a place: drawing pT and eta again would leave occupied ones out twice.
        """
        flow = self.model.flow
        return flow.architecture.get("leading", 0) if self.source.is_event and flow is not None else 0

    def _belong(
        self, event_rows: NDArray[np.int64], rows: NDArray[np.int64], columns: Columns
    ) -> NDArray[np.bool_]:
        """Tell what the preprocessing would assign to the source's object that it is drawn of."""
        places = {field: columns[field] for field in ("eta", "phi")}
        drawn = Collection.of_event_rows(event_rows, places, self.objects.objects.events)
        good: NDArray[np.bool_] = rows_of_source(self.source, self.objects.objects, drawn) == rows
        for source, objects in self.before:
            good &= rows_of_source(source, objects, drawn) < 0
        return good

    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Draw how many; give the row of the source's object and the number in its event of each."""
        there = self.objects.objects
        logits = self.model.count.logits(self.model.conditioning.encode(self.objects.conditioning))
        below = np.cumsum(softmax(logits, axis=1), axis=1)[:, :-1]
        purpose = f"unmatched {self.source.name}, number"
        uniform = self.draws.uniform(purpose, there.event_rows, there.local_index)
        counts = np.count_nonzero(below < uniform[:, None], axis=1)
        rows = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, there.local_index[rows] * (self.source.max_count + 1) + number

    def _targets(
        self,
        rows: NDArray[np.int64],
        event_rows: NDArray[np.int64],
        numbers: NDArray[np.int64],
        encoded: NDArray[np.float32],
        attempts: NDArray[np.int64],
    ) -> Columns:
        codec = self.model.targets
        if codec is None:
            msg = f"the source {self.source.name} has no targets"
            raise RuntimeError(msg)
        purpose = f"unmatched {self.source.name}"
        noise = self.draws.attempted(purpose, event_rows, numbers, codec.width, attempts, self._fixed)
        conditioning = self.objects.conditioning
        given = self.reference | {f"conditioning.{name}": c for name, c in conditioning.items()}
        normal = self.sampler.from_noise(noise, encoded[rows])
        return codec.decode(normal, {name: column[rows] for name, column in given.items()})


def _outside(
    space: PhaseSpace | None, objects: SourceObjects, words: str
) -> tuple[NDArray[np.bool_], dict[str, OutsideCount]]:
    """Tell which objects are outside of the training's phase space, shape (N,), and count them."""
    rows = len(objects.objects)
    if space is None:
        return np.zeros(rows, dtype=bool), {}
    masks = space.outside(objects.conditioning)
    return any_of(masks, rows), {words: OutsideCount.of(masks, rows)}


def not_finite(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values of a column are NaN or infinite."""
    finite: NDArray[np.bool_] = np.isfinite(column)
    return ~finite
