"""Searching a space of values: each point is chosen by what came of the earlier ones, with Optuna."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.errors import OutputFileError, RecipeError
from flashsim.execution.extras import needs_extra
from flashsim.execution.locks import held
from flashsim.grid.recipe import Range
from flashsim.grid.summary import losses_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from flashsim.grid.recipe import Grid, Values
    from flashsim.grid.run import GridRun, Outcome

__all__ = ["search"]

JOURNAL_FILE = "optuna.journal"
STUDY = "flashsim"


def search(run: GridRun, trials: int, *, resume: bool) -> Iterator[Outcome]:
    """Train points that a tree-structured Parzen estimator chooses (Bergstra et al., NIPS 24, 2011).

    With one at a time, seed and recipe fix all points, also where the search was interrupted and gone on
    with; of several at a time it matters which one ends first.

    Parameters
    ----------
    run
        The grid, its folder, and where it is trained.
    trials
        How many points there are in the end, with those of earlier searches in the folder.
    resume
        Whether a search in the folder is gone on with; what was lost comes first.

    Yields
    ------
    Outcome
        As the points end.

    Raises
    ------
    MissingDependencyError
        If Optuna is not installed.
    RecipeError
        If a value of the space does not fit the recipe, or the objective is no column of the table.
    OutputFileError
        If the folder is of something else, another command searches in it, or it was searched before and
        `resume` is not set.
    """
    _check_optuna()
    grid, folder = run.grid, run.folder
    grid.check_space()
    run.begin(folder.known(), [], resume=resume, trials=True)
    with held(folder.path) as mine:
        if not mine:
            msg = f"{folder.path}: another command searches in it; wait for it, or name another --output"
            raise OutputFileError(msg)
        study = _study(run)
        if study.trials and not resume:
            msg = f"{folder.path}: was searched before; add --resume, or name another --output"
            raise OutputFileError(msg)
        for outcome in run.train(_chosen(run, study, trials), searched=True):
            _tell(run, study, outcome)
            yield outcome


def _check_optuna() -> None:
    with needs_extra("search", "--trials"):
        import optuna  # noqa: PLC0415
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _study(run: GridRun) -> Study:
    from optuna import create_study  # noqa: PLC0415  # optional
    from optuna.storages import JournalStorage  # noqa: PLC0415
    from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

    storage = JournalStorage(JournalFileBackend(str(run.folder.path / JOURNAL_FILE)))
    return create_study(storage=storage, study_name=STUDY, load_if_exists=True)


def _chosen(run: GridRun, study: Study, trials: int) -> Iterator[tuple[int, Values]]:
    """Points that were begun and not ended, then new ones."""
    from optuna.samplers import TPESampler  # noqa: PLC0415  # optional
    from optuna.trial import TrialState  # noqa: PLC0415

    for trial in study.get_trials(states=[TrialState.RUNNING]):
        yield _point(run, study, trial)
    space = _space(run.grid)
    while (number := len(study.trials)) < trials:
        # A state that depends on nothing but the number, so that a search can be gone on with.
        (seed,) = np.random.SeedSequence((run.grid.recipe.seed, number)).generate_state(1)
        study.sampler = TPESampler(seed=int(seed))
        study.ask(space)
        yield _point(run, study, study.trials[number])


def _point(run: GridRun, study: Study, trial: FrozenTrial) -> tuple[int, Values]:
    values = [_decoded(run.grid, other.params) for other in study.trials]
    run.begin(values, [trial.number], resume=True, trials=True)
    return trial.number, values[trial.number]


def _space(grid: Grid) -> dict[str, BaseDistribution]:
    from optuna.distributions import (  # noqa: PLC0415  # optional
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    space: dict[str, BaseDistribution] = {}
    for key, values in grid.recipe.vary.items():
        if not isinstance(values, Range):
            space[key] = CategoricalDistribution([json.dumps(value) for value in values])
        elif values.is_whole:
            space[key] = IntDistribution(int(values.low), int(values.high), log=values.log)
        else:
            space[key] = FloatDistribution(values.low, values.high, log=values.log)
    return space


def _decoded(grid: Grid, params: dict[str, Any]) -> Values:
    """Values as the recipe has them; Optuna knows choices as text."""
    return {
        key: params[key] if isinstance(values, Range) else json.loads(params[key])
        for key, values in grid.recipe.vary.items()
    }


def _tell(run: GridRun, study: Study, outcome: Outcome) -> None:
    from optuna.trial import TrialState  # noqa: PLC0415  # optional

    if outcome.is_lost:
        return  # goes on when the search does
    if outcome.error is not None:
        study.tell(outcome.number, state=TrialState.FAIL)
        return
    training = run.folder.point(outcome.number).run()
    losses = {} if training is None else losses_of(training)
    value = losses.get(run.grid.objective, math.nan)
    if not math.isfinite(value):
        study.tell(outcome.number, state=TrialState.FAIL)
        msg = (
            f"{run.grid.origin}: objective: expected one of {', '.join(losses)}, found '{run.grid.objective}'"
        )
        raise RecipeError(msg)
    study.tell(outcome.number, value)
