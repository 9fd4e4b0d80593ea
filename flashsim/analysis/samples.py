"""The samples of an analysis as a YAML file names them: processes, and simulations of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, model_validator

from flashsim.analysis.concepts import gen_branches
from flashsim.declarations.recipes import Recipe, load_recipe, recipe_path
from flashsim.errors import InputFileError
from flashsim.nanoaod.inputs import expand_inputs
from flashsim.nanoaod.reading import NanoFile

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Dataset", "SamplesRecipe", "SimulationRecipe", "load_samples", "open_datasets"]


class SimulationRecipe(Recipe):
    """One way of simulating the processes."""

    label: str = Field(description="name in tables and figures")
    view: Literal["reco", "gen"] = Field(
        default="reco",
        description="reco: reconstructed objects; gen: those of the generator in the same files",
    )


class ProcessRecipe(Recipe):
    """A physics process."""

    label: str = Field(description="name in tables and figures")
    signal: bool = Field(default=False, description="whether the discriminant is to find it")
    cross_section: float | None = Field(
        default=None, gt=0, description="in pb, with branching fraction; default: no yields are given"
    )
    files: dict[str, list[str]] = Field(
        min_length=1, description="files by simulation: paths, globs, URLs; seen from the current folder"
    )


class SamplesRecipe(Recipe):
    """Files of each process and simulation."""

    schema_version: Literal[1] = Field(description="version of this format")
    era: str = Field(description="era of the samples, such as UL2018, which decides on values of steps")
    luminosity: float = Field(default=1.0, gt=0, description="integrated luminosity in fb^-1")
    reference: str = Field(description="simulation that the others are divided by")
    simulations: dict[str, SimulationRecipe] = Field(min_length=1, description="simulations by name")
    processes: dict[str, ProcessRecipe] = Field(min_length=1, description="processes by name")

    @model_validator(mode="after")
    def _consistent(self) -> SamplesRecipe:
        known = ", ".join(self.simulations)
        if self.reference not in self.simulations:
            msg = f"reference: expected one of the simulations {known}, found '{self.reference}'"
            raise ValueError(msg)
        for name, process in self.processes.items():
            if unknown := [s for s in process.files if s not in self.simulations]:
                msg = f"processes.{name}.files: expected simulations of {known}, found '{unknown[0]}'"
                raise ValueError(msg)
            if self.reference not in process.files:
                msg = f"processes.{name}.files: has no files of the reference '{self.reference}'"
                raise ValueError(msg)
        return self

    @property
    def inputs(self) -> list[str]:
        """Files of all processes and simulations as they are named: paths, globs, URLs."""
        return [name for p in self.processes.values() for named in p.files.values() for name in named]


@dataclass(frozen=True)
class Dataset:
    """Files of one process in one simulation.

    Parameters
    ----------
    process, simulation
        Names in the samples.
    view
        ``reco`` or ``gen``.
    files
        Paths or URLs.
    branches
        Flat names of the branches of each file.
    sum_of_weights
        Of all generated events, from ``Runs``; none where a file has no such tree.
    """

    process: str
    simulation: str
    view: str
    files: tuple[str, ...]
    branches: dict[str, frozenset[str]]
    sum_of_weights: float | None

    @property
    def name(self) -> str:
        """Process and simulation: ``ttbar/full``."""
        return f"{self.process}/{self.simulation}"


def load_samples(name: str) -> SamplesRecipe:
    """Load a user's samples by path, or the shipped example by name (``samples``).

    Raises
    ------
    RecipeError
        If there is no such file, or it is not valid.
    """
    return load_recipe(SamplesRecipe, recipe_path("analysis", name))


def open_datasets(samples: SamplesRecipe) -> list[Dataset]:
    """Look into all files.

    Raises
    ------
    InputFileError
        If a file is not there or is no NanoAOD, lacks what the generator-level view needs, or has no sums of
        weights where a yield is asked for.
    """
    return list(_datasets(samples))


def _datasets(samples: SamplesRecipe) -> Iterator[Dataset]:
    for process_name, process in samples.processes.items():
        for simulation, named in process.files.items():
            view = samples.simulations[simulation].view
            files = tuple(expand_inputs(named))
            branches: dict[str, frozenset[str]] = {}
            sums: list[float | None] = []
            for path in files:
                with NanoFile(path) as file:
                    branches[path] = frozenset(file.branches)
                    sums.append(_sum_of_weights(file))
                if view == "gen" and (missing := sorted(gen_branches() - branches[path])):
                    msg = f"{path}: lacks {', '.join(missing)}; the generator level needs them"
                    raise InputFileError(msg)
                if process.cross_section is not None and sums[-1] is None:
                    msg = (
                        f"{path}: has no tree Runs with genEventSumw, which yields need; use a whole file"
                        f", or leave out processes.{process_name}.cross_section"
                    )
                    raise InputFileError(msg)
            found = [value for value in sums if value is not None]
            total = sum(found) if len(found) == len(sums) else None
            yield Dataset(process_name, simulation, view, files, branches, total)


def _sum_of_weights(file: NanoFile) -> float | None:
    """Sum of the weights of all generated events; NanoAOD v6 and before have its name with an underscore."""
    arrays = file.read_tree("Runs")[1] if "Runs" in file.trees else {}
    for name in ("genEventSumw", "genEventSumw_"):
        if name in arrays:
            return float(np.sum(np.asarray(arrays[name])))
    return None
