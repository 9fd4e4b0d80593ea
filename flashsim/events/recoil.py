"""Momenta of the whole event put together and taken apart, the same way for training and for generation.

See `flashsim.declarations.recoil.Recoil`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.declarations.conditioning import RECO
from flashsim.events.matching import gen_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.recoil import Measured, Recoil
    from flashsim.events.collection import Collection

    Floats = NDArray[np.float64]

__all__ = ["components", "expected_momentum", "momentum"]


def expected_momentum(
    recoil: Recoil, gen_pt: Floats, gen_phi: Floats, collections: Mapping[str, Collection]
) -> dict[str, Floats]:
    """Magnitude and azimuth of the expected momentum, and components of the gen-level one seen from it.

    Shape (E,) each, named as `Recoil.gen_fields`.

    Parameters
    ----------
    recoil
        The declaration.
    gen_pt, gen_phi
        The gen-level momentum, shape (E,).
    collections
        Gen and reconstructed collections by name.
    """
    x, y = gen_pt * np.cos(gen_phi), gen_pt * np.sin(gen_phi)
    for measured in recoil.minus:
        moved = _moved(collections[RECO + measured.reco], collections[measured.gen], measured)
        x, y = x - moved[0], y - moved[1]
    axis = np.arctan2(y, x)
    seen = gen_pt * np.cos(gen_phi - axis), gen_pt * np.sin(gen_phi - axis)
    return dict(zip(recoil.gen_fields, (np.hypot(x, y), axis, *seen), strict=True))


def components(recoil: Recoil, branches: Sequence[Floats], axis: Floats) -> dict[str, Floats]:
    """Give the targets of a momentum, shape (N,), of its branches and of the azimuth of what is expected."""
    if recoil.cartesian:
        x, y = branches
        along, across = x * np.cos(axis) + y * np.sin(axis), y * np.cos(axis) - x * np.sin(axis)
    else:
        size, phi = branches
        along, across = size * np.cos(phi - axis), size * np.sin(phi - axis)
    return dict(zip(recoil.targets, (along, across), strict=True))


def momentum(recoil: Recoil, targets: Mapping[str, Floats], axis: Floats) -> dict[str, Floats]:
    """Give the branches, shape (N,) each, of targets: what `components` does, undone."""
    along, across = (targets[name] for name in recoil.targets)
    if recoil.cartesian:
        x, y = along * np.cos(axis) - across * np.sin(axis), along * np.sin(axis) + across * np.cos(axis)
        return dict(zip(recoil.branches, (x, y), strict=True))
    phi = np.arctan2(across, along) + axis
    phi = np.arctan2(np.sin(phi), np.cos(phi))
    return dict(zip(recoil.branches, (np.hypot(along, across), phi), strict=True))


def _moved(reco: Collection, gen: Collection, measured: Measured) -> tuple[Floats, Floats]:
    """Sum of measured minus true momenta of the objects of each event, x and y, shape (E,)."""
    row = gen_rows(gen, reco, measured.match)
    chosen = row >= 0
    for field, value in measured.where.items():
        # A reference to a collection that is not simulated is not there.
        if field in reco.columns:
            chosen &= reco[field] == value
    objects, row = reco.select(chosen), row[chosen]
    event = objects.event_rows

    def total(component: NDArray[np.float64]) -> Floats:
        return np.bincount(event, weights=component, minlength=reco.events).astype(np.float64)

    pt, phi = objects["pt"].astype(np.float64), objects["phi"].astype(np.float64)
    true_pt, true_phi = gen["pt"][row], gen["phi"][row]
    return (
        total(pt * np.cos(phi) - true_pt * np.cos(true_phi)),
        total(pt * np.sin(phi) - true_pt * np.sin(true_phi)),
    )
