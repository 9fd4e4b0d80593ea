"""What becomes of LHE events: how many are read and written, and of which cross section."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from flashsim.errors import InputFileError
from flashsim.gen.cross_sections import FileCrossSection
from flashsim.gen.pythia import CrossSection

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.gen.gen_file import Columns
    from flashsim.gen.lhe.event import Init

__all__ = ["Counts", "ShoweredBlock"]

_WEIGHTED = (3, 4)


@dataclass(frozen=True)
class ShoweredBlock:
    """What has become of a block.

    Parameters
    ----------
    path, init
        Of the file.
    columns
        Branches of the events that are left; none if none is.
    read, written
        Numbers of events.
    before
        Weights of all events as Pythia has them before any veto.
    after
        Weights of the same events afterwards, 0 for those that are left out.
    pythia
        Pythia's own estimate of the cross section.
    said
        Pythia's errors.
    """

    path: Path
    init: Init
    columns: Columns | None
    read: int
    written: int
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    pythia: CrossSection
    said: str


@dataclass
class _FileCounts:
    """Of one file: events read, and sums of weights before and after, of squares and of their product."""

    path: Path
    init: Init
    read: int = 0
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    pythia: list[CrossSection] = field(default_factory=list)

    @property
    def cross_section(self) -> CrossSection | None:
        """Cross section of the ``<init>`` block, times the share of the weight that is left."""
        if abs(self.init.strategy) not in _WEIGHTED or self.init.cross_section is None:
            # Pythia has unweighted the events, or the file says nothing: its estimate is what there is.
            return CrossSection.combined(self.pythia) if sum(one.tried for one in self.pythia) else None
        before, after, before2, after2, product = self.sums
        if before == 0.0:
            return None
        share = after / before
        error = np.sqrt(max(after2 - 2 * share * product + share**2 * before2, 0.0)) / abs(before)
        whole = self.init.cross_section
        return CrossSection(
            whole.value * share, float(np.hypot(whole.error * share, whole.value * error)), self.read
        )


class Counts:
    """What has become of the events so far."""

    def __init__(self) -> None:
        self.files: dict[Path, _FileCounts] = {}
        self.read = self.written = 0
        self._said: list[str] = []

    def add(self, block: ShoweredBlock) -> None:
        """Count a block."""
        file = self.files.setdefault(block.path, _FileCounts(block.path, block.init))
        file.read += block.read
        file.sums += (
            block.before.sum(),
            block.after.sum(),
            np.square(block.before).sum(),
            np.square(block.after).sum(),
            (block.before * block.after).sum(),
        )
        file.pythia.append(block.pythia)
        self.read += block.read
        self.written += block.written
        if block.said and block.said not in self._said:
            self._said.append(block.said)

    def check(self, paths: list[Path]) -> None:
        """Refuse an output without events."""
        if not self.read:
            msg = f"{paths[0]}: holds no event; give a file that the generator has filled"
            raise InputFileError(msg)
        if not self.written:
            reason = f" ({self._said[0]})" if self._said else ""
            msg = (
                f"{paths[0]}: Pythia leaves none of {self.read} events{reason}; "
                "correct the settings of the matching, or the events"
            )
            raise InputFileError(msg)

    def cross_sections(self) -> list[FileCrossSection]:
        """Give what each file says of the cross section."""
        return [FileCrossSection(file.path, file.read, file.cross_section) for file in self.files.values()]

    def notes(self, events: int | None, *, vetoes: bool) -> list[str]:
        """Give notes on numbers of events."""
        notes = []
        if events is not None and self.read < events:
            notes.append(f"{events} events were asked for, the input holds {self.read}")
        if refused := self.read - self.written:
            why = "the matching or merging refuses them" if vetoes else "Pythia fails in them"
            said = f": {self._said[0]}" if self._said and not vetoes else ""
            notes.append(f"{refused} of {self.read} LHE events are not written, {why}{said}")
        return notes
