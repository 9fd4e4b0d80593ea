"""Impact parameters of leptons' tracks: distances to the primary vertex, with their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

__all__ = ["impact_parameters"]

_LEAST_PT_OF_VECTOR = 15.0  # GeV


def impact_parameters(
    tracks: Collection, rows: NDArray[np.int64], events: NDArray[np.int64], vertices: Collection
) -> dict[str, NDArray[np.float64]]:
    """Measure the distances of N tracks to the primary vertices of their events, in cm: NanoAOD's fields.

    The vector of the impact parameter (IPx, IPy, IPz, ipLengthSig) is zero below 15 GeV, as in NanoAOD.

    Parameters
    ----------
    tracks, vertices
        Recorded ones.
    rows, events
        Shape (N,): row of the track, and number of the event.
    """
    track = {name: tracks[name][rows] for name in ("eta", "phi", "d0", "d0Err", "z", "zErr")}
    primary = {
        name: vertices[name][vertices.offsets[:-1]][events] for name in ("x", "y", "z", "xErr", "zErr")
    }
    sine, cosine, slope = np.sin(track["phi"]), np.cos(track["phi"]), np.sinh(track["eta"])
    dxy = track["d0"] + primary["x"] * sine - primary["y"] * cosine
    dz = track["z"] - primary["z"] + (primary["x"] * cosine + primary["y"] * sine) * slope
    dxy_error = np.hypot(track["d0Err"], primary["xErr"])
    dz_error = np.hypot(track["zErr"], primary["zErr"])
    lean = 1.0 / np.cosh(track["eta"])  # the shortest way to the track leans with it
    ip3d = np.hypot(dxy, dz * lean)
    error = np.hypot(dxy * dxy_error, dz * lean**2 * dz_error) / np.maximum(ip3d, 1e-9)
    shown = tracks["pt"][rows] > _LEAST_PT_OF_VECTOR
    return {
        "IPx": np.where(shown, -dxy * sine - dz * lean**2 * slope * cosine, 0.0),
        "IPy": np.where(shown, dxy * cosine - dz * lean**2 * slope * sine, 0.0),
        "IPz": np.where(shown, dz * lean**2, 0.0),
        "ipLengthSig": np.where(shown, np.sign(dxy) * ip3d / np.maximum(error, 1e-6), 0.0),
        "dxy": dxy,
        "dxyErr": dxy_error,
        "dz": dz,
        "dzErr": dz_error,
        "ip3d": ip3d,
        "sip3d": ip3d / np.maximum(error, 1e-6),
    }
