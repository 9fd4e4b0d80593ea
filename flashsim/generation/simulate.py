"""One object of one chunk of events: who is reconstructed, as what, and what is there besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, softmax

from flashsim.errors import InputFileError, ModelFileError
from flashsim.events.collection import Collection
from flashsim.events.conditioning import conditioning_columns
from flashsim.events.gen_chunk import gen_chunk
from flashsim.events.noise import Stream
from flashsim.events.recoil import momentum
from flashsim.generation.plan import OUTSIDE
from flashsim.transforms.phase_space import OutsideCount, any_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Derived, ObjectDeclaration
    from flashsim.events.gen_chunk import GenChunk
    from flashsim.flows.protocol import FlowSampler
    from flashsim.models.object_model import FakeModel, ObjectModel
    from flashsim.transforms.codec import TargetCodec
    from flashsim.transforms.phase_space import PhaseSpace

    Columns = dict[str, NDArray[np.float64]]

__all__ = ["ObjectSimulator", "Simulated", "simulate_whole"]


@dataclass(frozen=True)
class _Objects:
    """Simulated objects in no order: rows of their events, and columns by branch."""

    event_rows: NDArray[np.int64]
    columns: Columns
    outside_counts: dict[str, OutsideCount]


@dataclass(frozen=True)
class Simulated:
    """A simulated collection.

    Parameters
    ----------
    collection
        The objects.
    outside_counts
        How many gen objects and events were outside of what `ObjectSimulator.phase_spaces` names.
    """

    collection: Collection
    outside_counts: dict[str, OutsideCount]


class ObjectSimulator:
    """Draws the reconstructed objects of one collection.

    Parameters
    ----------
    model
        The trained model.
    seed
        The user's seed.
    device
        Torch's name of the device that the flows run on; ``cpu`` needs no torch.
    flag_domain
        Whether objects get the field `OUTSIDE`.

    Raises
    ------
    ModelFileError
        If the field is asked for and the model does not know the phase space of its training.
    """

    def __init__(
        self, model: ObjectModel, *, seed: int, device: str = "cpu", flag_domain: bool = False
    ) -> None:
        if flag_domain and (model.phase_space is None or (model.fakes and model.fakes.phase_space is None)):
            msg = (
                f"the model of {model.declaration.name} does not know the domain of its training, which "
                "--flag-domain needs; train it again"
            )
            raise ModelFileError(msg)
        self.model = model
        self.declaration = model.declaration
        self.collection = model.declaration.collection
        # Declarations are not hashable; two views that are alike are the same text.
        self.gen_view = model.declaration.gen_view.model_dump_json()
        self.seed = seed
        self.flag_domain = flag_domain
        self._of_gen = f"{model.declaration.gen} for {self.collection}"
        self._of_events = f"events for unmatched {self.collection}"
        self._sampler = model.flow.sampler(device)
        fake_flow = None if model.fakes is None else model.fakes.flow
        self._fake_sampler = None if fake_flow is None else fake_flow.sampler(device)

    @property
    def phase_spaces(self) -> dict[str, PhaseSpace]:
        """What is known of the training's gen objects and, for objects of none, of its events."""
        known = {self._of_gen: self.model.phase_space}
        if self.model.fakes is not None:
            known[self._of_events] = self.model.fakes.phase_space
        return {name: space for name, space in known.items() if space is not None}

    def simulate(
        self,
        chunk: GenChunk,
        events: NDArray[np.uint64],
        *,
        folds: Sequence[int] = (0,),
        origin: str = "input",
    ) -> Simulated:
        """Draw the collection for every event of a chunk, once for each oversampling fold.

        Parameters
        ----------
        chunk
            Gen-level content of E events.
        events
            `flashsim.events.identity.event_keys` of each event, shape (E,).
        folds
            Numbers of the F folds. A fold is the same whichever others are asked for.
        origin
            Name of the input, for messages.

        Returns
        -------
        All simulated and derived fields and the index of the gen object, in no order inside an event, of E F
        events: the F folds of the first one, then those of the second, and so on.

        Raises
        ------
        InputFileError
            If a value that simulation needs is NaN, or infinite where a result is computed from it.
        """
        matched = self._matched(chunk, events, folds, origin)
        if self.model.fakes is None:
            fakes = _Objects(matched.event_rows[:0], {n: c[:0] for n, c in matched.columns.items()}, {})
        else:
            fakes = self._fakes(self.model.fakes, chunk, events, folds, origin)
        event_rows = np.concatenate((matched.event_rows, fakes.event_rows))
        columns: dict[str, NDArray[Any]] = {
            name: np.concatenate((column, fakes.columns[name])) for name, column in matched.columns.items()
        }
        collection = Collection.of_event_rows(event_rows, columns, chunk.events * len(folds))
        return Simulated(collection, matched.outside_counts | fakes.outside_counts)

    def _matched(
        self, chunk: GenChunk, events: NDArray[np.uint64], folds: Sequence[int], origin: str
    ) -> _Objects:
        """Draw which gen objects are reconstructed, and as what."""
        declaration = self.declaration
        gen = chunk.collections[declaration.gen]
        gen_columns = conditioning_columns(declaration.conditioning, chunk, declaration.gen)
        self._check(gen_columns, origin, np.isnan)
        self._check({field: gen[field] for field in declaration.references()}, origin, _not_finite)
        outside, outside_counts = self._outside(self._of_gen, gen_columns, len(gen))
        conditioning = self.model.conditioning.encode(gen_columns)
        keys, number = events[gen.event_rows], gen.local_index
        kept = self._kept(conditioning, keys, number, folds)
        noise = self._noise("flow", folds, [(keys[rows], number[rows]) for rows in kept], self.model.targets)
        rows = np.concatenate(kept)
        found = {field: column[rows] for field, column in gen.columns.items()}
        reference = {field: found[field] for field in declaration.references()}
        reference |= _related(declaration, gen_columns, rows)
        columns = self._draw(self._sampler, self.model.targets, noise, conditioning[rows], reference)
        for recoil in declaration.drawn_recoils:
            columns |= momentum(recoil, columns, found[recoil.gen_fields[1]])
            for component in recoil.targets:
                del columns[component]
        if declaration.match:
            columns[declaration.match] = found["index"].astype(np.float64)
        for derived in declaration.derived:
            columns[derived.branch] = _derive(derived, found, columns, len(rows))
        if self.flag_domain:
            columns[OUTSIDE.name] = outside[rows].astype(np.float64)
        return _Objects(_output_rows([gen.event_rows[rows] for rows in kept]), columns, outside_counts)

    def _kept(
        self,
        conditioning: NDArray[np.float32],
        keys: NDArray[np.uint64],
        number: NDArray[np.int64],
        folds: Sequence[int],
    ) -> list[NDArray[np.int64]]:
        """Draw which gen objects are reconstructed, rows by fold."""
        if self.model.efficiency is None:
            return [np.arange(len(keys)) for _ in folds]
        probability = expit(self.model.efficiency.logits(conditioning))[:, 0]
        drawn = (self._stream("efficiency", fold).uniform(keys, number, 1)[:, 0] for fold in folds)
        return [np.flatnonzero(uniform < probability) for uniform in drawn]

    def _fakes(
        self,
        fakes: FakeModel,
        chunk: GenChunk,
        events: NDArray[np.uint64],
        folds: Sequence[int],
        origin: str,
    ) -> _Objects:
        """Draw how many objects without a gen object an event has, and which."""
        declaration = self.declaration
        event_columns = conditioning_columns(declaration.fake_conditioning, chunk)
        self._check(event_columns, origin, np.isnan)
        outside, outside_counts = self._outside(self._of_events, event_columns, chunk.events)
        conditioning = fakes.conditioning.encode(event_columns)
        if fakes.targets is None or self._fake_sampler is None:
            rows = event_rows = np.zeros(0, dtype=np.int64)
            columns = {target.branch: np.zeros(0) for target in self.model.targets.targets}
        else:
            zero = np.zeros(chunk.events, dtype=np.int64)
            most = np.cumsum(softmax(fakes.count.logits(conditioning), axis=1), axis=1)[:, :-1]
            drawn = []
            for fold in folds:
                uniform = self._stream("fake count", fold).uniform(events, zero, 1)
                drawn.append(Collection.of_counts(np.count_nonzero(most < uniform, axis=1), {}))
            places = [(events[objects.event_rows], objects.local_index) for objects in drawn]
            noise = self._noise("fake flow", folds, places, fakes.targets)
            rows = np.concatenate([objects.event_rows for objects in drawn])
            reference = _related(declaration, event_columns, rows)
            columns = self._draw(self._fake_sampler, fakes.targets, noise, conditioning[rows], reference)
            event_rows = _output_rows([objects.event_rows for objects in drawn])
        columns[declaration.match] = np.full(len(event_rows), -1.0)
        for derived in declaration.derived:
            columns[derived.branch] = _derive(derived, None, columns, len(event_rows))
        if self.flag_domain:
            columns[OUTSIDE.name] = outside[rows].astype(np.float64)
        return _Objects(event_rows, columns, outside_counts)

    def _outside(
        self, name: str, columns: Columns, rows: int
    ) -> tuple[NDArray[np.bool_], dict[str, OutsideCount]]:
        """Tell which rows are outside of the training, and how many by what."""
        if (space := self.phase_spaces.get(name)) is None:
            return np.zeros(rows, dtype=bool), {}
        masks = space.outside(columns)
        return any_of(masks, rows), {name: OutsideCount.of(masks, rows)}

    def _noise(
        self,
        purpose: str,
        folds: Sequence[int],
        places: Sequence[tuple[NDArray[np.uint64], NDArray[np.int64]]],
        codec: TargetCodec,
    ) -> NDArray[np.float64]:
        """Noise of the objects of all folds, given the hash of the event and the number of each by fold."""
        width = codec.width
        return np.concatenate(
            [
                self._stream(purpose, fold).normal(keys, number, width)
                for fold, (keys, number) in zip(folds, places, strict=True)
            ]
        )

    def _stream(self, purpose: str, fold: int) -> Stream:
        return Stream(self.seed, self.collection, purpose, fold)

    def _check(
        self,
        columns: Mapping[str, NDArray[Any]],
        origin: str,
        is_bad: Callable[[NDArray[Any]], NDArray[np.bool_]],
    ) -> None:
        for name, column in columns.items():
            if count := int(np.count_nonzero(is_bad(column))):
                msg = (
                    f"{origin}: '{name}', from which {self.declaration.name} are simulated, is not a number "
                    f"in {count} of {len(column)} rows; mend or leave out these events"
                )
                raise InputFileError(msg)

    def _draw(
        self,
        sampler: FlowSampler,
        codec: TargetCodec,
        noise: NDArray[np.float64],
        conditioning: NDArray[np.float32],
        reference: Mapping[str, NDArray[Any]],
    ) -> Columns:
        return codec.decode(sampler.from_noise(noise, conditioning), reference)


