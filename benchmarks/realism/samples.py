"""Samples that are compared: NanoAOD files, whoever made them, as flat columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.analysis.whole_events.reading import WholeEvents

__all__ = ["HALVES", "REAL_FILES", "half_of", "joined", "like"]

REAL_FILES = {
    "v9": ("tt_2018_v5.root", "pfnano_tt_2018.root"),
    "v12": ("tt_2022_v12.root",),
    "v15": ("tt_2024_v15.root",),
}
"""Files of CMS's full simulation that stand for a NanoAOD version; those of v9 have nearly its content."""

HALVES = {"tune": 0, "judge": 1, "both": None}
"""Remainder of the event number by 2 of the events of a half: even to tune with, odd to judge by."""

_LEPTONS, _W, _IS_HARD = (11, 13, 15), 24, 1 << 7
_PILEUP_BIN = 4.0
"""Width of the bins in true interactions that `like` uses."""


def half_of(events: WholeEvents, name: str) -> WholeEvents:
    """Events of a half, a key of `HALVES`."""
    remainder = HALVES[name]
    if remainder is None:
        return events
    return events.take(np.flatnonzero(events.values["event"].astype(np.int64) % 2 == remainder))


def like(sample: WholeEvents, real: Sequence[WholeEvents], seed: int = 1) -> WholeEvents:
    """Draw as many events so that pileup and decays of W bosons are distributed as in real samples.

    Campaigns have their own pileup, and some files hold only hadronic or semileptonic decays; neither says
    anything of the detector. Events are drawn in proportion to a weight, with one random number for all
    (systematic resampling).

    Parameters
    ----------
    sample
        Simulated events.
    real
        Real samples, all of their events.
    seed
        Of the one random number.
    """
    weights = np.ones(sample.events)
    for classes in (_pileup_class, _leptons_of_w):
        of_sample = classes(sample)
        of_real = np.concatenate([classes(one) for one in real])
        for value in np.unique(of_sample):
            here = of_sample == value
            weights[here] *= np.mean(of_real == value) / np.mean(here)
    if not weights.any():
        message = "no simulated event has the pileup and the W decays of a real one"
        raise ValueError(message)
    edges = np.cumsum(weights) / weights.sum()
    steps = (np.arange(sample.events) + np.random.default_rng(seed).uniform()) / sample.events
    return sample.take(np.minimum(np.searchsorted(edges, steps), sample.events - 1))


def _pileup_class(sample: WholeEvents) -> NDArray[np.int64]:
    return np.floor(sample.values["Pileup_nTrueInt"] / _PILEUP_BIN).astype(np.int64)


def _leptons_of_w(sample: WholeEvents) -> NDArray[np.int64]:
    """Count the charged leptons from W bosons of the hard process, shape (E,)."""
    particles = sample["GenPart"]
    mothers = particles["genPartIdxMother"]
    rows = particles.offsets[particles.event_rows] + np.maximum(mothers, 0)
    of_w = (mothers >= 0) & (np.abs(particles["pdgId"][rows]) == _W)
    leptons = (
        of_w & np.isin(np.abs(particles["pdgId"]), _LEPTONS) & ((particles["statusFlags"] & _IS_HARD) > 0)
    )
    return np.bincount(particles.event_rows[leptons], minlength=sample.events)


def joined(parts: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Join columns of several samples; a column is made of the samples that have it."""
    together: dict[str, list[NDArray[Any]]] = {}
    for part in parts:
        for name, column in part.items():
            together.setdefault(name, []).append(column)
    return {name: np.concatenate(columns) for name, columns in together.items()}
