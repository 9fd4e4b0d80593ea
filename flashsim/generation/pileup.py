"""The pileup of events whose input does not say it, or that are simulated with another one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr, ndtri

from flashsim.declarations.pileup import load_profile, shipped_profiles
from flashsim.errors import InputFileError, RecipeError
from flashsim.events.identity import event_keys
from flashsim.events.noise import Stream
from flashsim.events.pileup import PILEUP, gen_vertex, pileup_of
from flashsim.nanoaod.mantissa import round_mantissa
from flashsim.nanoaod.schema import known_branches, load_schema, mantissa_bits
from flashsim.transforms.phase_space import PROBABILITIES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.models.object_model import ObjectModel
    from flashsim.nanoaod.branch import Branch, Branches

__all__ = ["DRAWN", "Pileup", "PileupPlan", "choose_pileup", "plan_pileup"]

DRAWN = "drawn"
"""Name of the profile that the models were trained with."""

_TRUE, _NUMBER, *_ = PILEUP
_VERTEX = "GenVtx_z"
_POSITION = ("GenVtx_x", "GenVtx_y", _VERTEX)
_MOST = 1000.0


@dataclass(frozen=True)
class Pileup:
    """A distribution of the true number of interactions.

    Parameters
    ----------
    name
        What a user calls it.
    probabilities, quantiles
        Points of its cumulative distribution, between which it is linear.
    whole_numbers
        Whether the branch has the integer part.
    """

    name: str
    probabilities: tuple[float, ...]
    quantiles: tuple[float, ...]
    whole_numbers: bool

    def true(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Numbers of interactions of uniform random numbers, any shape."""
        return np.interp(uniform, self.probabilities, self.quantiles)

    @property
    def described(self) -> str:
        """What it is, in a few words."""
        if self.quantiles[0] == self.quantiles[-1]:
            return f"{self.mean:g} interactions in every event"
        source = (
            "as in the training of the models"
            if self.name == DRAWN
            else f"drawn from the profile {self.name}"
        )
        return f"{source} (mean {self.mean:.1f})"

    @property
    def mean(self) -> float:
        """Mean number of interactions."""
        steps, values = np.diff(self.probabilities), np.asarray(self.quantiles)
        return float(np.sum(steps * (values[:-1] + values[1:]) / 2.0))


@dataclass(frozen=True)
class PileupPlan:
    """What is drawn of the pileup, and from what.

    Parameters
    ----------
    pileup
        The distribution; none where events have a true number of interactions.
    branches
        Branches that are drawn; empty if the input's are used.
    bits
        Mantissa bits of those that have fewer than all.
    given
        Branches of the input that they follow from.
    position
        Coordinates of the true vertex that the input does not have: drawn from the luminous region of 2018.
    """

    pileup: Pileup | None = None
    branches: tuple[Branch, ...] = ()
    bits: Mapping[str, int] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    position: tuple[Branch, ...] = ()

    @property
    def names(self) -> set[str]:
        """All that is drawn."""
        return {branch.name for branch in (*self.branches, *self.position)}

    def columns(self, arrays: Mapping[str, Any], seed: int) -> dict[str, NDArray[Any]]:
        """Draw the branches, as they are written, and the vertex, shape (E,) each.

        They are a function of the seed and of each event, see `event_keys`.

        Parameters
        ----------
        arrays
            Branches of E events: those that tell them apart, and `given`.
        seed
            Any integer.
        """
        if not self.names:
            return {}
        key = event_keys(arrays)
        position = gen_vertex(seed, key)
        vertex = {branch.name: self._stored(position[branch.name], branch) for branch in self.position}
        return vertex | (self._pileup(arrays, seed, key, position) if self.branches else {})

    def _pileup(
        self,
        arrays: Mapping[str, Any],
        seed: int,
        key: NDArray[np.uint64],
        position: Mapping[str, NDArray[np.float64]],
    ) -> dict[str, NDArray[Any]]:
        if self.pileup is None:
            true = np.asarray(arrays[_TRUE]).astype(np.float64)
            stored = true
        else:
            first = np.zeros(len(key), dtype=np.int64)
            true = self.pileup.true(Stream(seed, "Pileup", "profile").uniform(key, first, 1)[:, 0])
            stored = np.floor(true) if self.pileup.whole_numbers else true
        own = np.asarray(arrays[_VERTEX]) if _VERTEX in self.given else position[_VERTEX]
        numbers = np.asarray(arrays[_NUMBER]).astype(np.int64) if _NUMBER in self.given else None
        drawn = {_TRUE: stored, **pileup_of(seed, key, true, own.astype(np.float64), numbers)}
        return {branch.name: self._stored(drawn[branch.name], branch) for branch in self.branches}

    def describe(self) -> dict[str, Any] | None:
        """Say for the provenance what is drawn; none if nothing is."""
        if not self.names:
            return None
        profile = (
            None if self.pileup is None else {"name": self.pileup.name, "mean": round(self.pileup.mean, 3)}
        )
        return {
            "profile": profile,
            "branches": [branch.name for branch in (*self.branches, *self.position)],
            "given": list(self.given),
        }

    def sentence(self) -> str:
        """Say in a line what is drawn; empty if nothing is."""
        sentences = []
        names = ", ".join(branch.name for branch in self.branches)
        if names and self.pileup is None:
            sentences.append(f"not in the input, and drawn given its {_TRUE}: {names}")
        elif names and self.pileup is not None:
            sentences.append(f"the pileup is {self.pileup.described}: {names}")
        if self.position:
            position = ", ".join(branch.name for branch in self.position)
            sentences.append(f"not in the input, and drawn from the luminous region of 2018: {position}")
        return "; ".join(sentences)

    def _stored(self, values: NDArray[Any], branch: Branch) -> NDArray[Any]:
        # What is simulated from is what is written: simulated again, the output gives the same.
        stored = values.astype(branch.dtype)
        bits = self.bits.get(branch.name)
        return stored if bits is None else round_mantissa(stored, bits)


