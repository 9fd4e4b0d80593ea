"""Making the schema of a NanoAOD version from real files.

``python -m flashsim.nanoaod.extraction FILE... --version v9 --output v9.json`` makes what is shipped.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.errors import FlashSimError
from flashsim.nanoaod.mantissa import MANTISSA_BITS, observed_bits
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.versions import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.nanoaod.branch import Branch

__all__ = ["extract_schema", "main"]

# A collection, or what stands in front of the first underscore.
_GROUPS = frozenset(
    (
        "run",
        "luminosityBlock",
        "event",
        "bunchCrossing",
        "orbitNumber",
        "Jet",
        "Muon",
        "Electron",
        "MET",
        "PuppiMET",
        "PFMET",
        "RawMET",
        "RawPFMET",
        "RawPuppiMET",
        "Flag",
        "PV",
        "Rho",
        "fixedGridRhos",
        "SoftActivityJets",
        "GenJet",
        "GenPart",
        "GenMET",
        "GenVtx",
        "Pileup",
        "Generator",
        "genWeight",
        "PSWeight",
        "LHE",
        "LHEPart",
        "LHEWeight",
        "LHEPdfWeight",
        "LHEScaleWeight",
        "LHEReweightingWeight",
        "HTXS",
        "Photon",
        "Tau",
        "FatJet",
        "SubJet",
        "SV",
        "OtherPV",
        "FsrPhoton",
        "CorrT1METJet",
        "SoftActivityJet",
        "L1PreFiringWeight",
        "TrigObj",
        "GenJetAK8",
        "SubGenJetAK8",
        "TrackGenJetAK4",
        "GenVisTau",
        "GenDressedLepton",
        "GenIsolatedPhoton",
    )
)

# The groups of scalars whose names came without an underscore.
_SCALARS = ("fixedGridRho", "SoftActivityJet")

# Titles of these list the weights of one sample, which is wrong of any other.
_SAMPLE_TITLES = frozenset({"PSWeight", "LHEPdfWeight", "LHEScaleWeight", "LHEReweightingWeight"})

_ENOUGH_VALUES = 16
"""Distinct values that tell the mantissa: the chance that all end in an unused bit is one in 65 000."""


def extract_schema(files: Sequence[str], title_files: Sequence[str] = ()) -> dict[str, Any]:
    """Find the branches of a NanoAOD version, with their types, titles and mantissa bits, in real files.

    Parameters
    ----------
    files
        Files of the version. The first decides which branches a collection has; the others add whole
        collections that it lacks (LHE information of another process), titles where it has none, and
        values to tell the mantissa bits from.
    title_files
        Files of other versions, which give titles to branches that still have none.

    Returns
    -------
    dict
        ``branches``: for each name ``dtype`` and, where there is one, ``collection``, ``mantissa`` and
        ``title``; ``counters``: title of each collection's counter; ``sources``: names of the files.

    Raises
    ------
    InputFileError
        If a file cannot be read.
    """
    with ExitStack() as stack:
        own = [stack.enter_context(NanoFile(path)) for path in files]
        others = [stack.enter_context(NanoFile(path)) for path in title_files]
        branches: dict[str, Branch] = {}
        for file in own:
            known = {_group(branch) for branch in branches.values()}
            branches |= {
                name: branch
                for name, branch in file.branches.items()
                if _group(branch) in _GROUPS and _group(branch) not in known
            }
        collections = {branch.collection for branch in branches.values() if branch.collection is not None}
        counters = {
            name: _first(file.counter_titles.get(name, "") for file in (*own, *others))
            for name in collections
        }
        entries = {name: _entry(branch, own, others) for name, branch in branches.items()}
    return {
        "sources": [PurePath(path).name for path in (*files, *title_files)],
        "counters": {name: title for name, title in sorted(counters.items()) if title},
        "branches": dict(sorted(entries.items())),
    }


def _group(branch: Branch) -> str:
    if branch.collection is None and branch.name.startswith(_SCALARS):
        return next(f"{name}s" for name in _SCALARS if branch.name.startswith(name))
    return branch.collection or branch.name.partition("_")[0]


def _first(titles: Any) -> str:
    return next((title for title in titles if title), "")


def _entry(branch: Branch, own: Sequence[NanoFile], others: Sequence[NanoFile]) -> dict[str, Any]:
    having = [
        file for file in own if file.has(branch.name) and file.branches[branch.name].dtype == branch.dtype
    ]
    titles = [file.branches[branch.name].title for file in (*own, *others) if file.has(branch.name)]
    entry: dict[str, Any] = {"dtype": branch.dtype.name}
    if branch.collection is not None:
        entry["collection"] = branch.collection
    bits = _mantissa(branch, having)
    if bits is not None:
        entry["mantissa"] = bits
    title = "" if branch.name in _SAMPLE_TITLES else _first(titles)
    if title:
        entry["title"] = title
    return entry


def _mantissa(branch: Branch, files: Sequence[NanoFile]) -> int | None:
    if branch.dtype != np.float32:
        return None
    columns = [ak.to_numpy(ak.flatten(file.read([branch.name])[branch.name], axis=None)) for file in files]
    values = np.unique(np.concatenate(columns))
    # Numbers that are whole, such as counts, say nothing of the precision that they are stored with.
    values = values[np.isfinite(values) & (values != np.trunc(values))]
    bits = observed_bits(values)
    return bits if len(values) >= _ENOUGH_VALUES and bits < MANTISSA_BITS else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the data of one version; the command line of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m flashsim.nanoaod.extraction", description=extract_schema.__doc__
    )
    parser.add_argument("files", nargs="+", help="files of this version; the first decides")
    parser.add_argument("--version", required=True, choices=VERSIONS)
    parser.add_argument(
        "--titles", nargs="*", default=[], help="files of other versions to take missing titles from"
    )
    parser.add_argument("--output", required=True, type=Path)
    options = parser.parse_args(arguments)
    try:
        schema = extract_schema(options.files, options.titles)
    except FlashSimError as error:
        parser.error(str(error))
    rows = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in schema["branches"].items()
    )
    head = json.dumps(
        {"version": options.version, "sources": schema["sources"], "counters": schema["counters"]}
    )
    options.output.write_text(f'{head[:-1]},\n"branches": {{\n{rows}\n}}}}\n', encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
