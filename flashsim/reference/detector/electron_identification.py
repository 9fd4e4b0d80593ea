"""Identification of electrons: scores of trees, the selections built on them, and one of cuts.

Scores stand for those of boosted trees (CMS EGM-17-001, arXiv:2012.06888): a raw score r is a highest one
minus a log-normal distance, which shower shapes, the track and particles around the electron share; NanoAOD
holds ``tanh r``. Working points cut on r at ``c - A exp(-pT / tau)``, the form of CMS. ``cutBased`` counts
how many of four nested selections (veto, loose, medium, tight) an electron passes: the cuts on isolation,
shower, hadronic energy and lost hits are those of CMS for 2018, and what has no branch here is one latent
variable more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field
from scipy.special import ndtr

from flashsim.declarations.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["NORMALS", "Cuts", "Scores", "Selections", "identification"]

NORMALS = 8
"""Normal numbers that an identification needs."""

_SCALE = 10.0  # GeV: pT of which the logarithm is taken


class WorkingPoint(Recipe):
    """A cut on a raw score, ``c - A exp(-pT / tau)``."""

    barrel: tuple[float, float, float] = Field(description="c, A and tau in GeV, |eta| < edge")
    endcap: tuple[float, float, float] = Field(description="the same beyond")

    def at(self, pt: Floats, barrel: NDArray[np.bool_]) -> Floats:
        """Cut for each electron, shape (N,)."""
        c, amplitude, scale = np.where(barrel[:, None], self.barrel, self.endcap).T
        cut: Floats = c - amplitude * np.exp(-pt / scale)
        return cut


class Selections(Recipe):
    """Working points, from the loosest to the tightest."""

    WPL: WorkingPoint  # NanoAOD's names
    WP90: WorkingPoint
    WP80: WorkingPoint


class Cuts(Recipe):
    """Cuts of the selections; those of ``cutBased`` by level, from veto to tight."""

    edge: float = Field(gt=0, description="|eta| where the endcap begins")
    with_isolation: Selections
    without_isolation: Selections
    smearing: float = Field(gt=0, description="width of the cuts on raw scores")
    isolation: list[tuple[float, float, float, float]] = Field(
        description="largest relative isolation by level: constant and 1 / pT term, barrel, then endcap"
    )
    sieie: list[tuple[float, float]] = Field(description="largest sieie by level, barrel and endcap")
    hoe: list[tuple[float, float, float]] = Field(
        description="largest hoe by level: constant, 1 / E term in GeV and rho / E term"
    )
    hits: list[tuple[int, int]] = Field(description="most lost hits by level, barrel and endcap")
    unseen: list[float] = Field(description="share that each level loses by what has no branch")
    spread: float = Field(gt=0, description="relative width of these cuts")


class Scores(Recipe):
    """Raw scores of one kind of electrons."""

    highest: float = Field(description="highest raw score at 10 GeV")
    rise: float = Field(description="its rise with ln pT")
    distance: float = Field(gt=0, description="median distance from it")
    spread: float = Field(ge=0, description="spread of the logarithm of that distance")
    around: float = Field(
        ge=0, description="fall of the score without isolation with ln(1 + relative isolation)"
    )
    isolation: float = Field(ge=0, description="what the score with isolation falls in addition, at most")
    isolation_scale: float = Field(gt=0, description="relative isolation at which half of that is reached")
    shape: float = Field(ge=0, le=1, description="correlation of the distance with the shape of the shower")
    track: float = Field(ge=0, le=1, description="correlation of the distance with the track's quality")
    separate: float = Field(ge=0, description="spread of each of the two scores around what they share")
    endcap: float = Field(default=0.0, description="rise of the logarithm of the distance in the endcap")


def identification(
    seen: Mapping[str, NDArray[Any]],
    rho: Floats,
    scores: Scores,
    cuts: Cuts,
    *,
    converted: NDArray[np.bool_],
    normal: Floats,
) -> dict[str, NDArray[Any]]:
    """Draw scores, their selections and ``cutBased``.

    Parameters
    ----------
    seen
        Reconstructed pt (GeV), eta, pfRelIso03_all, sieie, hoe, lostHits, and the latent ``shape`` of the
        shower and ``quality`` of the track, larger for worse.
    rho
        Energy density of each electron's event, in GeV per unit of area.
    scores, cuts
        The parameters.
    converted
        Which electrons look like one of a converted photon.
    normal
        Random numbers, shape (N, `NORMALS`).

    Returns
    -------
    Columns by field, shape (N,): scores in [-1, 1], flags 0 or 1, ``cutBased`` from 0 to 4.
    """
    z = normal.T
    barrel = np.abs(seen["eta"]) < cuts.edge
    own = np.sqrt(max(1.0 - scores.shape**2 - scores.track**2, 0.0)) * z[0]
    own = own + scores.shape * seen["shape"] + scores.track * seen["quality"]
    busy = seen["pfRelIso03_all"]
    distance = scores.distance * np.exp(scores.spread * own + scores.endcap * ~barrel)
    common = scores.highest + scores.rise * np.log(seen["pt"] / _SCALE) - distance
    alone = common - scores.around * np.log1p(busy) + scores.separate * z[1]
    penalty = scores.isolation * busy / (busy + scores.isolation_scale)
    isolated = common - scores.around * np.log1p(busy) - penalty + scores.separate * z[2]
    columns: dict[str, NDArray[Any]] = {
        "mvaFall17V2Iso": np.tanh(isolated),
        "mvaFall17V2noIso": np.tanh(alone),
        "cutBased": _level(seen, rho, cuts, barrel, converted, hidden=ndtr(-own), z=z[4:]),
    }
    for name, raw, points in (
        ("mvaFall17V2Iso", isolated, cuts.with_isolation),
        ("mvaFall17V2noIso", alone, cuts.without_isolation),
    ):
        smeared = raw + cuts.smearing * z[3]
        passed = np.ones(len(raw), dtype=bool)
        for level in ("WPL", "WP90", "WP80"):
            point: WorkingPoint = getattr(points, level)
            passed = passed & (smeared > point.at(seen["pt"], barrel))
            columns[f"{name}_{level}"] = passed.astype(np.int64)
    return columns


def _level(
    seen: Mapping[str, NDArray[Any]],
    rho: Floats,
    cuts: Cuts,
    barrel: NDArray[np.bool_],
    converted: NDArray[np.bool_],
    *,
    hidden: Floats,
    z: Floats,
) -> NDArray[np.int64]:
    """How many of the nested selections by cuts are passed."""
    energy = seen["pt"] * np.cosh(seen["eta"])
    busy, width, behind = (
        seen[name] * np.exp(cuts.spread * k * z[row])
        for row, (name, k) in enumerate((("pfRelIso03_all", 1.0), ("sieie", 0.3), ("hoe", 1.0)))
    )
    level = np.zeros(len(energy), dtype=np.int64)
    passed = ~converted
    for number in range(4):
        isolation, shower, hadronic = cuts.isolation[number], cuts.sieie[number], cuts.hoe[number]
        constant, slope = (np.where(barrel, isolation[k], isolation[k + 2]) for k in (0, 1))
        passed = (
            passed
            & (busy < constant + slope / seen["pt"])
            & (width < np.where(barrel, *shower))
            & (behind < hadronic[0] + (hadronic[1] + hadronic[2] * rho) / energy)
            & (seen["lostHits"] <= np.where(barrel, *cuts.hits[number]))
            & (hidden > cuts.unseen[number])
        )
        level += passed
    return level
