"""HepMC files of any generator as a source of event records.

HepMC3: Buckley et al., Comput. Phys. Commun. 260 (2021) 107310, arXiv:1912.08005. The text formats of HepMC3
(``Asciiv3``) and HepMC2 (``IO_GenEvent``) are read here and not by HepMC's own reader, which ends the process
at some damaged files and quietly stops at others.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NoReturn, Self

import numpy as np

from flashsim.errors import InputFileError
from flashsim.gen.hepmc import hepmc2, hepmc3
from flashsim.gen.hepmc.event import UNKNOWN, EventError, SingleEvent
from flashsim.gen.hepmc.status import with_pythia_status
from flashsim.gen.hepmc.text import HepMCText
from flashsim.gen.pythia import CrossSection, GeneratedEvents
from flashsim.gen.record import EventRecord
from flashsim.gen.weights import nominal_index, similar_names, unstorable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

__all__ = ["HepMCReader", "joined"]

# As many as of Pythia's: the same memory.
_BATCH = 250


class HepMCReader:
    """A HepMC file, read once from its beginning to its end. Used as a context manager.

    Parameters
    ----------
    path
        HepMC3 or HepMC2 text, compressed or not.
    weight
        Name of the weight to take for the nominal one; by default it is found (`nominal_index`), and is the
        first where no name tells.

    Attributes
    ----------
    weight_names
        Names of the event weights in the file's order; numbers where it has no names.
    nominal
        Index of the nominal weight.
    nominal_known
        Whether its name, or the user, says that it is the nominal one.
    other_chosen
        Whether the user has chosen another weight than the nominal one.
    one_cross_section
        Whether the last event read has one cross section for all of several weights.
    generators
        The generators that the file names, with their versions.
    cross_section
        In pb as the last event read has it, of the nominal weight; None if there is none.

    Raises
    ------
    InputFileError
        If the file is not there, is not HepMC, holds no event, or has no weight of the wanted name.
    """

    def __init__(self, path: str | Path, *, weight: str | None = None) -> None:
        self._text = HepMCText(path)
        self.path = self._text.path
        self.cross_section: CrossSection | None = None
        self.one_cross_section = False
        self._read = 0
        self._blocks = self._text.events()
        try:
            first = self._required(self._next())
            self.weight_names = self._names(first)
            self.nominal, self.nominal_known = self._nominal(weight)
            self.other_chosen = self.nominal != (nominal_index(self.weight_names) or 0)
        except BaseException:
            self._text.close()
            raise
        self._first: SingleEvent | None = first
        self.generators = hepmc3.generators_of(self._text.head)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    def batches(self, events: int | None = None) -> Iterator[tuple[GeneratedEvents, NDArray[np.float64]]]:
        """Read events and their weights, shape (events, number of weights) in the order of `weight_names`.

        Parameters
        ----------
        events
            How many at most; default all.

        Raises
        ------
        InputFileError
            If the file is cut off or damaged, events differ in their weights, a weight cannot be stored, or
            the particles of an event cannot be true. The sentence has the number of the event.
        """
        rest = islice(self._events(), events)
        while batch := list(islice(rest, _BATCH)):
            weights = np.array([event.weights for event in batch])
            yield joined(batch, weights[:, self.nominal]), weights

    def _events(self) -> Iterator[SingleEvent]:
        event = self._first
        self._first = None
        while event is not None:
            event = replace(event, weights=self._weights(event))
            self.cross_section = self._cross_section(event) or self.cross_section
            yield event
            event = self._next()

    def _required(self, event: SingleEvent | None) -> SingleEvent:
        if event is None:
            msg = f"{self.path}: holds no event; give a file that the generator has filled"
            raise InputFileError(msg)
        return event

    def _next(self) -> SingleEvent | None:
        lines = next(self._blocks, None)
        if lines is None:
            return None
        self._read += 1
        try:
            return (hepmc3.event_of if self._text.format == "hepmc3" else hepmc2.event_of)(lines)
        except EventError as error:
            self._refuse(lines[0], error)

    def _refuse(self, head: bytes, error: EventError) -> NoReturn:
        rest = self._text.rest(self._read - 1)
        if not error.content:
            msg = f"{self.path}: event {self._read} is cut off or damaged ({error}); {rest}"
            raise InputFileError(msg) from None
        label = head.split()[1].decode(errors="replace")
        number = f" (number {label} in the file)" if label != str(self._read) else ""
        msg = f"{self.path}: event {self._read}{number}: {error}; {rest}"
        raise InputFileError(msg) from None

    def _names(self, first: SingleEvent) -> list[str]:
        count = len(first.weights) or 1
        names = list(first.names) or hepmc3.weight_names_of(self._text.head)
        return names if len(names) == count else [str(number) for number in range(count)]

    def _nominal(self, wanted: str | None) -> tuple[int, bool]:
        names = self.weight_names
        if wanted is None:
            index = nominal_index(names)
            return (index or 0), index is not None or len(names) == 1
        if wanted in names:
            return names.index(wanted), True
        near = ", ".join(f"'{name}'" for name in similar_names(names, wanted))
        which = "its only weight is" if len(names) == 1 else f"of its {len(names)} weights, the nearest are"
        msg = f"{self.path}: has no weight '{wanted}'; {which} {near}"
        raise InputFileError(msg)

    def _weights(self, event: SingleEvent) -> tuple[float, ...]:
        """Weights in the order of the first event, checked."""
        expected = len(self.weight_names)
        weights = event.weights or ((1.0,) if expected == 1 else ())
        if len(weights) != expected:
            msg = (
                f"{self.path}: event {self._read} has {len(weights)} weights, expected {expected} as in the "
                "first one; give files of one run at a time"
            )
            raise InputFileError(msg)
        if len(event.names) == expected and list(event.names) != self.weight_names:
            if sorted(event.names) != sorted(self.weight_names):
                other = next((name for name in event.names if name not in self.weight_names), event.names[0])
                msg = (
                    f"{self.path}: event {self._read} has a weight '{other}', which the first one has not; "
                    "give files of one run at a time"
                )
                raise InputFileError(msg)
            by_name = dict(zip(event.names, weights, strict=True))
            weights = tuple(by_name[name] for name in self.weight_names)
        wrong = np.flatnonzero(unstorable(np.array(weights)))
        if len(wrong):
            value = weights[wrong[0]]
            mend = (
                ", which NanoAOD's numbers of 32 bits cannot hold; scale the generator's weights, or leave"
                if np.isfinite(value)
                else "; leave"
            )
            msg = (
                f"{self.path}: event {self._read}: weight '{self.weight_names[wrong[0]]}' is "
                f"{value:g}{mend} this event out"
            )
            raise InputFileError(msg)
        return weights

    def _cross_section(self, event: SingleEvent) -> CrossSection | None:
        known = event.cross_sections
        if known is None:
            return None
        # One value for each weight, or one for all.
        self.one_cross_section = len(known.values) != len(self.weight_names)
        index = 0 if self.one_cross_section else self.nominal
        value = known.values[index]
        error = known.errors[index] if index < len(known.errors) else math.nan
        return CrossSection(value, error, known.tried) if math.isfinite(value) else None


def joined(events: list[SingleEvent], weight: NDArray[np.float64]) -> GeneratedEvents:
    """Events as one batch, with the status codes that CMS rules know.

    Parameters
    ----------
    events
        At least one.
    weight
        Shape (events,): the weight of each.
    """
    counts = [len(event) for event in events]
    vertices = [len(event.position) for event in events]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    first_vertex = np.cumsum(vertices) - vertices

    def numbered(name: str) -> NDArray[np.int64]:
        own = np.concatenate([getattr(event, name) for event in events])
        return np.where(own >= 0, own + np.repeat(first_vertex, counts), -1)

    production = numbered("production_vertex")
    # The last row is for particles that have no production vertex.
    position = np.concatenate([*(event.position for event in events), np.zeros((1, 3))])
    px, py, pz, energy, mass = np.concatenate([event.momentum for event in events]).T.copy()
    x, y, z = position[production].T.copy()
    record = EventRecord(
        offsets=offsets,
        pdg_id=np.concatenate([event.pdg_id for event in events]).astype(np.int32),
        status=np.concatenate([event.status for event in events]).astype(np.int32),
        production_vertex=production,
        end_vertex=numbered("end_vertex"),
        px=px,
        py=py,
        pz=pz,
        energy=energy,
        mass=mass,
        x=x,
        y=y,
        z=z,
    )
    hard = np.array([event.hard_vertex for event in events], dtype=np.int64)
    pdf = np.array([event.pdf for event in events])
    # What is not a number, or no number that the branch can hold, the generator does not know.
    pdf = np.where(np.abs(pdf) < np.finfo(np.float32).max, pdf, UNKNOWN)
    scale, id1, id2, x1, x2, xpdf1, xpdf2 = pdf.T
    parton1, parton2 = (np.where(np.abs(code) < 2**31, code, UNKNOWN) for code in (id1, id2))
    return GeneratedEvents(
        record=with_pythia_status(record, np.where(hard >= 0, hard + first_vertex, -1)),
        weight=weight,
        scale_pdf=scale,
        pt_hat=np.full(len(events), UNKNOWN),
        id1=parton1.astype(np.int32),
        id2=parton2.astype(np.int32),
        x1=x1,
        x2=x2,
        xpdf1=xpdf1,
        xpdf2=xpdf2,
    )
