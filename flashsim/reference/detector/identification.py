"""Identification of muons: which reconstructions found them, and the selections built on that.

As in CMS (MUO-16-001, arXiv:1804.04528): loose is a particle-flow muon that is global or a tracker muon,
medium is loose and asks for a good match of track and chambers, tight is medium and global and cuts on the
impact parameters, soft is a tracker muon with wider cuts. ``softMva`` is -1 without a global track.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field
from scipy.special import expit

from flashsim.declarations.recipes import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["NORMALS", "UNIFORMS", "Chance", "Cuts", "Identification", "identification"]

NORMALS, UNIFORMS = 4, 6
"""Random numbers that an identification needs."""

_SCALE = 10.0  # GeV: pT of which the logarithm is taken
_NO_SCORE = -1.0  # NanoAOD's value of softMva without a global track


class Chance(Recipe):
    """Logit of a probability, linear in latent and other causes."""

    base: float = Field(description="of an isolated muon of 10 GeV and mean quality")
    pt: float = Field(default=0.0, description="times ln(pT / 10 GeV)")
    activity: float = Field(default=0.0, description="times ln(1 + relative isolation)")
    quality: float = Field(default=0.0, description="times the latent quality of the match, in deviations")


class Cuts(Recipe):
    """Cuts of the selections; lengths in cm."""

    tight_dxy: float = Field(gt=0, description="largest |dxy| of tight muons")
    tight_dz: float = Field(gt=0, description="largest |dz| of tight muons")
    soft_dxy: float = Field(gt=0, description="largest |dxy| of soft muons")
    soft_dz: float = Field(gt=0, description="largest |dz| of soft muons")
    score: tuple[float, float] = Field(description="least softMva of softMvaId, and the width of that cut")


class Identification(Recipe):
    """Probabilities for one kind of muons."""

    isGlobal: Chance  # noqa: N815  # NanoAOD's name, as of the following
    isTracker: Chance  # noqa: N815
    isPFcand: Chance  # noqa: N815
    pf_without_global: float = Field(description="added to the logit of isPFcand without a global track")
    mediumId: Chance  # noqa: N815
    tightId: Chance  # noqa: N815
    softId: Chance  # noqa: N815
    soft_mva: tuple[float, float, float] = Field(
        description="highest score, median distance from it, and spread of the logarithm of that distance"
    )
    soft_activity: float = Field(
        default=0.0, description="rise of the logarithm of that distance with ln(1 + relative isolation)"
    )
    shared: float = Field(ge=0, le=1, description="correlation of the score with the quality of the match")
    track: float = Field(ge=0, le=1, description="correlation of that quality with the quality of the track")


def identification(
    track: Mapping[str, NDArray[np.float64]],
    activity: NDArray[np.float64],
    response: Identification,
    cuts: Cuts,
    *,
    normal: NDArray[np.float64],
    uniform: NDArray[np.float64],
) -> dict[str, NDArray[Any]]:
    """Draw isGlobal, isTracker, isPFcand, the identification flags and softMva.

    Parameters
    ----------
    track
        Reconstructed pt, dxy and dz (GeV, cm), and the latent ``quality`` of the track, larger for worse.
    activity
        Relative isolation, shape (N,).
    response, cuts
        The parameters.
    normal, uniform
        Random numbers, shapes (N, `NORMALS`) and (N, `UNIFORMS`).

    Returns
    -------
    Columns by field, shape (N,): 0 or 1, softMva in [-1, 1].
    """
    match = np.sqrt(1.0 - response.track**2) * normal[:, 0] - response.track * track["quality"]
    logarithm, busy = np.log(track["pt"] / _SCALE), np.log1p(activity)

    def passes(chance: Chance, u: NDArray[np.float64], extra: Any = 0.0) -> NDArray[np.bool_]:
        logit = chance.base + chance.pt * logarithm + chance.activity * busy + chance.quality * match + extra
        passed: NDArray[np.bool_] = u < expit(logit)
        return passed

    is_global = passes(response.isGlobal, uniform[:, 0])
    # Something must have found the muon.
    is_tracker = passes(response.isTracker, uniform[:, 1]) | ~is_global
    is_pf = passes(response.isPFcand, uniform[:, 2], np.where(is_global, 0.0, response.pf_without_global))
    medium = is_pf & passes(response.mediumId, uniform[:, 3])
    central = (np.abs(track["dxy"]) < cuts.tight_dxy) & (np.abs(track["dz"]) < cuts.tight_dz)
    tight = medium & is_global & central & passes(response.tightId, uniform[:, 4])
    near = (np.abs(track["dxy"]) < cuts.soft_dxy) & (np.abs(track["dz"]) < cuts.soft_dz)
    soft = is_tracker & near & passes(response.softId, uniform[:, 5])
    own = np.sqrt(1.0 - response.shared**2) * normal[:, 1] - response.shared * match
    highest, distance, spread = response.soft_mva
    logarithm_of_distance = spread * own + response.soft_activity * busy
    score = np.maximum(highest - distance * np.exp(logarithm_of_distance), _NO_SCORE)
    score = np.where(is_global, score, _NO_SCORE)
    least, width = cuts.score
    flags = {
        "isGlobal": is_global,
        "isTracker": is_tracker,
        "isPFcand": is_pf,
        "looseId": is_pf,
        "mediumId": medium,
        "tightId": tight,
        "softId": soft,
        "softMvaId": is_global & (score > least + width * normal[:, 2]),
    }
    return {name: flag.astype(np.int64) for name, flag in flags.items()} | {"softMva": score}
