"""Make the samples of the reference simulation that models are trained on and judged by.

    python -m benchmarks.samples --work runs/ship --workers 2

makes ``WORK/ROLE/PROCESS/`` with ``gen.root``, ``full.root``, ``fast.root`` and further draws, as
``benchmarks/samples.yaml`` says; gen-level events that are there are kept, and detectors run anew.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Literal

from pydantic import Field

from flashsim.declarations.recipes import Recipe, load_recipe
from flashsim.interface.reference import simulate

__all__ = ["Sample", "Samples", "full_files", "load_samples", "make_samples"]

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("train", "test", "left_out")


class Sample(Recipe):
    """One role's events."""

    seed: int = Field(description="seed of generator and detectors")
    draws: int = Field(ge=1, description="passes through the detectors")
    events: dict[str, int] = Field(description="events of each process")

    def scaled(self, factor: float) -> Sample:
        """Return the same with fewer or more events, at least one each."""
        events = {process: max(1, round(factor * count)) for process, count in self.events.items()}
        return self.model_copy(update={"events": events})


class Samples(Recipe):
    """The events of all roles."""

    schema_version: Literal[1] = Field(description="version of this format")
    train: Sample = Field(description="trained on")
    extra: dict[str, Sample] = Field(description="by object: what it is trained on beside these")
    test: Sample = Field(description="judged by: the same processes, other events")
    left_out: Sample = Field(description="judged by: a process that is not trained on")
    analysis: Sample = Field(description="compared in the VBF H to mumu analysis")

    def scaled(self, factor: float) -> Samples:
        """Return the same with fewer or more events, at least one each."""
        roles = (*ROLES, "analysis")
        return self.model_copy(
            update={role: getattr(self, role).scaled(factor) for role in roles}
            | {"extra": {name: sample.scaled(factor) for name, sample in self.extra.items()}}
        )


def load_samples() -> Samples:
    """Read ``benchmarks/samples.yaml``."""
    return load_recipe(Samples, ROOT / "benchmarks" / "samples.yaml")


def make_samples(samples: Samples, work: Path, workers: int) -> dict[str, list[Path]]:
    """Make the samples that models are trained on and judged by.

    Returns
    -------
    Folders of the processes by role; those of an object's extra training under the name of the object.
    """
    roles = {role: getattr(samples, role) for role in ROLES} | samples.extra
    folders: dict[str, list[Path]] = {role: [] for role in roles}
    for role, sample in roles.items():
        for process, events in sample.events.items():
            folder = work / role / process
            started = time.monotonic()
            simulate(
                process,
                folder,
                events=events,
                seed=sample.seed,
                workers=workers,
                draws=sample.draws,
                force=True,
            )
            print(f"{folder}: {events} events, {time.monotonic() - started:.0f} s", flush=True)
            folders[role].append(folder)
    return folders


def full_files(folders: list[Path]) -> list[str]:
    """All draws of the full detector in some folders."""
    return [str(path) for folder in folders for path in sorted(folder.glob("full*.root"))]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "ship", help="folder of the samples")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the events, for trials")
    options = parser.parse_args()
    make_samples(load_samples().scaled(options.scale), options.work, options.workers)


if __name__ == "__main__":
    main()
