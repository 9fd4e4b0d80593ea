"""Model files taken apart and put together, also in the format before the present one."""

from __future__ import annotations

import json

from safetensors import safe_open
from safetensors.numpy import save

from flashsim.models.object_model import FITTED, FORMAT_VERSION
from flashsim.models.packed_json import packed_json, unpacked_json

__all__ = ["PARTS", "as_version_5", "contents", "put"]

PARTS = ("conditioning", "targets", "domain", "unmatched", "placed")
"""Entries that were in the header up to format 5."""


def contents(path):
    """Header and tensors of a model file; what is packed in a tensor is in the header, too."""
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["flashsim"])
    header.pop("sha256", None)
    return header | (unpacked_json(tensors.pop(FITTED)) if FITTED in tensors else {}), tensors


def put(path, header, tensors):
    """Write a model file of the format of the header, with no checksum."""
    if isinstance(header, dict) and header["format_version"] == FORMAT_VERSION:
        fitted = {key: header.pop(key) for key in PARTS if key in header}
        tensors = {**tensors, FITTED: packed_json(fitted)}
    path.write_bytes(save(tensors, metadata={"flashsim": json.dumps(header)}))


def as_version_5(model, path):
    """Write a model in the format in which all weights and numbers stand as they are."""
    header, _ = contents(path)
    networks = model.networks().items()
    put(
        path,
        header | {"format_version": 5},
        {f"{name}/{key}": tensor for name, network in networks for key, tensor in network.tensors.items()},
    )
