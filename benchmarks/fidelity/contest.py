"""Equal processor time for all networks: each is trained in turn, then draws the same objects."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.fidelity.competitors import COMPETITORS, own_kinds
from benchmarks.fidelity.encodings import Quantile, Smeared
from flashsim.analysis.statistics.classifier import two_sample_test
from flashsim.analysis.statistics.distances import Drawn, Floor, distances, summary
from flashsim.analysis.statistics.residuals import columns_for_trees
from flashsim.flows import Flow
from flashsim.flows.kinds import kind_of
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import load_schema, mantissa_bits
from flashsim.transforms.codec import ConditioningCodec, stored_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.fidelity.encodings import Encoding
    from benchmarks.fidelity.observables import ByHand
    from benchmarks.fidelity.samples import Columns, Sample
    from flashsim.declarations.flows import FlowRecipe
    from flashsim.declarations.objects import Target
    from flashsim.declarations.schedule import Schedule
    from flashsim.flows.module import FlowModule
    from flashsim.models.object_model import ObjectModel

__all__ = ["COMPARED_ROWS", "Arena", "EncodedRows", "Trained", "train_for"]

_log = logging.getLogger(__name__)

COMPARED_ROWS = 20_000
"""Objects that every competitor draws: other libraries' masked flows need a pass for each variable."""

_VALIDATION_ROWS = 20_000
_WARM_UP = 0.2


@dataclass(frozen=True)
class Trained:
    """What a training did.

    Parameters
    ----------
    rows, seconds
        Rows seen, repeats counted, and processor time.
    validation
        Loss of rows that it was not trained on; losses of different kinds of networks do not compare.
    """

    rows: int
    seconds: float
    validation: float


