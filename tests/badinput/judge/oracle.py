"""What plain readers of the formats find in a file: whether a change of the physics has a reason.

A damaged file may be read if a plain reader of its format cannot tell that it is damaged either. Then only what
follows from the changed values may be another: the events whose values have changed, and no others.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

__all__ = ["by_event", "finite_tensors", "hepmc_blocks", "is_sound", "table_digest"]

_BLOCKS = re.compile(rb"(?=^E )", re.MULTILINE)


def by_event(path: str, tree: str = "Events") -> dict[str, Any]:
    """Give a digest of each event of each branch of a tree, and which floats are not finite."""
    import uproot

    found: dict[str, list[str]] = {}
    odd: list[str] = []
    with uproot.open({path: None}) as file:
        events = int(file[tree].num_entries)
        for name, values in file[tree].arrays(how=dict).items():
            array = ak.Array(values)
            if array.ndim == 1:
                flat, counts = np.asarray(array), np.ones(len(array), dtype=np.int64)
            else:
                flat, counts = np.asarray(ak.flatten(array, axis=None)), np.asarray(ak.num(array))
            if flat.dtype.kind == "f" and not np.isfinite(flat).all():
                odd.append(name)
            ends = np.cumsum(counts)
            pieces = zip(ends - counts, ends, strict=True)
            found[name] = [_digest(flat.dtype.str.encode() + flat[a:b].tobytes()) for a, b in pieces]
    return {"events": events, "branches": found, "odd": odd}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def hepmc_blocks(content: bytes) -> list[bytes]:
    """Give the head of a HepMC3 file and the text of each event, the line that ends the file left out."""
    content = content.replace(b"HepMC::Asciiv3-END_EVENT_LISTING", b"").rstrip()
    return [
        b"\n".join(line.rstrip() for line in block.split(b"\n") if line.strip())
        for block in _BLOCKS.split(content)
    ]


def is_sound(block: bytes, weights: int = 3) -> bool:
    """Whether the text of an event holds together: as many particles as announced, numbers that are finite."""
    lines = [line.split() for line in block.split(b"\n") if line.strip()]
    kinds = [line[0] for line in lines]
    if kinds.count(b"E") != 1 or kinds.count(b"W") != 1 or set(kinds) - {b"E", b"U", b"W", b"A", b"P", b"V"}:
        return False
    try:
        particles = [[float(value) for value in line[1:]] for line in lines if line[0] == b"P"]
        vertices, announced = (int(value) for value in lines[0][2:4])
        values = [float(value) for line in lines if line[0] == b"W" for value in line[1:]]
    except ValueError:
        return False
    # Whole numbers are those of HepMC's own types: a larger one wraps around, in any reader.
    finite = all(len(p) == 9 and np.isfinite(p).all() for p in particles) and np.isfinite(values).all()
    ids = [p[0] for p in particles]
    known = all(-vertices <= p[1] < len(ids) + 1 for p in particles)
    return bool(
        finite
        and known
        and len(values) == weights
        and len(ids) == announced == len(set(ids))
        and min(ids) >= 1
    )


def finite_tensors(path: str) -> bool | None:
    """Whether all tensors of a safetensors file are finite; None where its parts do not fit together."""
    content = Path(path).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    body = content[8 + length :]
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        dtype = {"F32": "f4", "F64": "f8", "I64": "i8", "I32": "i4", "BOOL": "?", "U8": "u1"}.get(
            entry["dtype"]
        )
        if dtype is None or int(np.prod(entry["shape"])) * np.dtype(dtype).itemsize != last - first:
            return None
        values = np.frombuffer(body[first:last], dtype=dtype)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return False
    return True


def table_digest(path: str) -> dict[str, Any]:
    """Give types and digests of the columns of a Parquet file, and which hold values that are not finite."""
    import pandas as pd

    table = pd.read_parquet(path)
    odd = [
        name
        for name in table
        if table[name].dtype.kind == "f" and not np.isfinite(table[name].to_numpy()).all()
    ]
    columns = {name: [str(table[name].dtype), _digest(table[name].to_numpy().tobytes())] for name in table}
    return {"rows": len(table), "columns": columns, "odd": odd}
