"""One object of one chunk of events: who is reconstructed, as what, and what is there besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import expit, softmax

from flashsim.collection import Collection
from flashsim.errors import InputFileError
from flashsim.flows import Sampler
from flashsim.networks import evaluate
from flashsim.noise import Stream
from flashsim.preprocessing.features import conditioning_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from flashsim.codec import TargetCodec
    from flashsim.modelfile import ObjectModel
    from flashsim.objects import Derived
    from flashsim.preprocessing.features import GenChunk

    Columns = dict[str, NDArray[np.float64]]

__all__ = ["ObjectSimulator"]


@dataclass(frozen=True)
class _Objects:
    """Simulated objects in no order: rows of their events, and columns by branch."""

    event_rows: NDArray[np.int64]
    columns: Columns


class ObjectSimulator:
    """Draws the reconstructed objects of one collection.

    Parameters
    ----------
    model
        The trained model.
    seed
        The user's seed.
    device
        Torch's name of the device that the networks run on.
    """

    def __init__(self, model: ObjectModel, *, seed: int, device: str = "cpu") -> None:
        self.model = model
        self.declaration = model.declaration
        self.collection = model.declaration.collection
        # Declarations are not hashable; two views that are alike are the same text.
        self.gen_view = model.declaration.gen_view.model_dump_json()
        self.seed = seed
        self.device = device
        for network in model.networks().values():
            network.to(device)
        self._sampler = Sampler(model.flow)
        self._fake_sampler = None if model.fakes.flow is None else Sampler(model.fakes.flow)

    def simulate(
        self, chunk: GenChunk, events: NDArray[np.uint64], *, fold: int = 0, origin: str = "input"
    ) -> Collection:
        """Draw the collection for every event of a chunk.

        Parameters
        ----------
        chunk
            Gen-level content of E events.
        events
            `flashsim.noise.event_hash` of each event, shape (E,).
        fold
            Number of the oversampling fold.
        origin
            Name of the input, for messages.

        Returns
        -------
        All simulated and derived fields and the index of the gen object, in no order inside an event.

        Raises
        ------
        InputFileError
            If a value that simulation needs is NaN, or infinite where a result is computed from it.
        """
        matched = self._matched(chunk, events, fold, origin)
        fakes = self._fakes(chunk, events, fold, origin)
        event_rows = np.concatenate((matched.event_rows, fakes.event_rows))
        order = np.argsort(event_rows, kind="stable")
        columns: dict[str, NDArray[Any]] = {
            name: np.concatenate((column, fakes.columns[name]))[order]
            for name, column in matched.columns.items()
        }
        counts = np.bincount(event_rows, minlength=chunk.events)
        return Collection.of_counts(counts, columns)

    def _matched(self, chunk: GenChunk, events: NDArray[np.uint64], fold: int, origin: str) -> _Objects:
        """Draw which gen objects are reconstructed, and as what."""
        declaration = self.declaration
        gen = chunk.collections[declaration.gen]
        gen_columns = conditioning_columns(declaration.conditioning, chunk, declaration.gen)
        self._check(gen_columns, origin, np.isnan)
        self._check({field: gen[field] for field in declaration.references()}, origin, _not_finite)
        conditioning = self.model.conditioning.encode(gen_columns)
        keys, number = events[gen.event_rows], gen.local_index
        probability = expit(evaluate(self.model.efficiency, conditioning))
        drawn = self._stream("efficiency", fold).uniform(keys, number, 1)
        keep = (drawn < probability.reshape(drawn.shape))[:, 0]
        kept = gen.select(keep)
        noise = self._stream("flow", fold).normal(keys[keep], number[keep], len(self.model.targets.targets))
        reference = {field: kept[field] for field in declaration.references()}
        columns = self._draw(self._sampler, self.model.targets, noise, conditioning[keep], reference)
        columns[declaration.match] = kept["index"].astype(np.float64)
        for derived in declaration.derived:
            columns[derived.branch] = _derive(derived, kept.columns, columns, len(kept))
        return _Objects(kept.event_rows, columns)

    def _fakes(self, chunk: GenChunk, events: NDArray[np.uint64], fold: int, origin: str) -> _Objects:
        """Draw how many objects without a gen object an event has, and which."""
        fakes, declaration = self.model.fakes, self.declaration
        event_columns = conditioning_columns(declaration.fakes.conditioning, chunk)
        self._check(event_columns, origin, np.isnan)
        conditioning = fakes.conditioning.encode(event_columns)
        if fakes.targets is None or self._fake_sampler is None:
            rows = np.zeros(0, dtype=np.int64)
            columns = {target.branch: np.zeros(0) for target in self.model.targets.targets}
        else:
            zero = np.zeros(chunk.events, dtype=np.int64)
            drawn = self._stream("fake count", fold).uniform(events, zero, 1)
            chances = softmax(evaluate(fakes.count, conditioning), axis=1)
            counts = np.count_nonzero(np.cumsum(chances, axis=1)[:, :-1] < drawn, axis=1)
            drawn_objects = Collection.of_counts(counts, {})
            rows, number = drawn_objects.event_rows, drawn_objects.local_index
            noise = self._stream("fake flow", fold).normal(events[rows], number, len(fakes.targets.targets))
            columns = self._draw(self._fake_sampler, fakes.targets, noise, conditioning[rows], {})
        columns[declaration.match] = np.full(len(rows), -1.0)
        for derived in declaration.derived:
            columns[derived.branch] = _derive(derived, None, columns, len(rows))
        return _Objects(rows, columns)

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
        sampler: Sampler,
        codec: TargetCodec,
        noise: NDArray[np.float64],
        conditioning: NDArray[np.float32],
        reference: Mapping[str, NDArray[Any]],
    ) -> Columns:
        normal = sampler.from_noise(
            torch.from_numpy(noise.astype(np.float32)).to(self.device),
            torch.from_numpy(np.ascontiguousarray(conditioning)).to(self.device),
        )
        return codec.decode(normal.cpu().numpy(), reference)


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