def simulate_whole(
    simulator: ObjectSimulator,
    arrays: Mapping[str, Any],
    events: NDArray[np.uint64],
    simulated: Mapping[str, Collection],
    *,
    folds: int,
    origin: str,
) -> Simulated:
    """Draw what belongs to whole events, given the objects of each of their folds.

    Parameters
    ----------
    simulator
        Of a declaration per event.
    arrays
        Branches of E gen events.
    events
        `flashsim.events.identity.event_keys` of each, shape (E,).
    simulated
        Collections of E F events, folds of an event side by side.
    folds
        F.
    origin
        Name of the input, for messages.

    Returns
    -------
    One row for each of the E F events, in their order.
    """
    declaration, gen = simulator.declaration, None
    drawn = []
    for fold in range(folds):
        given = {n: simulated[n].every(folds, fold) for n in declaration.reconstructed() if n in simulated}
        chunk = gen_chunk(declaration, dict(arrays), gen, given)
        gen = chunk.collections
        drawn.append(simulator.simulate(chunk, events, folds=(fold,), origin=origin))
    columns = {
        name: np.stack([one.collection[name] for one in drawn], axis=1).ravel()
        for name in drawn[0].collection.columns
    }
    counts = np.ones(len(events) * folds, dtype=np.int64)
    outside_counts = {
        name: sum((one.outside_counts[name] for one in drawn), OutsideCount())
        for name in drawn[0].outside_counts
    }
    return Simulated(Collection.of_counts(counts, columns), outside_counts)


