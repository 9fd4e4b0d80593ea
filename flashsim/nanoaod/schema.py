"""Branches of each NanoAOD version, shipped as data that `flashsim.nanoaod.extraction` made of real files."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from flashsim.errors import FlashSimError
from flashsim.nanoaod.branch import Branch
from flashsim.nanoaod.versions import VERSIONS, detect_version

__all__ = [
    "VERSIONS",
    "counter_dtype",
    "counter_titles",
    "detect_version",
    "known_branches",
    "load_schema",
    "mantissa_bits",
]


def load_schema(version: str) -> dict[str, Branch]:
    """Load the branches of a NanoAOD version.

    Event numbers, jets, fat jets, leptons, taus, photons, missing momentum, vertices, energy density and
    everything at generator level, and trigger objects; not the decisions of triggers.

    Parameters
    ----------
    version
        One of `VERSIONS`.

    Returns
    -------
    dict of str to Branch
        Under full branch names.

    Raises
    ------
    FlashSimError
        If there is no such version.
    """
    return dict(_branches(version))


def known_branches(name: str) -> tuple[Branch, ...]:
    """Give what is known of a branch in all versions that have it, the newest first; empty for any other."""
    schemas = (_branches(version) for version in reversed(VERSIONS))
    return tuple(schema[name] for schema in schemas if name in schema)


def counter_titles(version: str) -> dict[str, str]:
    """Load the description of each collection, which NanoAOD stores as the title of its counter.

    Raises
    ------
    FlashSimError
        If there is no such version.
    """
    return dict(_data(version)["counters"])


def counter_dtype(version: str) -> np.dtype:
    """Type of the counters ``nJet``, ``nGenPart``, ...: ``UInt_t`` below v12, ``Int_t`` from then on.

    Readers in C++ ask for the type by name: ``TTreeReaderValue<UInt_t>`` gives 0 on an ``Int_t`` counter.

    Parameters
    ----------
    version
        One of `VERSIONS`.

    Raises
    ------
    FlashSimError
        If there is no such version.
    """
    _data(version)
    return np.dtype("int32" if VERSIONS.index(version) >= VERSIONS.index("v12") else "uint32")


def mantissa_bits(version: str, name: str) -> int | None:
    """Look up how many mantissa bits a branch is stored with.

    Parameters
    ----------
    version
        One of `VERSIONS`.
    name
        Branch name.

    Returns
    -------
    int or None
        Bits seen to be used in real files; ``None`` where all 23 are, or where there were too few values
        to tell.

    Raises
    ------
    FlashSimError
        If there is no such version, or no such branch in it.
    """
    branches = _data(version)["branches"]
    if name not in branches:
        msg = f"NanoAOD {version} has no branch {name!r} in its schema"
        raise FlashSimError(msg)
    bits: int | None = branches[name].get("mantissa")
    return bits


@cache
def _branches(version: str) -> dict[str, Branch]:
    return {
        name: Branch(name, np.dtype(entry["dtype"]), entry.get("collection"), entry.get("title", ""))
        for name, entry in _data(version)["branches"].items()
    }


@cache
def _data(version: str) -> Any:
    if version not in VERSIONS:
        msg = f"there is no schema of NanoAOD version {version!r}; choose one of {', '.join(VERSIONS)}"
        raise FlashSimError(msg)
    return json.loads(
        resources.files("flashsim.nanoaod").joinpath(f"schemas/{version}.json").read_text("utf-8")
    )
