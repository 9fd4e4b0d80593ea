"""JSON that is mostly numbers, compressed into an array of bytes: a tensor of a model file.

The numbers come back bit by bit, as of any JSON.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.text import read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["packed_json", "unpacked_json"]

_MOST_BYTES = 1 << 28
"""A damaged file must not fill the memory; those of shipped models are of some 400 kB."""


def packed_json(content: Any) -> NDArray[np.uint8]:
    """Compress finite JSON content: bytes, shape (B,)."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return np.frombuffer(zlib.compress(text.encode(), 9), np.uint8)


def unpacked_json(packed: NDArray[Any]) -> Any:
    """Give the content back.

    Raises
    ------
    ValueError
        If these are no such bytes.
    """
    if packed.dtype != np.uint8 or packed.ndim != 1:
        msg = f"expected compressed JSON as a row of bytes, found {packed.dtype} of shape {packed.shape}"
        raise ValueError(msg)
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(packed.tobytes(), _MOST_BYTES)
    except zlib.error as error:
        msg = f"its bytes are no compressed JSON: {error}"
        raise ValueError(msg) from error
    if not stream.eof or stream.unused_data:
        msg = "its compressed JSON is cut or too long"
        raise ValueError(msg)
    return read_json(text)
