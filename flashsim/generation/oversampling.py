"""Oversampling: every gen event N times, each time with objects drawn anew, for an Nth of its weight."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from flashsim.errors import InputFileError, RecipeError
from flashsim.events.identity import event_keys
from flashsim.nanoaod.branch import Branch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.declarations.output import OutputRecipe
    from flashsim.nanoaod.branch import Branches

__all__ = ["FOLD", "GEN_EVENT", "MOST_FOLDS", "Oversampling", "plan_oversampling", "refuse_oversampled"]

FOLD = Branch(
    "fold", np.dtype("uint16"), None, "oversampling fold of the gen event, from 0; tells its copies apart"
)
GEN_EVENT = Branch(
    "genEventId",
    np.dtype("uint64"),
    None,
    "hash of the numbers and the gen content of the event: equal for all oversampling folds of a gen event",
)
MOST_FOLDS = 1 << 16
"""As many as the branch of the fold can tell apart."""


@dataclass(frozen=True)
class Oversampling:
    """How the events of a chunk are repeated.

    Parameters
    ----------
    folds
        How often each gen event is simulated.
    weights
        Branches that are divided by it.
    """

    folds: int
    weights: frozenset[str] = frozenset()

    @property
    def branches(self) -> list[Branch]:
        """Branches that oversampled events have besides the others."""
        return [] if self.folds == 1 else [FOLD, GEN_EVENT]

    def repeated(self, arrays: Mapping[str, Any], branches: Sequence[Branch]) -> dict[str, Any]:
        """Repeat copied branches of E gen events for E N events: all folds of the first, then of the second.

        Parameters
        ----------
        arrays
            Values by name, ``E * dtype`` or ``E * var * dtype``, the three numbers of an event among them.
        branches
            Those that are written.
        """
        if self.folds == 1:
            return {branch.name: arrays[branch.name] for branch in branches}
        events = len(arrays["event"])
        rows = np.repeat(np.arange(events), self.folds)
        repeated = {branch.name: self._share(arrays[branch.name], branch)[rows] for branch in branches}
        repeated[GEN_EVENT.name] = event_keys(arrays)[rows]
        repeated[FOLD.name] = np.tile(np.arange(self.folds, dtype=FOLD.dtype), events)
        return repeated

    def _share(self, values: Any, branch: Branch) -> Any:
        if branch.name not in self.weights:
            return values
        return ak.values_astype(ak.values_astype(values, np.float64) / self.folds, branch.dtype)

    def summed(self, arrays: Mapping[str, Any], recipe: OutputRecipe) -> dict[str, Any]:
        """Correct sums over events, as those of ``Runs``, for the events that are written.

        Sums of weights stay: N times as many events have an Nth of the weight each. Numbers of events grow by
        N, sums of squared weights fall by N, so that all of them are what the events of the file add up to.

        Parameters
        ----------
        arrays
            Branches of a tree by name.
        recipe
            Names those that change.
        """
        changed = dict(arrays)
        if self.folds == 1 or recipe.oversampling is None:
            return changed
        for name, values in arrays.items():
            if _fits(name, recipe.oversampling.counts):
                changed[name] = values * self.folds
            elif _fits(name, recipe.oversampling.squares):
                changed[name] = values / self.folds
        return changed


def plan_oversampling(
    file: Branches, copied: Sequence[Branch], recipe: OutputRecipe, folds: int
) -> Oversampling:
    """Find out which branches of an input are weights, which folds share.

    Parameters
    ----------
    file
        The input.
    copied
        Its branches that are written.
    recipe
        Names the weights.
    folds
        How often each gen event is simulated.

    Raises
    ------
    InputFileError
        If the input has no weight to share.
    RecipeError
        If the recipe does not say which branches are weights.
    """
    if folds == 1:
        return Oversampling(1)
    if recipe.oversampling is None:
        msg = "the output recipe has no key 'oversampling', which says what branches are weights; add it"
        raise RecipeError(msg)
    patterns = recipe.oversampling.weights
    weights = frozenset(branch.name for branch in copied if _fits(branch.name, patterns))
    if not weights:
        msg = (
            f"{file.path}: has no weight that the folds of an event could share (expected one of "
            f"{', '.join(patterns)}); make the file again with it kept, or generate without --oversample"
        )
        raise InputFileError(msg)
    return Oversampling(folds, weights)


def refuse_oversampled(file: Branches) -> None:
    """Refuse an input whose events stand in it several times: their copies would all get the same noise.

    Raises
    ------
    InputFileError
        If the file is an oversampled one.
    """
    if file.has(FOLD.name) and file.has(GEN_EVENT.name):
        msg = f"{file.path}: is oversampled already; generate from the gen-level file that it was made from"
        raise InputFileError(msg)


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
