"""Soft activity: jets of charged candidates of the primary vertex.

The definition is that of CMSSW, `PhysicsTools/NanoAOD`, softactivity_cff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import anti_kt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["SoftActivityRecipe", "soft_activity"]


class SoftActivityRecipe(Recipe):
    """Jets of charged candidates."""

    radius: float = Field(gt=0, le=1, description="of anti-kT")
    dz: float = Field(
        gt=0, description="largest distance to the vertex of tracks that its fit does not use, in cm"
    )
    pt: float = Field(gt=0, description="least pT of jets that count in HT, in GeV")
    thresholds: list[int] = Field(description="pT above which jets are counted and summed, in GeV")
    stored: int = Field(ge=0, description="jets that are written")


def soft_activity(
    recorded: Recorded, recipe: SoftActivityRecipe
) -> tuple[Collection, dict[str, NDArray[Any]]]:
    """Cluster charged candidates of the primary vertex.

    Returns
    -------
    The hardest jets (``SoftActivityJet``), and ``SoftActivityJetHT`` and ``SoftActivityJetNjets`` above
    thresholds, shape (E,).
    """
    candidates = recorded.candidates
    near = (candidates["fromPV"] == 2) & (np.abs(candidates["dz"]) < recipe.dz)
    used = (candidates["charge"] != 0) & (near | (candidates["fromPV"] == 3))
    names = ("pt", "eta", "phi", "energy")
    charged = Collection(candidates.offsets, {name: candidates[name] for name in names}).select(used)
    states = recorded.streams.states(recorded.keys, "soft activity")
    jets = anti_kt(charged, np.ones(len(charged)), states, radius=recipe.radius, min_pt=recipe.pt).objects
    values: dict[str, NDArray[Any]] = {"SoftActivityJetHT": jets.total(jets["pt"])}
    for least in recipe.thresholds:
        above = jets["pt"] > least
        values[f"SoftActivityJetHT{least}"] = jets.total(np.where(above, jets["pt"], 0.0))
        values[f"SoftActivityJetNjets{least}"] = jets.total(above).astype(np.int64)
    first = Collection(jets.offsets, {name: jets[name] for name in ("pt", "eta", "phi")})
    return first.select(first.local_index < recipe.stored), values
