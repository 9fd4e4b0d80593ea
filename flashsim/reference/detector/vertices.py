"""The primary vertex and the number of vertices.

Resolutions fall with the number of tracks as in CMS TRK-11-001 (arXiv:1405.6569, figure of the vertex
resolution): a constant and a part that goes with one over the root of the number of tracks, in quadrature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field
from scipy.stats import binom

from flashsim.declarations.recipes import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["VertexResponse", "vertex_branches", "vertex_displacement"]


class VertexResponse(Recipe):
    """Primary vertices."""

    constant: tuple[float, float, float] = Field(description="resolution in x, y and z in cm, many tracks")
    per_track: tuple[float, float, float] = Field(description="the same times the root of the tracks' number")
    efficiency: float = Field(gt=0, le=1, description="share of pileup collisions with a vertex of their own")
    merging: float = Field(ge=0, description="fall of that share with each pileup collision")
    good: float = Field(gt=0, le=1, description="share of those vertices that are good ones")
    ndof: tuple[float, float] = Field(description="degrees of freedom a track, and spread of their logarithm")
    chi2: tuple[float, float] = Field(description="reduced chi2, and its relative spread")
    score: tuple[float, float] = Field(
        description="score over the tracks' sum of pT^2, and spread of its logarithm"
    )


def vertex_displacement(truth: Truth, noise: Noise, response: VertexResponse) -> NDArray[np.float64]:
    """Draw where the primary vertex is found relative to the true one, in cm: x, y, z, shape (E, 3).

    It moves every impact parameter of the event.
    """
    tracks = np.maximum(truth.event["nTracks"], 1.0)[:, None]
    width = np.hypot(response.constant, np.asarray(response.per_track) / np.sqrt(tracks))
    displacement: NDArray[np.float64] = width * noise.event_normal(truth, "vertex", 3)
    return displacement


def vertex_branches(
    truth: Truth, noise: Noise, response: VertexResponse, displacement: NDArray[np.float64]
) -> dict[str, NDArray[Any]]:
    """Draw the ``PV`` branches, shape (E,) each.

    The number of vertices is one and a binomial number of the pileup collisions, whose probability falls
    with their number, since close ones merge.
    """
    pileup = truth.event["Pileup_nPU"].astype(np.int64)
    uniform = noise.event_uniform(truth, "vertex count", 2)
    normal = noise.event_normal(truth, "vertex quality", 3)
    share = response.efficiency / (1.0 + response.merging * pileup)
    others = np.asarray(binom.ppf(uniform[:, 0], pileup, share)).astype(np.int64)
    good = np.asarray(binom.ppf(uniform[:, 1], others, response.good)).astype(np.int64)
    tracks = np.maximum(truth.event["nTracks"], 1.0)
    branches = {
        f"PV_{axis}": truth.event[f"GenVtx_{axis}"] + displacement[:, column]
        for column, axis in enumerate("xyz")
    }
    return branches | {
        "PV_ndof": response.ndof[0] * tracks * np.exp(response.ndof[1] * normal[:, 0]),
        "PV_chi2": response.chi2[0] * np.exp(response.chi2[1] * normal[:, 1]),
        "PV_score": response.score[0] * truth.event["sumPt2"] * np.exp(response.score[1] * normal[:, 2]),
        "PV_npvs": 1 + others,
        "PV_npvsGood": 1 + good,
    }
