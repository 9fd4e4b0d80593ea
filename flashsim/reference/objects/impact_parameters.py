"""Impact parameters of the tracks of leptons and taus: distances to the primary vertex, with their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.events.collection import Collection

    Floats = NDArray[np.float64]

__all__ = ["impact_parameters", "impact_vectors"]

_LEAST_PT_OF_VECTOR = 15.0  # GeV: NanoAOD has the vectors of softer leptons as zero


def impact_parameters(
    tracks: Collection, rows: NDArray[np.int64], events: NDArray[np.int64], vertices: Collection
) -> dict[str, Floats]:
    """Measure the distances of N tracks to the primary vertices of their events, in cm: NanoAOD's fields.

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
    place = {
        "dxy": track["d0"] + primary["x"] * sine - primary["y"] * cosine,
        "dxyErr": np.hypot(track["d0Err"], primary["xErr"]),
        "dz": track["z"] - primary["z"] + (primary["x"] * cosine + primary["y"] * sine) * slope,
        "dzErr": np.hypot(track["zErr"], primary["zErr"]),
    }
    vectors, ip3d, error = impact_vectors(place | track, np.sign(place["dxy"]))
    shown = tracks["pt"][rows] > _LEAST_PT_OF_VECTOR
    vectors = {name: np.where(shown, values, 0.0) for name, values in vectors.items()}
    return place | vectors | {"ip3d": ip3d, "sip3d": ip3d / error}


def impact_vectors(
    place: Mapping[str, NDArray[Any]], sign: Floats | Collection
) -> tuple[dict[str, Floats], Floats, Floats]:
    """Find the vectors from the primary vertex to the nearest points of N tracks.

    Parameters
    ----------
    place
        dxy, dz, their errors, eta and phi of the tracks, shape (N,).
    sign
        Of the significance, shape (N,); or N objects: it is positive where the vector points along them.

    Returns
    -------
    ``IPx``, ``IPy``, ``IPz`` and ``ipLengthSig``; length of the vectors and its error, shape (N,).
    """
    sine, cosine, slope = np.sin(place["phi"]), np.cos(place["phi"]), np.sinh(place["eta"])
    up = place["dz"] / (1.0 + slope**2)  # the shortest way to a track leans with it
    x, y = -place["dxy"] * sine - up * slope * cosine, place["dxy"] * cosine - up * slope * sine
    length = np.hypot(place["dxy"], up * np.sqrt(1.0 + slope**2))
    spread = np.hypot(place["dxy"] * place["dxyErr"], up * place["dzErr"])
    error = np.maximum(spread / np.maximum(length, 1e-9), 1e-6)
    if not isinstance(sign, np.ndarray):
        ahead = x * np.cos(sign["phi"]) + y * np.sin(sign["phi"]) + up * np.sinh(sign["eta"])
        sign = np.where(ahead < 0.0, -1.0, 1.0)
    return {"IPx": x, "IPy": y, "IPz": up, "ipLengthSig": sign * length / error}, length, error
