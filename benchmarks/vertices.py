"""Primary vertices and raw missing momenta of NanoAOD files: what generation/output.yaml approximates.

Fits the laws that the recipe declares to reconstructed files together, and says how well its rule for the raw
missing momentum does on each.

    python -m benchmarks.vertices tt_2018_v5.root pfnano_tt_2018.root tt_2022_v12.root tt_2024_v15.root
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from benchmarks.machine import machine
from flashsim.declarations.output import load_output
from flashsim.events.collection import Collection
from flashsim.generation.completion import raw_momentum
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.versions import detect_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.output import OutputRecipe, PowerLaw, VertexRecipe

    Columns = dict[str, NDArray[np.float64]]

_AXES = ("x", "y", "z")
_WRONG = 0.05
"""Distance in cm along the beam from which on the vertex is another one."""


def read_vertices(file: NanoFile, recipe: VertexRecipe) -> Columns:
    """Read quality, activity and, where the file has true positions, displacements of a file's vertices."""
    names = ["PV_ndof", "PV_chi2", "PV_score", f"{recipe.jets}_pt", f"{recipe.jets}_eta"]
    true = [f"{recipe.gen}_{axis}" for axis in _AXES]
    has_true = all(map(file.has, true))
    arrays = file.read([*names, *([*true, *(f"PV_{axis}" for axis in _AXES)] if has_true else [])])
    central = arrays[f"{recipe.jets}_pt"][abs(arrays[f"{recipe.jets}_eta"]) < recipe.max_abs_eta]
    columns: Columns = {name: np.asarray(arrays[name], dtype=np.float64) for name in names[:3]}
    columns |= {"sum": np.asarray(ak.sum(central, axis=1)), "squares": np.asarray(ak.sum(central**2, axis=1))}
    for axis in _AXES:
        moved = arrays[f"PV_{axis}"] - arrays[f"{recipe.gen}_{axis}"] if has_true else np.nan
        columns[axis] = np.broadcast_to(np.asarray(moved, dtype=np.float64), len(columns["sum"]))
    return columns


def fit_vertices(columns: Columns, recipe: VertexRecipe) -> dict[str, Any]:
    """Fit the laws of the recipe, with its offsets, to the vertices of files; see `read_vertices`."""
    known = np.isfinite(columns["z"])
    right = known & (np.abs(columns["z"]) < _WRONG)
    root = np.sqrt(columns["PV_ndof"][right])
    found: dict[str, Any] = {
        "events": len(known),
        "with a true position": int(known.sum()),
        "ndof": _fitted(recipe.ndof, columns["sum"], columns["PV_ndof"]),
        "score": _fitted(recipe.score, columns["squares"], columns["PV_score"]),
        "chi2": [float(np.median(columns["PV_chi2"])), _width(np.log(columns["PV_chi2"]))],
    }
    if known.any():
        found["another vertex"] = float(np.mean(~right[known]))
        found["resolution in um"] = [1e4 * _width(columns[axis][right]) for axis in _AXES]
        found["the same times the root of ndof"] = [
            1e4 * _width(columns[axis][right] * root) for axis in _AXES
        ]
    return found


def _fitted(law: PowerLaw, x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    used = y > 0
    power, constant = np.polyfit(np.log(x[used] + law.offset), np.log(y[used]), 1)
    rest = np.log(y[used]) - power * np.log(x[used] + law.offset) - constant
    return {
        "factor": float(np.exp(constant)),
        "offset": law.offset,
        "power": float(power),
        "spread": _width(rest),
    }


def _width(values: NDArray[np.float64]) -> float:
    """Half of the central 68 % interval."""
    low, high = np.quantile(values, [0.16, 0.84])
    return float(high - low) / 2


def compare_raw(file: NanoFile, recipe: OutputRecipe) -> dict[str, float] | None:
    """Median distance in GeV of the raw missing momentum from the corrected one, and from the rule's."""
    jet = ["pt", "phi", "rawFactor", "area"]
    for raw in recipe.raw_momenta:
        momenta = [f"{name}_{field}" for name in (raw.name, raw.of) for field in ("pt", "phi", "sumEt")]
        density = next((name for name in raw.density if file.has(name)), None)
        wanted = [*momenta, *(f"{raw.jets}_{field}" for field in jet)]
        if density is None or not all(map(file.has, wanted)):
            continue
        arrays = file.read([*wanted, density])
        single = {name: np.asarray(arrays[name], dtype=np.float64) for name in (*momenta, density)}
        ruled = raw_momentum(
            raw, single, Collection.of_branches(arrays, raw.jets, jet), detect_version(file.branches)
        )
        true, corrected, found = (
            columns[f"{name}_pt"] * np.exp(1j * columns[f"{name}_phi"])
            for name, columns in ((raw.name, single), (raw.of, single), (raw.name, ruled))
        )
        return {
            "corrected": float(np.median(np.abs(true - corrected))),
            "rule": float(np.median(np.abs(true - found))),
        }
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print fits and comparisons as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vertices", description=__doc__)
    parser.add_argument("files", nargs="+", help="reconstructed NanoAOD")
    options = parser.parse_args(arguments)
    recipe = load_output()
    if recipe.vertex is None:
        parser.error("the output recipe declares no vertex")
    vertices, raw = [], {}
    for path in options.files:
        with NanoFile(path) as file:
            vertices.append(read_vertices(file, recipe.vertex))
            raw[Path(path).name] = compare_raw(file, recipe)
    joined = {name: np.concatenate([columns[name] for columns in vertices]) for name in vertices[0]}
    found = {"machine": machine(), "vertices": fit_vertices(joined, recipe.vertex), "raw_momentum_GeV": raw}
    sys.stdout.write(f"{json.dumps(found, indent=2)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