@dataclass(frozen=True)
class EncodedRows:
    """Targets before smearing, shape (N, D) twice, and conditioning, shape (N, C)."""

    low: torch.Tensor
    spread: torch.Tensor
    conditioning: torch.Tensor

    def batch(self, encoding: Encoding, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Smeared targets and conditioning of some rows."""
        return encoding.smear(self.low[index], self.spread[index]), self.conditioning[index]


def train_for(
    network: FlowModule,
    schedule: Schedule,
    encoding: Encoding,
    *,
    train: EncodedRows,
    validation: EncodedRows,
    seconds: float,
    clock: Callable[[], float] = time.process_time,
) -> Trained:
    """Train with AdamW and a one-cycle learning rate over a time in seconds; the clock sets the rate.

    Processor time by default: on a shared machine equal times of the clock are not equal work.
    """
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    started, rows = clock(), 0
    network.train()
    for index in _batches(len(train.low), schedule.batch):
        passed = (clock() - started) / seconds
        if passed >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * _cycle(passed)
        optimizer.zero_grad()
        loss = network.loss(*train.batch(encoding, index))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        rows += len(index)
    took = clock() - started
    network.eval()
    few = torch.arange(min(len(validation.low), _VALIDATION_ROWS))
    with torch.no_grad():
        held_out = float(network.loss(*validation.batch(encoding, few)))
    return Trained(rows=rows, seconds=took, validation=held_out)


@dataclass(frozen=True)
class Arena:
    """Rows to train on, and held-out objects of the reference to imitate, of one object.

    Parameters
    ----------
    model
        The model that is judged; its conditioning is everybody's.
    targets
        Targets that all samples have.
    train, validation
        Samples that the model was trained on.
    held_out
        Held-out reference.
    floors
        What two draws of the reference give for so many objects, by target.
    by_hand
        The prototype's transforms.
    """

    model: ObjectModel
    targets: Sequence[Target]
    train: Sample
    validation: Sample
    held_out: Sample
    floors: Mapping[str, Floor]
    by_hand: Mapping[str, ByHand]

    def contest(
        self, recipe: FlowRecipe, seconds: float, preprocessings: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """Train and measure everybody: the shipped flow as it is, FlashSim's kinds, the others.

        Parameters
        ----------
        recipe
            Of the flow of FlashSim that the others are compared with.
        seconds
            Processor time of each training.
        preprocessings
            ``own``, ``flashsim`` or both, for the others.
        """
        values, gen = self.train.matched("targets"), self.train.reference
        bits = stored_bits(self.targets, self.model.declaration.collection, self.model.nanoaod_version)
        quantile = Quantile.fit(self.targets, values, gen, bits)
        yield self._shipped()
        ours = own_kinds(recipe)
        for one in ours:
            yield self._enter(f"flashsim {one.kind}", one, quantile, seconds)
        if "own" in preprocessings:
            smeared = Smeared.fit(self.targets, values, gen, self.by_hand)
            for one in COMPETITORS:
                yield self._enter(one.kind, one, smeared, seconds)
        if "flashsim" in preprocessings:
            for one in COMPETITORS:
                if one not in ours:
                    yield self._enter(one.kind, one, quantile, seconds)

    def _shipped(self) -> dict[str, Any]:
        flow, codec = self.model.flow, self.model.targets
        context = self.model.conditioning.encode(self.held_out.matched("conditioning"))
        sampler, noise = flow.sampler(), torch.randn(len(context), flow.features).numpy()
        sampler.from_noise(noise[:1], context[:1])  # compiles its kernels
        started = time.process_time()
        drawn = sampler.from_noise(noise, context)
        took = time.process_time() - started
        decoded = codec.decode(drawn, self.held_out.reference)
        row = {"name": "shipped model", "preprocessing": "flashsim", "parameters": flow.parameters}
        return row | self._measure(decoded) | {"objects_per_second": len(context) / took}

    def _enter(self, name: str, recipe: FlowRecipe, encoding: Encoding, seconds: float) -> dict[str, Any]:
        """Train one and measure it."""
        _log.info("training %s behind %s preprocessing for %.0f s", name, encoding.name, seconds)
        codec = ConditioningCodec.fit(self.model.declaration.conditioning, self.train.matched("conditioning"))
        train, validation = (_encoded(encoding, codec, s) for s in (self.train, self.validation))
        torch.manual_seed(1)
        kind = kind_of(recipe.kind)
        features, conditions = train.low.shape[1], train.conditioning.shape[1]
        architecture = kind.architecture(recipe, features, conditions, seed=1)
        network = kind.module(architecture)
        trained = train_for(
            network, recipe.schedule, encoding, train=train, validation=validation, seconds=seconds
        )
        flow = Flow.of(recipe.kind, architecture, network)
        context = codec.encode(self.held_out.matched("conditioning"))
        sampler, noise = flow.sampler(), torch.randn(len(context), features).numpy()
        sampler.from_noise(noise[:2], context[:2])  # compiles kernels, where there are any
        started = time.process_time()
        drawn = sampler.from_noise(noise, context)
        took = time.process_time() - started
        # A diverged flow must not end the benchmark; its few such values count as the middle.
        finite = np.nan_to_num(drawn, nan=0.0, posinf=0.0, neginf=0.0).clip(-1e6, 1e6)
        decoded = encoding.decode(finite, self.held_out.reference)
        trainable = sum(weight.numel() for weight in network.parameters())
        row = {"name": name, "preprocessing": encoding.name, "parameters": trainable}
        row |= {"non_finite": int((~np.isfinite(drawn)).sum())} | asdict(trained)
        return row | self._measure(decoded) | {"objects_per_second": len(context) / took}

    def _measure(self, decoded: Columns) -> dict[str, Any]:
        """Compare drawn targets with those of the held-out reference, of the same gen objects.

        Drawn values are rounded as NanoAOD stores them: everybody's would be, in a file.
        """
        full, unit = self.held_out, self.held_out.matched_unit
        conditioning, gen = full.matched("conditioning"), full.matched("gen")
        truth = full.matched("targets")
        before, after = (
            columns_for_trees(self.targets, conditioning, gen, values)
            for values in (truth, self._stored(decoded))
        )
        test = two_sample_test(before, after, unit, unit)
        ratios = []
        for target in self.targets:
            one, other = (Drawn(table[f"target.{target.branch}"], unit) for table in (before, after))
            found = distances(one, {"it": other}, full.units, discrete=target.is_discrete)["it"]
            ratios.append({"ratio": found.value / max(self.floors[target.branch].value, 1e-9)})
        return {"auc": test.auc, "auc_error": test.error} | summary(ratios)

    def _stored(self, decoded: Columns) -> Columns:
        """Values as a file of the model's NanoAOD version gives them back."""
        version, collection = self.model.nanoaod_version, self.model.declaration.collection
        known = load_schema(version)
        stored: Columns = {}
        for field, values in decoded.items():
            name = f"{collection}_{field}"
            bits = mantissa_bits(version, name) if name in known else None
            single = values.astype(np.float32)
            stored[field] = (single if bits is None else round_mantissa(single, bits)).astype(np.float64)
        return stored


def _encoded(encoding: Encoding, codec: ConditioningCodec, sample: Sample) -> EncodedRows:
    low, spread = encoding.bounds(sample.matched("targets"), sample.reference)
    conditioning = codec.encode(sample.matched("conditioning"))
    return EncodedRows(
        *(torch.from_numpy(np.asarray(a, dtype=np.float32)) for a in (low, spread, conditioning))
    )


def _batches(rows: int, batch: int) -> Iterator[torch.Tensor]:
    """Batches in a new order every epoch, without end; small tables give smaller ones."""
    batch = max(1, min(batch, rows // 4))
    while True:
        order = torch.randperm(rows)
        yield from torch.split(order[: rows // batch * batch], batch)


def _cycle(passed: float) -> float:
    """Share of the largest learning rate after a share of the time: linear up, cosine down."""
    if passed < _WARM_UP:
        return 0.04 + 0.96 * passed / _WARM_UP
    return 0.5 + 0.5 * math.cos(math.pi * (passed - _WARM_UP) / (1.0 - _WARM_UP))