def _related(
    declaration: ObjectDeclaration, conditioning: Columns, rows: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Conditioning columns of some rows that relations need, as far as there are such."""
    names = [name for name in declaration.related_conditioning() if name in conditioning]
    return {f"conditioning.{name}": conditioning[name][rows] for name in names}


def _output_rows(by_fold: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Rows of the output, in which the folds of an event stand together, from rows of the chunk by fold."""
    return np.concatenate([rows * len(by_fold) + fold for fold, rows in enumerate(by_fold)])


def _not_finite(column: NDArray[Any]) -> NDArray[np.bool_]:
    finite: NDArray[np.bool_] = np.isfinite(column)
    return ~finite


def _derive(
    derived: Derived, gen: Mapping[str, NDArray[Any]] | None, reco: Columns, rows: int
) -> NDArray[np.float64]:
    """Column of a derived branch, shape (rows,); `gen` is none for objects without a gen object."""
    if derived.source == "constant":
        return np.full(rows, derived.value)
    if derived.source == "gen" and gen is None:
        return np.full(rows, derived.unmatched)
    source: Mapping[str, NDArray[Any]] = reco if gen is None or derived.source == "reco" else gen
    values: NDArray[np.float64] = source[derived.field or ""].astype(np.float64) * derived.factor
    return values
