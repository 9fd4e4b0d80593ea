"""One event of an LHE file, and the block before all: read, and checked before Pythia gets them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from flashsim.errors import InputFileError
from flashsim.gen.limits import LARGEST_MOMENTUM, LARGEST_NUMBER
from flashsim.gen.pythia import CrossSection
from flashsim.gen.weights import unstorable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Init", "LHEEvent", "plain"]

_STATUS = {-2, -1, 1, 2, 3, -9}
_COLUMNS, _EVENT_COLUMNS, _INIT_COLUMNS, _PROCESS_COLUMNS = 13, 6, 10, 4
_UNWEIGHTED = 3
_STRATEGIES = (1, 2, 3, 4)
_MOMENTUM = ("px", "py", "pz", "energy", "mass")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*([\"'])(.*?)\2")
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
_BLOCKS = re.compile(r"<(rwgt|weights)\b[^>]*>(.*?)</\1\s*>", re.DOTALL)
_NAMED = re.compile(r"<wgt\b[^>]*?\bid\s*=\s*([\"'])(.*?)\1[^>]*>(.*?)</wgt\s*>", re.DOTALL)


@dataclass(frozen=True)
class Init:
    """The ``<init>`` block.

    Parameters
    ----------
    beams
        PDG numbers.
    energies
        In GeV.
    pdf_sets
        LHAPDF numbers of the parton densities; 0 or below where the file says nothing.
    strategy
        How events are weighted (IDWTUP): 3 unweighted, 4 weighted with the cross section as mean, 1 and 2 for
        Pythia to unweight; negative where weights may be.
    cross_sections, errors
        Cross section of each process and its statistical error, in pb.
    """

    beams: tuple[int, int]
    energies: tuple[float, float]
    pdf_sets: tuple[int, int]
    strategy: int
    cross_sections: tuple[float, ...]
    errors: tuple[float, ...]

    @classmethod
    def of(cls, lines: list[str], path: Path) -> Init:
        """Read the lines of the block.

        Raises
        ------
        InputFileError
            If a number is missing, is none, or makes no sense.
        """
        rows = [plain(line).split() for line in lines if line.strip() and line.lstrip()[0] not in "#<"]
        try:
            head = rows[0][:_INIT_COLUMNS]
            processes = [
                [float(text) for text in row[:_PROCESS_COLUMNS]] for row in rows[1 : 1 + int(head[9])]
            ]
            init = cls(
                beams=(int(head[0]), int(head[1])),
                energies=(float(head[2]), float(head[3])),
                pdf_sets=(int(head[6]), int(head[7])),
                strategy=int(head[8]),
                cross_sections=tuple(row[0] for row in processes),
                errors=tuple(row[1] for row in processes),
            )
        except (IndexError, ValueError) as error:
            msg = f"{path}: its <init> block cannot be read ({error}); make the file again"
            raise InputFileError(msg) from error
        init._check(path, int(head[9]))
        return init

    def _check(self, path: Path, processes: int) -> None:
        numbers = (*self.energies, *self.cross_sections, *self.errors)
        if not all(math.isfinite(number) for number in numbers):
            reason = "holds a number that is not finite"
        elif min(self.energies) <= 0:
            reason = f"has beams of {self.energies[0]:g} and {self.energies[1]:g} GeV"
        elif abs(self.strategy) not in _STRATEGIES:
            reason = f"has the weighting strategy {self.strategy}, expected 1 to 4, or negative"
        elif processes < 1 or len(self.cross_sections) != processes:
            reason = f"announces {processes} processes and holds {len(self.cross_sections)}"
        else:
            return
        msg = f"{path}: its <init> block {reason}; make the file again"
        raise InputFileError(msg)

    @property
    def cross_section(self) -> CrossSection | None:
        """Cross section of all processes together; none if the file gives no positive one."""
        value = sum(self.cross_sections)
        return CrossSection(value, math.hypot(*self.errors), 0) if value > 0 else None

    def pythia_weight(self, xwgtup: float) -> float:
        """Weight that Pythia gives an event, where nothing is vetoed: a sign, or the event's own in pb."""
        return math.copysign(1.0, xwgtup) if abs(self.strategy) == _UNWEIGHTED else xwgtup


