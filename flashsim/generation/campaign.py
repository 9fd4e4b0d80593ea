"""Many files: each generated once, tried again where it fails, left alone where it is finished."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from flashsim.errors import OutputFileError, reason_of
from flashsim.execution.executors import DaskExecutor, ProcessExecutor, SerialExecutor, run_calls
from flashsim.execution.locks import remove_unfinished, wait_for_writer
from flashsim.execution.processes import Processes
from flashsim.generation import PRELOAD
from flashsim.generation.settings import ONE_AT_A_TIME, Settings
from flashsim.generation.workers import pieces_of_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from flashsim.execution.executors import Executor
    from flashsim.generation.results import Summary

__all__ = ["Order", "Outcome", "generate_file", "run_campaign"]

_PATIENCE = 60.0
"""Seconds that a task on a cluster waits for a writer that is taken for lost."""


@dataclass(frozen=True)
class Order:
    """What is to be done with outputs that exist, and what outputs say about their making.

    Parameters
    ----------
    force, resume, campaign, command
        As `Generator.run` takes them.
    """

    force: bool = False
    resume: bool = False
    campaign: str = ""
    command: str = ""


@dataclass(frozen=True)
class Outcome:
    """What has become of a file.

    Parameters
    ----------
    source, output
        Paths.
    attempts
        How often it was tried.
    summary
        What was generated; none if it failed.
    error
        Why it failed at last; none if it did not.
    """

    source: str
    output: Path
    attempts: int
    summary: Summary | None = None
    error: Exception | None = None

    @property
    def reason(self) -> str:
        """Why it failed, in a line that names the file."""
        text = "" if self.error is None else reason_of(self.error)
        return text if text.startswith((self.source, str(self.output))) else f"{self.source}: {text}"


def generate_file(
    settings: Settings, source: str, output: Path, order: Order, *, patience: float = 0.0
) -> Summary:
    """Generate one file in this process, wherever that is; see `Generator.run`.

    With patience it waits so many seconds for another process that writes the output.
    """
    wait_for_writer(output, patience)
    with ONE_AT_A_TIME:
        generator = settings.generator()
        return generator.run(source, output, **settings.options(), **vars(order))


def run_campaign(
    jobs: Sequence[tuple[str, Path]],
    settings: Settings,
    *,
    order: Order,
    workers: int = 1,
    dask: str | None = None,
    retries: int = 1,
    report: Callable[[Outcome], None],
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Outcome]:
    """Generate many files.

    As many files as there are workers or more are shared out as wholes, a process each. Fewer are made one
    after the other, their events shared out, which needs a process besides the workers that writes.

    Parameters
    ----------
    jobs
        Inputs and outputs, see `plan_jobs`.
    settings
        How they are generated.
    order
        What is to be done with outputs that exist.
    workers
        Processes of this machine.
    dask
        Address of the scheduler of a Dask cluster that generates in place of this machine; its workers must
        see the same files under the same names.
    retries
        How often a file that fails is tried again.
    report
        Called with each outcome, in the order in which files end.
    progress
        Called with the name of the input and its gen events done and in all, where one file is made at a
        time.

    Returns
    -------
    One outcome a job, in the order of the jobs.

    Raises
    ------
    MissingDependencyError
        If Dask is asked for and not installed.
    FlashSimError
        If there is no Dask scheduler at the address.
    """
    order = replace(order, campaign=order.campaign or secrets.token_hex(8))
    if dask is not None:
        jobs = [(_absolute(source), output.absolute()) for source, output in jobs]
    try:
        if dask is None and (workers == 1 or len(jobs) < workers):
            make = partial(_generate_here, progress=progress, order=order)
            if workers == 1:
                return _run_jobs(jobs, SerialExecutor(), partial(make, settings, None), retries, report)
            with Processes(workers, preload=PRELOAD) as processes:
                return _run_jobs(jobs, SerialExecutor(), partial(make, settings, processes), retries, report)
        executor: Executor = DaskExecutor(dask) if dask else ProcessExecutor(workers, preload=PRELOAD)
        # A worker that the cluster takes for lost may still be writing what it has given to another one.
        make = partial(generate_file, settings, order=order, patience=_PATIENCE if dask else 0.0)
        with executor:
            return _run_jobs(jobs, executor, make, retries, report)
    finally:
        # Of writers that were killed, in this run or in one that it goes on with.
        for _, output in jobs:
            remove_unfinished(output)


def _absolute(source: str) -> str:
    return source if "://" in source else os.path.abspath(source)  # noqa: PTH100  # a text, as the URLs


def _generate_here(
    settings: Settings,
    processes: Processes | None,
    source: str,
    output: Path,
    *,
    order: Order,
    progress: Callable[[str, int, int], None] | None,
) -> Summary:
    generator = settings.generator()
    pieces = None if processes is None else partial(pieces_of_processes, processes, settings)
    options = settings.options()
    told = None if progress is None else partial(progress, source)
    return generator.run(source, output, pieces=pieces, progress=told, **options, **vars(order))


def _run_jobs(
    jobs: Sequence[tuple[str, Path]],
    executor: Executor,
    work: Callable[..., Summary],
    retries: int,
    report: Callable[[Outcome], None],
) -> list[Outcome]:
    """Have all jobs done, and tell of each when it has ended."""
    outcomes: dict[int, Outcome] = {}
    for ended in run_calls(executor, work, jobs, retries=retries, may_pass=_may_pass):
        outcome = Outcome(*jobs[ended.number], ended.attempts, ended.result, ended.error)
        outcomes[ended.number] = outcome
        report(outcome)
    return [outcomes[number] for number in range(len(jobs))]


def _may_pass(error: Exception) -> bool:
    """Whether a failure may be one of the moment: not what is decided by what the user asks for."""
    return not isinstance(error, OutputFileError)
