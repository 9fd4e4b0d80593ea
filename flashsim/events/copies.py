"""Copies of a gen particle: reconstructed objects name one, gen collections hold another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.events.ancestry import last_copies
from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    import awkward as ak

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["copy_branches", "of_last_copies"]


def copy_branches(declaration: ObjectDeclaration) -> list[str]:
    """Branches that `of_last_copies` needs besides those of the objects."""
    of_particles = declaration.gen_collection.branch == "GenPart"
    return ["GenPart_pdgId", "GenPart_genPartIdxMother"] if of_particles else []


def of_last_copies(
    declaration: ObjectDeclaration, arrays: Mapping[str, ak.Array], reco: Collection
) -> Collection:
    """Let indices of gen particles be those of their last copies, which gen collections hold.

    NanoAOD names the first copy of an electron where it has the momentum of the last one.

    Parameters
    ----------
    declaration
        Of the object; one that is matched to anything but gen particles stays as it is.
    arrays
        At least `copy_branches`.
    reco
        Reconstructed objects with the field that the declaration matches by.
    """
    if not copy_branches(declaration):
        return reco
    particles = Collection.of_branches(arrays, "GenPart", ("pdgId", "genPartIdxMother"))
    last = last_copies(particles.offsets, particles["pdgId"], particles["genPartIdxMother"])
    index, first = reco[declaration.match].astype(np.int64), particles.offsets[reco.event_rows]
    known = (index >= 0) & (index < particles.counts[reco.event_rows])
    rows = np.where(known, first + np.where(known, index, 0), 0)
    found = last[rows] - first if len(last) else index
    return reco.with_columns({declaration.match: np.where(known, found, index)})
