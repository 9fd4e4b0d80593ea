"""One object of one chunk of events: who is reconstructed, as what, and what is there besides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax

from flashsim.codec import ConditioningCodec, TargetCodec
from flashsim.collection import Collection
from flashsim.errors import InputFileError
from flashsim.flows import ConditionalMAF, Sampler
from flashsim.modelfile import ObjectModel
from flashsim.networks import evaluate
from flashsim.noise import Stream
from flashsim.objects import Derived
from flashsim.preprocessing.features import GenChunk, conditioning_columns

__all__ = ["ObjectSimulator"]

Columns = dict[str, NDArray[np.float64]]


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
        self.seed = seed
        self.device = device
        for network in model.networks().values():
            network.to(device)
        self._sampler = Sampler(model.flow)
        self._fake_sampler = None if model.fakes.flow is None else Sampler(model.fakes.flow)

    def simulate(self, chunk: GenChunk, events: NDArray[np.uint64], fold: int = 0) -> Collection:
        """Draw the collection for every event of a chunk.

        Parameters
        ----------
        chunk
            Gen-level content of E events.
        events
            `flashsim.noise.event_hash` of each event, shape (E,).
        fold
            Number of the oversampling fold.

        Returns
        -------
        All simulated and derived fields and the index of the gen object, in no order inside an event.

        Raises
        ------
        InputFileError
            If a conditioning value is NaN.
        """
        matched = self._matched(chunk, events, fold)
        fakes = self._fakes(chunk, events, fold)
        event_rows = np.concatenate((matched.event_rows, fakes.event_rows))
        order = np.argsort(event_rows, kind="stable")
        columns: dict[str, NDArray[np.generic]] = {
            name: np.concatenate((column, fakes.columns[name]))[order]
            for name, column in matched.columns.items()
        }
        counts = np.bincount(event_rows, minlength=chunk.events)
        return Collection(np.concatenate(([0], np.cumsum(counts))), columns)

    def _matched(self, chunk: GenChunk, events: NDArray[np.uint64], fold: int) -> _Objects:
        gen = chunk.collections[self.declaration.gen]
        gen_columns = conditioning_columns(self.declaration.conditioning, chunk, self.declaration.gen)
        conditioning = self._encoded(self.model.conditioning, gen_columns)
        keys, number = events[gen.event_rows], gen.local_index
        probability = expit(evaluate(self.model.efficiency, conditioning))
        drawn = self._stream("efficiency", fold).uniform(keys, number, 1)
        keep = (drawn < probability.reshape(drawn.shape))[:, 0]
        kept = gen.select(keep)
        noise = self._stream("flow", fold).normal(keys[keep], number[keep], len(self.model.targets.targets))
        columns = self._draw(self._sampler, self.model.targets, noise, conditioning[keep], kept)
        columns[self.declaration.match] = kept["index"].astype(np.float64)
        for derived in self.declaration.derived:
            source = kept.columns if derived.source == "gen" else columns
            columns[derived.branch] = _derive(derived, source, len(kept))
        return _Objects(kept.event_rows, columns)

    def _fakes(self, chunk: GenChunk, events: NDArray[np.uint64], fold: int) -> _Objects:
        fakes = self.model.fakes
        entries = self.declaration.fakes.conditioning
        conditioning = self._encoded(fakes.conditioning, conditioning_columns(entries, chunk))
        zero = np.zeros(chunk.events, dtype=np.int64)
        drawn = self._stream("fake count", fold).uniform(events, zero, 1)
        chances = softmax(evaluate(fakes.count, conditioning).reshape(chunk.events, -1), axis=1)
        counts = np.count_nonzero(np.cumsum(chances, axis=1)[:, :-1] < drawn, axis=1)
        if fakes.flow is None or self._fake_sampler is None or fakes.targets is None:
            counts = zero
        rows = np.repeat(np.arange(chunk.events), counts)
        number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        columns: Columns = {target.branch: np.zeros(0) for target in self.model.targets.targets}
        if len(rows) and self._fake_sampler is not None and fakes.targets is not None:
            noise = self._stream("fake flow", fold).normal(events[rows], number, len(fakes.targets.targets))
            columns = self._draw(self._fake_sampler, fakes.targets, noise, conditioning[rows], None)
        columns[self.declaration.match] = np.full(len(rows), -1.0)
        for derived in self.declaration.derived:
            unmatched = np.full(len(rows), derived.unmatched)
            columns[derived.branch] = (
                unmatched if derived.source == "gen" else _derive(derived, columns, len(rows))
            )
        return _Objects(rows, columns)

    def _stream(self, purpose: str, fold: int) -> Stream:
        return Stream(self.seed, self.collection, purpose, fold)

    def _encoded(self, codec: ConditioningCodec, columns: Columns) -> NDArray[np.float32]:
        if bad := [name for name in codec.transforms if np.isnan(columns[name]).any()]:
            msg = f"conditioning variable '{bad[0]}' of {self.declaration.name} is NaN: mend the input"
            raise InputFileError(msg)
        return codec.encode(columns)

    def _draw(
        self,
        sampler: Sampler,
        codec: TargetCodec,
        noise: NDArray[np.float64],
        conditioning: NDArray[np.float32],
        gen: Collection | None,
    ) -> Columns:
        normal = sampler.from_noise(
            torch.from_numpy(noise.astype(np.float32)).to(self.device),
            torch.from_numpy(np.ascontiguousarray(conditioning)).to(self.device),
        )
        reference = {} if gen is None else {field: gen[field] for field in self.declaration.references()}
        return codec.decode(normal.cpu().numpy(), reference)  # type: ignore[arg-type]  # floating-point columns


def _derive(
    derived: Derived, columns: Columns | dict[str, NDArray[np.generic]], rows: int
) -> NDArray[np.float64]:
    if derived.source == "constant":
        return np.full(rows, derived.value)
    return columns[derived.field or ""].astype(np.float64) * derived.factor