def choose_pileup(name: str, models: Sequence[ObjectModel]) -> Pileup:
    """Find the pileup that a user names.

    Parameters
    ----------
    name
        A shipped profile, the path of a YAML file, a number of interactions that all events have, or `DRAWN`.
    models
        The models, which know the pileup of their training.

    Raises
    ------
    RecipeError
        If there is no such profile, it is not valid, or no model knows the pileup of its training.
    """
    if name == DRAWN:
        return _of_training(models)
    try:
        number = float(name)
    except ValueError:
        profile = load_profile(name)
        numbers = tuple(map(float, range(len(profile.cumulative))))
        return Pileup(name, profile.cumulative, numbers, profile.whole_numbers)
    if not 0.0 <= number <= _MOST:
        msg = f"--pileup {name}: expected a number of interactions from 0 to {_MOST:g}"
        raise RecipeError(msg)
    return Pileup(name, (0.0, 1.0), (number, number), whole_numbers=False)


def _of_training(models: Sequence[ObjectModel]) -> Pileup:
    """Pileup of the training: of events where a model knows that of events, else of its gen objects."""
    known: list[tuple[float, ...]] = []
    for model in sorted(models, key=lambda model: model.declaration.per == "object"):
        declared = model.declaration
        of_events = [
            (source.conditioning, model.unmatched[source.name].phase_space)
            for source in declared.unmatched
            if source.is_event
        ]
        for conditioning, space in (*of_events, (declared.conditioning, model.phase_space)):
            names = [entry.name for entry in conditioning if getattr(entry, "branch", None) == _TRUE]
            known += [
                space.axes[name].quantiles for name in names if space is not None and name in space.axes
            ]
    if not known:
        shipped = ", ".join(shipped_profiles())
        msg = f"--pileup {DRAWN}: no model knows the pileup of its training; name one of {shipped}"
        raise RecipeError(msg)
    quantiles = np.array(known[0])
    whole = bool(np.all(quantiles == np.trunc(quantiles)))
    # Linear between the quantiles as a normal distribution would have them, which pileup nearly has.
    edges = np.clip(ndtri(PROBABILITIES), -4.0, 4.0)
    grid = np.linspace(-4.0, 4.0, 321)
    probabilities = ndtr(grid)
    probabilities[[0, -1]] = 0.0, 1.0
    values = np.interp(grid, edges, quantiles) + 0.5 * whole  # the integer part was kept
    return Pileup(DRAWN, tuple(probabilities.tolist()), tuple(values.tolist()), whole)


def plan_pileup(file: Branches, wanted: Collection[str], pileup: Pileup | None, version: str) -> PileupPlan:
    """Plan what is drawn of the pileup, and of the true vertex.

    Parameters
    ----------
    file
        The input.
    wanted
        Branches that simulation reads.
    pileup
        The distribution that the user asks for; none for the input's pileup.
    version
        NanoAOD version of the output.

    Raises
    ------
    InputFileError
        If the input does not have the pileup, and no distribution is asked for.
    """
    wanted = set(wanted)
    position = [name for name in _POSITION if name in wanted and not file.has(name)]
    plan = _plan_numbers(file, wanted.difference(position), pileup, version)
    schema = load_schema(version)
    branches = tuple(schema.get(name) or known_branches(name)[0] for name in position)
    bits = {name: mantissa_bits(version, name) for name in position if name in schema}
    known = {name: kept for name, kept in bits.items() if kept is not None}
    return replace(plan, position=branches, bits={**plan.bits, **known})


def _plan_numbers(file: Branches, wanted: Collection[str], pileup: Pileup | None, version: str) -> PileupPlan:
    """Plan the branches that are named after pileup."""
    needed = [name for name in PILEUP if name in wanted]
    missing = [name for name in needed if not file.has(name)]
    lacking = any(not file.has(name) for name in wanted if name not in PILEUP)
    if pileup is None and (not missing or lacking):
        return PileupPlan()  # a file that lacks more is refused with all that it lacks
    given = [_VERTEX] if file.has(_VERTEX) else []
    if pileup is not None:
        schema = load_schema(version)
        return _planned(pileup, [name for name in PILEUP if name in needed or name in schema], given, version)
    if not file.has(_TRUE):
        msg = (
            f"{file.path}: has no {', '.join(missing)}, as NANOGEN files; name the pileup to simulate with: "
            f"--pileup {DRAWN} (as in the training), a number of interactions, a YAML file, or one of "
            f"{', '.join(shipped_profiles())}"
        )
        raise InputFileError(msg)
    given += [name for name in (_TRUE, _NUMBER) if file.has(name)]
    return _planned(None, missing, given, version)


def _planned(pileup: Pileup | None, names: Sequence[str], given: Sequence[str], version: str) -> PileupPlan:
    schema = load_schema(version)
    branches = tuple(schema[name] if name in schema else known_branches(name)[0] for name in names)
    bits = {name: mantissa_bits(version, name) for name in names if name in schema}
    return PileupPlan(pileup, branches, {n: b for n, b in bits.items() if b is not None}, tuple(given))
