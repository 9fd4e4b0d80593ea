"""The gen-level NanoAOD file: what is written of generated events, whatever generator made them."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import awkward as ak
import numpy as np

from flashsim import __version__
from flashsim.declarations.eras import DEFAULT_ERA, load_era
from flashsim.events.identity import content_hash
from flashsim.events.noise import event_hash
from flashsim.gen.gen_jets import gen_fat_jets, gen_jets, gen_met, track_jets
from flashsim.gen.gen_taus import gen_visible_taus
from flashsim.gen.numbering import Numbering
from flashsim.gen.particle_level import dressed_leptons, isolated_photons
from flashsim.gen.particles import gen_part
from flashsim.gen.pileup import pileup, vertex
from flashsim.gen.stable import stable_particles
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.provenance import GEN
from flashsim.nanoaod.schema import counter_titles, load_schema, mantissa_bits
from flashsim.nanoaod.stable import STABLE_BRANCHES
from flashsim.nanoaod.writing import NanoWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from flashsim.declarations.eras import GenEra
    from flashsim.gen.particles import GenParticles
    from flashsim.gen.pythia import CrossSection, GeneratedEvents
    from flashsim.gen.record import EventRecord

__all__ = ["EVENT_IDS", "Columns", "GenFile", "GenSummary", "UsedWeight", "event_columns"]

_RUNS = (
    Branch("run", np.dtype("uint32"), title="run/i"),
    Branch("genEventCount", np.dtype("int64"), title="event count"),
    Branch("genEventSumw", np.dtype("float64"), title="sum of gen weights"),
    Branch("genEventSumw2", np.dtype("float64"), title="sum of gen (weight^2)"),
)
_LUMINOSITY_BLOCKS = (
    Branch("run", np.dtype("uint32"), title="run/i"),
    Branch("luminosityBlock", np.dtype("uint32"), title="luminosityBlock/i"),
)

EVENT_IDS = (
    Branch("run", np.dtype("uint32"), title="run/i"),
    Branch("luminosityBlock", np.dtype("uint32"), title="luminosityBlock/i"),
    Branch("event", np.dtype("uint64"), title="event/l"),
)
"""Branches that every file with a tree of events has."""
_STABLE_NAMES = frozenset(branch.name for branch in STABLE_BRANCHES)

Columns = dict[str, Any]
"""Branches of some events under their NanoAOD names."""


@dataclass(frozen=True)
class UsedWeight:
    """Which of the generator's weights is `genWeight`.

    Parameters
    ----------
    name
        The generator's.
    count
        How many weights each event has.
    """

    name: str
    count: int


@dataclass(frozen=True)
class GenSummary:
    """What was generated.

    Parameters
    ----------
    events
        Number of events written.
    cross_section, cross_section_error
        In pb, as the generator estimates it, with its statistical error; nan if it says nothing.
    sum_of_weights, sum_of_squared_weights
        Of `genWeight`, before it is rounded to 32 bits.
    notes
        What the user should know of them, a sentence each.
    weight
        Which weight that is; None where the generator has no choice of them.
    """

    events: int
    cross_section: float
    cross_section_error: float
    sum_of_weights: float
    sum_of_squared_weights: float
    notes: tuple[str, ...] = ()
    weight: UsedWeight | None = None

    @property
    def weight_text(self) -> str:
        """The weight in words; empty where there is no choice."""
        if self.weight is None or self.weight.count == 1:
            return ""
        return f"weight '{self.weight.name}' of {self.weight.count}"

    @property
    def cross_section_text(self) -> str:
        """The cross section in words."""
        if math.isnan(self.cross_section):
            return "cross section unknown"
        return f"cross section {self.cross_section:.4g} +- {self.cross_section_error:.1g} pb"


class GenFile:
    """Write gen-level NanoAOD and, if wanted, what else a detector needs of the same events beside it.

    Used as a context manager; all files appear under their names when `finish` has been called and the block
    ends, and not at all if it raises.

    Parameters
    ----------
    output
        NanoAOD file to write.
    particles
        A second file, for all stable visible particles (`flashsim.gen.stable`).
    force
        Whether to replace existing files.
    weights
        Branches of further event weights (``GenWeight_*``), and the generator's name of each: `extend`
        expects them, and their sums are stored in Runs (``GenWeightSumw_*``).
    numbering
        How events are numbered; by default with luminosity blocks that files of other events do not have.
    titles
        Titles of branches that differ from those of NanoAOD's schema: lists of weights.
    era
        Of whose NanoAOD version the file is; by default the default one.

    Raises
    ------
    OutputFileError
        If an output exists (without `force`) or cannot be written.
    """

    def __init__(
        self,
        output: str | Path,
        *,
        particles: str | Path | None = None,
        force: bool = False,
        weights: Mapping[str, str] | None = None,
        numbering: Numbering | None = None,
        titles: Mapping[str, str] | None = None,
        era: GenEra | None = None,
    ) -> None:
        self._files = contextlib.ExitStack()
        self._version = (era or load_era(DEFAULT_ERA)).nanoaod
        self._writer = NanoWriter(output, force=force, version=self._version)
        self._beside = (
            NanoWriter(particles, force=force, version=self._version) if particles is not None else None
        )
        self._weights = dict(weights or {})
        self._numbering = numbering or Numbering()
        self._titles = dict(titles or {})
        self._sums = np.zeros(2)
        self._weight_sums = dict.fromkeys(self._weights, 0.0)
        self.events = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as files:
            files.enter_context(self._writer)
            if self._beside is not None:
                files.enter_context(self._beside)
            self._writer.tree("Runs", (*_RUNS, *map(_sum_branch, self._weights)), title="Runs")
            self._writer.tree("LuminosityBlocks", _LUMINOSITY_BLOCKS, title="LuminosityBlocks")
            self._files = files.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.__exit__(kind, error, trace)

    def extend(self, columns: Columns) -> None:
        """Add events (`event_columns`, and the further weights in double precision), and number them."""
        if not self.events:
            self._numbering = self._numbering.of_file(columns)
        columns = self._numbering.numbers(self.events, len(columns["genWeight"])) | columns
        shown = {name: values for name, values in columns.items() if name not in _STABLE_NAMES}
        for name in (*self._weights, "genWeight"):
            shown[name] = np.asarray(columns[name]).astype(np.float32)
        if not self.events:
            self._declare(shown)
        self._writer.extend("Events", shown)
        if self._beside is not None:
            names = [branch.name for branch in (*EVENT_IDS, *STABLE_BRANCHES)]
            self._beside.extend("Events", {name: columns[name] for name in names})
        weights = np.asarray(columns["genWeight"], dtype=np.float64)
        self._sums += weights.sum(), np.square(weights).sum()
        for name in self._weights:
            self._weight_sums[name] += float(np.sum(columns[name], dtype=np.float64))
        self.events += len(weights)

    def finish(
        self,
        cross_section: CrossSection | None,
        provenance: Mapping[str, Any],
        *,
        notes: Iterable[str] = (),
        weight: UsedWeight | None = None,
    ) -> GenSummary:
        """Write sums, luminosity blocks and, under ``flashsim_gen``, where the events come from."""
        value, error = (
            (cross_section.value, cross_section.error) if cross_section is not None else (math.nan, math.nan)
        )
        summary = GenSummary(
            self.events, value, error, float(self._sums[0]), float(self._sums[1]), tuple(notes), weight
        )
        sums = {_sum_branch(name).name: np.array([total]) for name, total in self._weight_sums.items()}
        self._writer.extend("Runs", _runs(self._numbering.run, summary) | sums)
        self._writer.extend("LuminosityBlocks", self._numbering.luminosity_blocks(self.events))
        # JSON has no nan.
        known = {name: None if number != number else number for name, number in asdict(summary).items()}  # noqa: PLR0124
        known |= {"numbering": asdict(self._numbering)}
        known["weight"] = weight.name if weight is not None else None
        self._writer.write_string(GEN, json.dumps({"flashsim": __version__, **provenance, **known}))
        return summary

    def _declare(self, columns: Columns) -> None:
        schema = load_schema(self._version)
        own = {
            name: Branch(name, np.dtype("float32"), title=f"event weight '{text}' of the generator")
            for name, text in self._weights.items()
        }
        own |= {name: replace(schema[name], title=title) for name, title in self._titles.items()}
        branches = [own.get(name) or schema[name] for name in columns]
        collections = {branch.collection for branch in branches}
        titles = {name: title for name, title in counter_titles(self._version).items() if name in collections}
        self._writer.tree("Events", branches, title="Events", counter_titles=titles)
        if self._beside is not None:
            self._beside.tree("Events", (*EVENT_IDS, *STABLE_BRANCHES), title="Events")


def event_columns(
    batch: GeneratedEvents,
    seed: int,
    first: int,
    *,
    particles: bool = False,
    further: Columns | None = None,
    era: GenEra | None = None,
) -> Columns:
    """All branches of a batch, with NanoAOD's precision, and those of the files beside it if wanted.

    Parameters
    ----------
    batch
        What the generator made.
    seed
        Of pileup and vertices.
    first
        Place of the batch's first event in the file, from 1. `GenFile` numbers events; this one only tells
        apart those of equal content, such as empty ones, for pileup and vertices.
    particles
        Whether all stable visible particles are wanted.
    further
        Branches of NanoAOD that the events have besides.
    era
        Whose pileup, vertices and NanoAOD version to take; by default the default one's.
    """
    era = era or load_era(DEFAULT_ERA)
    columns: Columns = {
        "genWeight": batch.weight,
        "Generator_weight": batch.weight,
        "Generator_binvar": batch.pt_hat,
        "Generator_scalePDF": batch.scale_pdf,
        "Generator_id1": batch.id1,
        "Generator_id2": batch.id2,
        "Generator_x1": batch.x1,
        "Generator_x2": batch.x2,
        "Generator_xpdf1": batch.xpdf1,
        "Generator_xpdf2": batch.xpdf2,
    }
    if batch.shower_weights is not None:
        columns["PSWeight"] = ak.from_regular(batch.shower_weights)
    pruned, jets = gen_part(batch.record), gen_jets(batch.record)
    columns |= pruned.branches | jets.branches | gen_met(batch.record) | (further or {})
    stored = _stored(columns, era.nanoaod)
    key = _keys(stored, first)
    stored |= _stored(vertex(seed, key, era) | pileup(seed, key, era), era.nanoaod)
    stored |= _stored(_objects(batch.record, pruned, era.nanoaod), era.nanoaod)
    # Sums are made of it before it is rounded.
    stored["genWeight"] = ak.Array(np.asarray(batch.weight, dtype=np.float64))
    if particles:
        stored |= stable_particles(batch.record)
    return stored


def _keys(columns: Columns, first: int) -> NDArray[np.uint64]:
    """Give what pileup and vertex of each event belong to: its content, and its place in the file."""
    content = content_hash(columns)
    place = np.arange(first, first + len(content))
    return content ^ event_hash(np.zeros_like(place), np.zeros_like(place), place)


def _objects(record: EventRecord, pruned: GenParticles, version: str) -> Columns:
    """Gen-level objects besides particles, jets and missing momentum."""
    columns = gen_fat_jets(record) | gen_visible_taus(record, pruned)
    columns |= dressed_leptons(record, pruned.flags) | isolated_photons(record)
    if "TrackGenJetAK4_pt" in load_schema(version):
        columns |= track_jets(record, pruned.in_miniaod)
    return columns


def _stored(columns: Columns, version: str) -> Columns:
    """Columns that a NanoAOD version has, with its types and precision."""
    schema = load_schema(version)
    return {
        name: _reduced(values, schema[name], mantissa_bits(version, name))
        for name, values in columns.items()
        if name in schema
    }


def _reduced(values: Any, branch: Branch, bits: int | None) -> ak.Array:
    values = ak.values_astype(ak.Array(values), branch.dtype)
    if bits is None or branch.dtype != np.float32:
        return values
    if not branch.jagged:
        return ak.Array(round_mantissa(ak.to_numpy(values), bits))
    return ak.unflatten(round_mantissa(ak.to_numpy(ak.flatten(values)), bits), ak.num(values))


def _sum_branch(weight: str) -> Branch:
    name = weight.replace("GenWeight_", "GenWeightSumw_")
    return Branch(name, np.dtype("float64"), title=f"sum of {weight}")


def _runs(run: int, summary: GenSummary) -> dict[str, NDArray[Any]]:
    return {
        "run": np.array([run], dtype=np.uint32),
        "genEventCount": np.array([summary.events], dtype=np.int64),
        "genEventSumw": np.array([summary.sum_of_weights]),
        "genEventSumw2": np.array([summary.sum_of_squared_weights]),
    }
