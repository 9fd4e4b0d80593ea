"""Training the points of a grid: here, in several processes, on a Dask cluster."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flashsim.errors import OutputFileError, reason_of
from flashsim.execution.executors import DaskExecutor, ProcessExecutor, SerialExecutor, run_calls
from flashsim.grid.point import Job, train_point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from flashsim.execution.executors import Executor
    from flashsim.grid.folder import GridFolder
    from flashsim.grid.point import Trainer
    from flashsim.grid.recipe import Grid, Values

__all__ = ["GridRun", "Outcome", "Resources"]


@dataclass(frozen=True)
class Resources:
    """Where points are trained.

    Parameters
    ----------
    workers
        Processes of this machine, or points at a time of a search on a cluster.
    dask
        Address of the scheduler of a Dask cluster that trains in place of this machine; its workers must see
        the same files under the same names.
    device, threads
        Of each training.
    retries
        How often a point whose process died is resumed.
    """

    workers: int = 1
    dask: str | None = None
    device: str = "auto"
    threads: int = 1
    retries: int = 1

    def executor(self, trainer: Trainer, *, limited: bool) -> Executor:
        """Executor of the calls; `limited` to so many at a time as there are workers."""
        if self.dask is not None:
            return DaskExecutor(self.dask, capacity=self.workers) if limited else DaskExecutor(self.dask)
        if self.workers == 1:
            return SerialExecutor()
        return ProcessExecutor(self.workers, preload=(type(trainer).__module__, __name__))


@dataclass(frozen=True)
class Outcome:
    """What has become of a point.

    Parameters
    ----------
    number, values
        Of the point.
    trained
        Whether anything was left to train.
    error
        Why it failed; none if it did not.
    """

    number: int
    values: Values
    trained: bool = False
    error: Exception | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the process that trained it is gone, so that it can be gone on with."""
        # Dask gives up on a call that several of its workers were lost with.
        return isinstance(self.error, BrokenExecutor) or type(self.error).__name__ == "KilledWorker"

    @property
    def reason(self) -> str:
        """Why it failed, in a line that names it."""
        if self.error is None:
            return ""
        text = "its process was lost (killed, or out of memory)" if self.is_lost else reason_of(self.error)
        return f"point {self.number}: {text}"


@dataclass(frozen=True)
class GridRun:
    """A grid, its folder, its data, and where it is trained.

    Parameters
    ----------
    grid
        What is trained.
    folder
        Where its points are.
    data
        Folder of tables or pairs.
    trainer
        What trains a point.
    resources
        Where it is trained.
    """

    grid: Grid
    folder: GridFolder
    data: Path
    trainer: Trainer
    resources: Resources

    def begin(
        self, points: Sequence[Values], wanted: Sequence[int], *, resume: bool, trials: bool = False
    ) -> None:
        """See that there is nothing in the way, and note what the folder is of.

        Parameters
        ----------
        points
            Values of all points.
        wanted
            Numbers of those that are trained now.
        resume
            Whether points may have been begun before.
        trials
            Whether they are those of a search.

        Raises
        ------
        OutputFileError
            If the folder is of something else, or points were begun and `resume` is not set.
        TableError
            If there are no data.
        """
        data = self.trainer.digest(self.data)
        self.folder.begin(self.grid, data, points, trials=trials)
        begun = [number for number in wanted if self.folder.point(number).is_begun]
        if begun and not resume:
            msg = f"{self.folder.point(begun[0]).path}: was begun before; add --resume"
            raise OutputFileError(msg)
        for number in wanted:
            self.queue(number, points[number])

    def queue(self, number: int, values: Values) -> None:
        """Note that a point waits, unless it is finished."""
        folder = self.folder.point(number)
        if not folder.is_finished:
            folder.queue(values)

    def train(self, points: Iterable[tuple[int, Values]], *, searched: bool = False) -> Iterator[Outcome]:
        """Train points, given by number and values; yields what has become of each when it has ended.

        Points of a search are taken when there is room for them.
        """
        taken: list[tuple[int, Values]] = []

        def jobs() -> Iterator[tuple[Job]]:
            for number, values in points:
                taken.append((number, values))
                yield (self.job(number, values),)

        retries = self.resources.retries
        with self.resources.executor(self.trainer, limited=searched) as executor:
            for ended in run_calls(executor, train_point, jobs(), retries=retries, may_pass=_is_lost):
                yield Outcome(*taken[ended.number], bool(ended.result), ended.error)

    def job(self, number: int, values: Values) -> Job:
        """Put together what training a point needs."""
        return Job(
            str(self.folder.point(number).path.absolute()),
            self.trainer,
            self.grid.training(values).model_dump(mode="json"),
            str(self.data.absolute()),
            self.resources.device,
            self.resources.threads,
        )


def _is_lost(error: Exception) -> bool:
    return isinstance(error, BrokenExecutor)
