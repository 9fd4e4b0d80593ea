"""Whole reconstructed events of a detector, with NanoAOD's branches, order and precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.nanoaod.assembly import link_collections, ordered, rounded
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import load_schema, mantissa_bits
from flashsim.reference.detector.density import density_branches
from flashsim.reference.detector.electrons import electrons
from flashsim.reference.detector.jets import jets
from flashsim.reference.detector.met import met_branches
from flashsim.reference.detector.muons import muons
from flashsim.reference.detector.pileup import energy_density
from flashsim.reference.detector.vertices import vertex_branches, vertex_displacement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Target
    from flashsim.declarations.output import Link
    from flashsim.events.collection import Collection
    from flashsim.reference.detector.parameters import DetectorRecipe
    from flashsim.reference.detector.truth import Noise, Truth

__all__ = ["VERSION", "reconstruct", "reconstructed_branches"]

VERSION = "v9"
"""NanoAOD version of everything that is written."""


def reconstruct(
    truth: Truth, noise: Noise, recipe: DetectorRecipe
) -> tuple[dict[str, Collection], dict[str, NDArray[Any]]]:
    """Let a detector see events.

    Parameters
    ----------
    truth
        E events.
    noise
        The random numbers of this detector and draw.
    recipe
        The detector's parameters.

    Returns
    -------
    Collections by name (``Jet``, ``Muon``, ``Electron``), in full precision and no order, and branches of one
    value per event, shape (E,).
    """
    rho = energy_density(truth, noise, recipe.pileup)
    vertex = vertex_displacement(truth, noise, recipe.vertices)
    found_jets = jets(truth, noise, recipe.jets, rho)
    found_muons = muons(truth, noise, recipe.muons, rho=rho, vertex=vertex, jets=found_jets)
    found_electrons = electrons(truth, noise, recipe.electrons, rho=rho, vertex=vertex)
    branches: dict[str, NDArray[Any]] = {
        **vertex_branches(truth, noise, recipe.vertices, vertex),
        **density_branches(truth, noise, recipe.density, rho),
        **met_branches(truth, noise, recipe.met, rho=rho, jets=found_jets, muons=found_muons),
    }
    return {"Jet": found_jets, "Muon": found_muons, "Electron": found_electrons}, branches


def reconstructed_branches(
    collections: Mapping[str, Collection],
    values: Mapping[str, NDArray[Any]],
    targets: Mapping[str, Sequence[Target]],
    links: Sequence[Link],
) -> dict[str, Any]:
    """Bring reconstructed events into NanoAOD's form: precision, order by pT, cross references, types.

    Parameters
    ----------
    collections, values
        What `reconstruct` gives.
    targets
        Declared targets of each collection, for their ranges.
    links
        The cross references to add.

    Returns
    -------
    Arrays by branch name, jagged ones for collections.

    Raises
    ------
    ValueError
        If a value does not fit its branch, or a branch is none of `VERSION`.
    """
    schema = load_schema(VERSION)
    sorted_collections = {}
    for name, collection in collections.items():
        bits = {
            field: mantissa_bits(VERSION, f"{name}_{field}")
            for field in collection.columns
            if schema[f"{name}_{field}"].dtype == np.float32
        }
        sorted_collections[name] = ordered(rounded(collection, targets[name], bits))
    linked = link_collections(sorted_collections, links)
    branches: dict[str, Any] = {
        f"{name}_{field}": ak.unflatten(values, collection.counts)
        for name, collection in linked.items()
        for field, values in collection.columns.items()
    }
    for name, column in values.items():
        kept = mantissa_bits(VERSION, name) if schema[name].dtype == np.float32 else None
        branches[name] = column if kept is None else round_mantissa(column.astype(np.float32), kept)
    return branches
