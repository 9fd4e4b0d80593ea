"""Scores of objects: features, what taggers make of them, and pileup identification of jets."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import RecipeError
from flashsim.events.collection import Collection
from flashsim.reference.taggers.tagger import load_taggers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.taggers.tagger import Tagger

__all__ = ["Taggers", "object_features", "pileup_cell", "pileup_id"]

_PILEUP_PT, _PILEUP_ETA = (20.0, 30.0, 40.0), (2.5, 2.75, 3.0)
_PILEUP_CUTS = {
    4: (
        (-0.95, -0.72, -0.68, -0.47),
        (-0.88, -0.55, -0.60, -0.43),
        (-0.63, -0.18, -0.43, -0.24),
        (-0.19, 0.22, -0.13, -0.03),
    ),
    2: (
        (0.26, -0.33, -0.54, -0.37),
        (0.68, -0.04, -0.43, -0.30),
        (0.90, 0.36, -0.16, -0.09),
        (0.96, 0.61, 0.14, 0.12),
    ),
    1: (
        (0.77, 0.38, -0.31, -0.21),
        (0.90, 0.60, -0.12, -0.13),
        (0.96, 0.82, 0.20, 0.09),
        (0.98, 0.92, 0.47, 0.29),
    ),
}
"""Loose, medium and tight by the bit of each: rows of pT, columns of |eta| (CMSSW, full_106x_UL18_chs_wp)."""


def object_features(recorded: Recorded, objects: Collection) -> dict[str, NDArray[Any]]:
    """Features of objects by name, shape (N,): their columns, those of tracks and clusters, and rho.

    Parameters
    ----------
    recorded
        The events.
    objects
        With ``_track`` and ``_cluster``, rows or -1, if they have some.
    """
    features = dict(objects.columns) | {"rho": recorded.rho["FastjetAll"][objects.event_rows]}
    for name, others in (("track", recorded.tracks), ("cluster", recorded.clusters)):
        if f"_{name}" in objects.columns:
            rows = objects[f"_{name}"].astype(np.int64)
            features |= {f"{name}_{k}": np.append(v, 0)[rows] for k, v in others.columns.items()}
    return features


class Taggers:
    """The taggers of a detector.

    Parameters
    ----------
    by_collection
        By name of the collection whose objects they score.
    """

    def __init__(self, by_collection: Mapping[str, Sequence[Tagger]]) -> None:
        self.by_collection = by_collection

    @classmethod
    def load(cls, name: str) -> Self:
        """Load shipped taggers by name, such as ``run2``, or those of a folder by its path.

        Raises
        ------
        RecipeError
            If there is no such folder.
        ModelFileError
            If a file is damaged.
        """
        shipped = recipe_folder("reference") / "taggers" / name
        folder = shipped if shipped.is_dir() else Path(name)
        if not folder.is_dir():
            known = ", ".join(sorted(path.name for path in shipped.parent.glob("*")))
            msg = f"'taggers': there are none by the name '{name}' (shipped are {known}), and no such folder"
            raise RecipeError(msg)
        return cls(_loaded(folder))

    def scored(self, name: str, objects: Collection, features: Mapping[str, NDArray[Any]]) -> Collection:
        """Add scores to the columns of objects.

        Parameters
        ----------
        name
            Of the collection.
        objects
            Its objects, N of them.
        features
            Of the objects by name, shape (N,) each.
        """
        columns = dict(objects.columns)
        for tagger in self.by_collection.get(name, ()):
            columns |= tagger.columns(features)
        if name == "Jet" and "puIdDisc" in columns:
            columns["puId"] = pileup_id(columns["puIdDisc"], objects["pt"], objects["eta"])
        return Collection(objects.offsets, columns)


_loaded = cache(load_taggers)


def pileup_cell(pt: NDArray[Any], eta: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column, shape (N,) each, of the working points of pileup jet identification."""
    row = np.searchsorted(_PILEUP_PT, pt, side="right")
    return row, np.searchsorted(_PILEUP_ETA, np.abs(eta), side="right")


def pileup_id(score: NDArray[Any], pt: NDArray[Any], eta: NDArray[Any]) -> NDArray[np.int64]:
    """Bits of the working points of pileup jet identification, shape (N,): 4 loose, 2 medium, 1 tight."""
    cell = pileup_cell(pt, eta)
    return sum(
        (bit * (score > np.array(cuts)[cell]) for bit, cuts in _PILEUP_CUTS.items()),
        start=np.zeros(len(pt), dtype=np.int64),
    )
