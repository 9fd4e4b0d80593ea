"""Jet corrections, from a payload in correctionlib's JSON (schema 2) that any client can apply anew.

As in CMS there are three levels: ``L1FastJet`` takes off the offset of pileup, area times rho times a slope;
``L2Relative`` is the inverse of the response as a function of the pT that remains, and of eta; ``L3Absolute``
is one. The numbers are made by ``benchmarks/jet_corrections.py`` from events of the detector itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import RecipeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OFFSET", "RESPONSE", "JetCorrections", "inverse_response"]

OFFSET = "max(0.1,1-y*[0]*z/x)"
"""Formula of L1FastJet: x is the raw pT, y the area, z rho."""

_X = "max([5],min([6],x))"
RESPONSE = f"[0]+[1]*log({_X})+[2]*pow(log({_X}),2)+[3]/{_X}+[4]/pow({_X},2)"
"""Formula of L2Relative: x is the pT after L1FastJet."""


def inverse_response(parameters: NDArray[np.float64], pt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate `RESPONSE`: seven parameters, each one for all or of shape (N,), at pT of shape (N,)."""
    p = parameters
    x = np.clip(pt, p[5], p[6])
    return p[0] + p[1] * np.log(x) + p[2] * np.log(x) ** 2 + p[3] / x + p[4] / x**2


@dataclass(frozen=True)
class JetCorrections:
    """Corrections of a payload by level and jet algorithm: edges in eta, and parameters of each bin."""

    edges: dict[str, NDArray[np.float64]]
    parameters: dict[str, NDArray[np.float64]]

    @classmethod
    def load(cls, name: str) -> JetCorrections:
        """Read a shipped payload by its name, such as ``run2``, or a file by its path.

        Raises
        ------
        RecipeError
            If there is none, or it holds other formulas than ours.
        """
        shipped = recipe_folder("reference") / "corrections" / f"{name}.json"
        return _load(shipped if shipped.is_file() else Path(name))

    def factors(
        self,
        name: str,
        *,
        area: NDArray[np.float64],
        eta: NDArray[np.float64],
        pt: NDArray[np.float64],
        rho: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Factors of the pileup correction alone, and of all corrections, of raw jets, shape (N,).

        Parameters
        ----------
        name
            Of the jet algorithm, such as ``AK4PFchs``.
        area, eta, pt, rho
            Of the jets; pT in GeV is raw, rho in GeV is their event's.
        """
        first = np.ones(len(pt))
        if f"L1FastJet_{name}" in self.edges:
            (slope,) = self._parameters("L1FastJet", name, eta)
            first = np.maximum(0.1, 1.0 - area * slope * rho / pt)
        return first, first * inverse_response(self._parameters("L2Relative", name, eta), pt * first)

    def _parameters(self, level: str, name: str, eta: NDArray[np.float64]) -> NDArray[np.float64]:
        edges = self.edges[f"{level}_{name}"]
        bins = np.clip(np.searchsorted(edges, eta, side="right") - 1, 0, len(edges) - 2)
        return self.parameters[f"{level}_{name}"][bins].T


@cache
def _load(path: Path) -> JetCorrections:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        edges, parameters = {}, {}
        for correction in content["corrections"]:
            data = correction["data"]
            if not isinstance(data, dict):
                continue
            expected = OFFSET if "L1FastJet" in correction["name"] else RESPONSE
            if any(formula["expression"] != expected for formula in data["content"]):
                msg = f"{path}: {correction['name']} has other formulas than this version evaluates"
                raise RecipeError(msg)
            level_and_jets = "_".join(correction["name"].split("_")[-2:])
            edges[level_and_jets] = np.array(data["edges"], dtype=np.float64)
            parameters[level_and_jets] = np.array(
                [f["parameters"] for f in data["content"]], dtype=np.float64
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path}: is no payload of jet corrections ({error})"
        raise RecipeError(msg) from error
    return JetCorrections(edges, parameters)