@dataclass(frozen=True)
class LHEEvent:
    """One event.

    Parameters
    ----------
    weight, alpha_s
        XWGTUP and AQCDUP.
    pdg_id, status, spin
        Shape (N,): particles in the order of the file; status -1 incoming, 1 outgoing, 2 decayed.
    mothers
        Shape (N, 2): numbers of particles, from 1; 0 for none.
    momentum
        Shape (N, 5): px, py, pz, energy and mass, in GeV.
    attributes
        Of the ``<event>`` tag.
    weights
        Further weights by name, as ``<rwgt>`` has them.
    unnamed
        Further weights in the order of the head, as ``<weights>`` has them.
    """

    weight: float
    alpha_s: float
    pdg_id: NDArray[np.int32]
    status: NDArray[np.int32]
    spin: NDArray[np.float64]
    mothers: NDArray[np.int64]
    momentum: NDArray[np.float64]
    attributes: dict[str, str]
    weights: dict[str, float]
    unnamed: list[float]

    @classmethod
    def of(cls, text: str, number: int, path: Path) -> LHEEvent:
        """Read the text of an event.

        Parameters
        ----------
        text
            From ``<event>`` to ``</event>``.
        number
            Of the event in its file, from 1, for messages.
        path
            The file, for messages.

        Raises
        ------
        InputFileError
            If something is missing, is no finite number, or makes no sense: names the event.
        """
        try:
            return cls._read(text)
        except _FaultError as fault:
            msg = f"{path}: event {number} {fault}; correct the file, or leave the event out"
            raise InputFileError(msg) from None

    @classmethod
    def _read(cls, text: str) -> LHEEvent:
        tag, _, body = text.partition(">")
        lines = [line for line in body.splitlines() if line.strip()]
        if not lines or lines[0].lstrip().startswith("<"):
            _fault("is empty")
        head = _numbers(lines[0], _EVENT_COLUMNS, "its first line")
        count = int(head[0])
        if count != head[0]:
            _fault(f"announces {head[0]:g} particles, expected a whole number")
        rows: list[list[float]] = []
        for line in lines[1:]:
            if line.lstrip()[0] in "#<":
                break
            rows.append(_numbers(line, _COLUMNS, f"particle {len(rows) + 1}"))
        if len(rows) != count:
            _fault(f"announces {count} particles and holds {len(rows)}")
        table = np.array(rows, dtype=np.float64).reshape(-1, _COLUMNS)
        _check_table(table)
        named, unnamed = _further_weights(body)
        event = cls(
            weight=head[2],
            alpha_s=head[5],
            pdg_id=table[:, 0].astype(np.int32),
            status=table[:, 1].astype(np.int32),
            spin=table[:, 12],
            mothers=table[:, 2:4].astype(np.int64),
            momentum=table[:, 6:11],
            attributes={name: value for name, _, value in _ATTRIBUTE.findall(tag)},
            weights=named,
            unnamed=unnamed,
        )
        event._check()
        return event

    def _check(self) -> None:
        if unstorable(np.array([self.weight]))[0]:
            _fault(f"has a weight of {self.weight:g}, which NanoAOD cannot hold (float32)")
        if unknown := sorted(set(self.status.tolist()) - _STATUS):
            _fault(f"has a particle of status {unknown[0]}, which LHE does not know")
        if (incoming := int(np.sum(self.status == -1))) != 2:
            _fault(f"has {incoming} incoming particles, expected 2")
        if np.any((self.mothers < 0) | (self.mothers > len(self.status))):
            _fault(f"has a particle with a mother outside of 1 to {len(self.status)}")


class _FaultError(Exception):
    """What is wrong with an event."""


def _fault(text: str) -> NoReturn:
    raise _FaultError(text)


def _check_table(table: NDArray[np.float64]) -> None:
    """Refuse numbers that are cut when they are stored, and momenta that cannot be true."""
    whole, momentum = table[:, :6], table[:, 6:11]  # up to the colours; up to the mass
    if np.any(cut := whole != np.trunc(whole)):
        row, column = np.argwhere(cut)[0]
        _fault(f"holds {whole[row, column]:g} in particle {row + 1}, expected a whole number")
    if np.any(large := np.abs(whole) >= LARGEST_NUMBER):
        row, column = np.argwhere(large)[0]
        _fault(f"holds the whole number {whole[row, column]:g}, expected one of 32 bits")
    if np.any(large := np.abs(momentum) > LARGEST_MOMENTUM):
        row, column = np.argwhere(large)[0]
        _fault(
            f"has {_MOMENTUM[column]} {momentum[row, column]:g} GeV in particle {row + 1}, "
            f"expected at most {LARGEST_MOMENTUM:g} GeV"
        )


def plain(text: str) -> str:
    """Numbers as Fortran writes them (``1.0D+03``) in the form that C++ and Python read."""
    return _FORTRAN.sub("E", text)


def _numbers(line: str, count: int, what: str) -> list[float]:
    texts = plain(line).split()
    if len(texts) < count:
        _fault(f"has {len(texts)} numbers in {what}, expected {count}")
    try:
        numbers = [float(text) for text in texts[:count]]
    except ValueError as error:
        _fault(f"holds no number in {what} ({error})")
    if not all(map(math.isfinite, numbers)):
        _fault(f"holds a number that is not finite in {what}")
    return numbers


def _further_weights(body: str) -> tuple[dict[str, float], list[float]]:
    named: dict[str, float] = {}
    unnamed: list[float] = []
    for kind, content in _BLOCKS.findall(body):
        if kind == "weights":
            unnamed = [_weight(text, str(k + 1)) for k, text in enumerate(content.split())]
        else:
            named |= {name: _weight(text, name) for _, name, text in _NAMED.findall(content)}
    return named, unnamed


def _weight(text: str, name: str) -> float:
    return _numbers(text, 1, f"its weight '{name}'")[0]
