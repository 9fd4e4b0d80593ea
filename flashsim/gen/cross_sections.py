"""One cross section of several files of a process."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flashsim.gen.pythia import CrossSection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FileCrossSection", "combined"]

_SIGMAS, _RELATIVE = 5.0, 0.02


@dataclass(frozen=True)
class FileCrossSection:
    """What a file says of its events' cross section.

    Parameters
    ----------
    path
        The file.
    events
        How many were read.
    cross_section
        Its cross section, in pb; none if it says nothing.
    """

    path: Path
    events: int
    cross_section: CrossSection | None


def combined(parts: Sequence[FileCrossSection]) -> tuple[CrossSection | None, list[str]]:
    """Cross section of files of one process, averaged by events, and what to tell the user of it.

    Returns
    -------
    None if a file says nothing of it; and a note where two files do not agree within five standard
    deviations and 2 %: they may be of different processes, whose cross sections would add.
    """
    known = [part.cross_section for part in parts if part.cross_section is not None]
    if not known or len(known) < len(parts):
        return None, [f"of {len(parts)} files, {len(known)} give a cross section; none is written"] * bool(
            known
        )
    share = np.array([part.events for part in parts], dtype=np.float64)
    share /= share.sum()
    cross_section = CrossSection(
        value=float(share @ [one.value for one in known]),
        error=float(np.sqrt(share**2 @ np.square([one.error for one in known]))),
        tried=sum(one.tried for one in known),
    )
    low = min(range(len(known)), key=lambda k: known[k].value)
    high = max(range(len(known)), key=lambda k: known[k].value)
    apart = known[high].value - known[low].value
    # An error that is not known (NaN) hides no difference.
    slack = _SIGMAS * math.hypot(*np.nan_to_num([known[low].error, known[high].error]))
    if apart > max(slack, _RELATIVE * abs(known[high].value)):
        note = (
            f"cross sections of the files differ ({parts[low].path.name}: {known[low].value:.4g} pb, "
            f"{parts[high].path.name}: {known[high].value:.4g} pb); they are averaged by events, as of one "
            "process: make files of different processes apart"
        )
        return cross_section, [note]
    return cross_section, []
