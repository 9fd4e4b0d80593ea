r"""Observables of two muons and two jets, from four-vectors.

All functions take arrays of `vector` (``MomentumNumpy4D`` or anything with the same attributes), one element
an event, momenta and masses in GeV, and return arrays of shape (N,). Sources: CMS HIG-19-006
(JHEP 01 (2021) 148) for the list, Collins and Soper (Phys. Rev. D 16 (1977) 2219) for the frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "collins_soper",
    "mass_error",
    "min_delta_eta",
    "pt_balance",
    "zeppenfeld",
]


def pt_balance(dimuon: Any, jet1: Any, jet2: Any) -> NDArray[np.float64]:
    r"""Give :math:`R(p_T)`, the vector sum of the transverse momenta over the scalar sum, from 0 to 1."""
    px, py = dimuon.px + jet1.px + jet2.px, dimuon.py + jet1.py + jet2.py
    # The triangle inequality can fail in the last digit.
    return np.asarray(np.minimum(np.hypot(px, py) / (dimuon.pt + jet1.pt + jet2.pt), 1.0))


def zeppenfeld(dimuon: Any, jet1: Any, jet2: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Give the rapidity of the dimuon as seen from the two jets.

    Returns
    -------
    y_star, z_star
        :math:`y^* = y_{\mu\mu} - \frac12 (y_{j_1} + y_{j_2})` and
        :math:`z^* = y^* / |y_{j_1} - y_{j_2}|`, which is not finite where the jets have the same rapidity.
    """
    y1, y2 = jet1.rapidity, jet2.rapidity
    y_star = dimuon.rapidity - 0.5 * (y1 + y2)
    with np.errstate(divide="ignore", invalid="ignore"):
        z_star = y_star / np.abs(y1 - y2)
    return np.asarray(y_star), np.asarray(z_star)


def min_delta_eta(dimuon: Any, jet1: Any, jet2: Any) -> NDArray[np.float64]:
    """Give the distance in pseudorapidity between the dimuon and the nearer of the jets."""
    eta = dimuon.eta
    return np.asarray(np.minimum(np.abs(eta - jet1.eta), np.abs(eta - jet2.eta)))


def mass_error(mass: NDArray[Any], relative1: NDArray[Any], relative2: NDArray[Any]) -> NDArray[np.float64]:
    r"""Give the uncertainty of the dimuon mass from those of the muons' transverse momenta.

    Parameters
    ----------
    mass
        Dimuon mass m in GeV.
    relative1, relative2
        :math:`\sigma_{p_T} / p_T` of the muons.

    Returns
    -------
    :math:`\frac m2 \sqrt{(\sigma_1/p_{T,1})^2 + (\sigma_2/p_{T,2})^2}` in GeV. The calibration of the full
    analysis is not applied.
    """
    return np.asarray(0.5 * mass * np.hypot(relative1, relative2))


def collins_soper(muon: Any, antimuon: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Give the angles of the negative muon in the Collins-Soper frame of the dimuon.

    Parameters
    ----------
    muon, antimuon
        Muons of negative and of positive charge.

    Returns
    -------
    cos_theta, phi
        Cosine of the polar angle and azimuth in radians. The z axis points to where the dimuon goes along the
        beam (forward where it does not), the x axis along its transverse momentum. Swapping the charges flips
        the sign of the cosine and turns the azimuth by pi; a boost along the beam changes neither, except
        both signs where it turns the dimuon around.
    """
    dimuon = muon + antimuon
    mass, pt = dimuon.mass, dimuon.pt
    transverse_mass = np.sqrt(mass**2 + pt**2)
    forward = np.where(dimuon.pz < 0.0, -1.0, 1.0)
    cos_theta = forward * 2.0 * (muon.pz * antimuon.E - antimuon.pz * muon.E) / (mass * transverse_mass)
    dx, dy = muon.px - antimuon.px, muon.py - antimuon.py
    # Azimuth 0 where the dimuon has no transverse momentum at all.
    qx, qy = np.cos(dimuon.phi), np.sin(dimuon.phi)
    across = forward * (dy * qx - dx * qy)
    phi = np.arctan2(transverse_mass * across, mass * (dx * qx + dy * qy))
    return np.clip(np.asarray(cos_theta), -1.0, 1.0), np.asarray(phi)
