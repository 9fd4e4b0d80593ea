"""One object of one chunk of events: who is reconstructed, as what, and what is there besides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.conditioning import Earlier
from flashsim.errors import InputFileError, ModelFileError
from flashsim.events.collection import Collection
from flashsim.events.conditioning import conditioning_columns
from flashsim.events.gen_chunk import with_simulated
from flashsim.events.recoil import momentum
from flashsim.generation.draws import Draws
from flashsim.generation.matched import draw_matched
from flashsim.generation.plan import OUTSIDE
from flashsim.generation.unmatched import UnmatchedSimulator, not_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.declarations.objects import Derived
    from flashsim.events.gen_chunk import GenChunk
    from flashsim.models.object_model import ObjectModel
    from flashsim.transforms.phase_space import OutsideCount, PhaseSpace

    Columns = dict[str, NDArray[np.float64]]

__all__ = ["ObjectSimulator", "Simulated"]


@dataclass(frozen=True)
class _Objects:
    """Simulated objects in no order: rows of their events, and columns by branch."""

    event_rows: NDArray[np.int64]
    columns: Columns
    outside_counts: dict[str, OutsideCount]


@dataclass(frozen=True)
class Simulated:
    """A simulated collection.

    Parameters
    ----------
    collection
        The objects.
    outside_counts
        How many gen objects and events, counted in every fold, were outside of what
        `ObjectSimulator.phase_spaces` names.
    """

    collection: Collection
    outside_counts: dict[str, OutsideCount]


class ObjectSimulator:
    """Draws the reconstructed objects of one collection.

    Parameters
    ----------
    model
        The trained model.
    seed
        The user's seed.
    device
        Torch's name of the device that the flows run on; ``cpu`` needs no torch.
    flag_domain
        Whether objects get the field `OUTSIDE`.

    Raises
    ------
    ModelFileError
        If the field is asked for and the model does not know the phase space of its training.
    """

    def __init__(
        self, model: ObjectModel, *, seed: int, device: str = "cpu", flag_domain: bool = False
    ) -> None:
        if flag_domain and any(space is None for space in _phase_spaces(model)):
            msg = (
                f"the model of {model.declaration.name} does not know the domain of its training, which "
                "--flag-domain needs; train it again"
            )
            raise ModelFileError(msg)
        self.model = model
        self.declaration = model.declaration
        self.collection = model.declaration.collection
        # Declarations are not hashable; two views that are alike are the same text.
        self.gen_view = model.declaration.gen_view.model_dump_json()
        self.seed = seed
        self.flag_domain = flag_domain
        self._of_gen = f"{model.declaration.gen} for {self.collection}"
        self._sampler = model.flow.sampler(device)
        self._unmatched = UnmatchedSimulator(model, device)

    @property
    def phase_spaces(self) -> dict[str, PhaseSpace]:
        """What is known of the training's gen objects and, for objects of none, of what they come from."""
        known = {self._of_gen: self.model.phase_space, **self._unmatched.phase_spaces}
        return {name: space for name, space in known.items() if space is not None}

    def simulate(
        self,
        chunk: GenChunk,
        events: NDArray[np.uint64],
        *,
        folds: Sequence[int] = (0,),
        simulated: Mapping[str, Collection] | None = None,
        origin: str = "input",
    ) -> Simulated:
        """Draw the collection for every event of a chunk, once for each oversampling fold.

        Parameters
        ----------
        chunk
            Gen-level content of E events.
        events
            `flashsim.events.identity.event_keys` of each event, shape (E,).
        folds
            Numbers of the F folds. A fold is the same whichever others are asked for.
        simulated
            Collections that are drawn before, of E F events: the F folds of the first one, then those of the
            second, and so on.
        origin
            Name of the input, for messages.

        Returns
        -------
        All simulated and derived fields and the index of the gen object, in no order inside an event, of E F
        events.

        Raises
        ------
        InputFileError
            If a value that simulation needs is NaN, or infinite where a result is computed from it.
        """
        whole = with_simulated(self.declaration, chunk.repeated(len(folds)), simulated or {})
        draws = Draws.of_folds(self.seed, self.collection, events, folds)
        matched = self._matched(whole, draws, origin)
        parts = [matched]
        if self.declaration.unmatched:
            there = {branch: matched.columns[branch] for branch in self._unmatched.branches}
            given = Collection.of_event_rows(matched.event_rows, there, whole.events)
            parts.append(self._of_none(whole, draws, given, origin))
        event_rows = np.concatenate([part.event_rows for part in parts])
        columns: dict[str, NDArray[Any]] = {
            name: np.concatenate([part.columns[name] for part in parts]) for name in matched.columns
        }
        collection = Collection.of_event_rows(event_rows, columns, whole.events)
        outside_counts = {name: count for part in parts for name, count in part.outside_counts.items()}
        return Simulated(collection, outside_counts)

    def _matched(self, chunk: GenChunk, draws: Draws, origin: str) -> _Objects:
        """Draw which gen objects are reconstructed, and as what."""
        declaration = self.declaration
        gen = chunk.collections[declaration.gen]
        self._check(origin, {field: gen[field] for field in declaration.references()}, not_finite)
        known = [entry for entry in declaration.conditioning if not isinstance(entry, Earlier)]
        gen_columns = conditioning_columns(known, chunk, declaration.gen)
        self._check(origin, gen_columns, np.isnan)
        drawn = draw_matched(self.model, self._sampler, chunk, draws, gen_columns)
        rows, columns = np.flatnonzero(drawn.kept), drawn.columns
        found = {field: column[rows] for field, column in gen.columns.items()}
        for recoil in declaration.drawn_recoils:
            columns |= momentum(recoil, columns, found[recoil.gen_fields[1]])
            for component in recoil.targets:
                del columns[component]
        if declaration.match:
            columns[declaration.match] = found["index"].astype(np.float64)
        for derived in declaration.derived:
            columns[derived.branch] = _derive(derived, found, columns, len(rows))
        if self.flag_domain:
            columns[OUTSIDE.name] = drawn.outside[rows].astype(np.float64)
        counts = {} if self.model.phase_space is None else {self._of_gen: drawn.outside_count}
        return _Objects(gen.event_rows[rows], columns, counts)

    def _of_none(self, chunk: GenChunk, draws: Draws, matched: Collection, origin: str) -> _Objects:
        """Draw objects without a gen object, given those that have one."""
        drawn = self._unmatched.draw(chunk, draws, matched, partial(self._check, origin))
        declaration, columns = self.declaration, drawn.columns
        columns[declaration.match] = np.full(len(drawn.event_rows), -1.0)
        for derived in declaration.derived:
            columns[derived.branch] = _derive(derived, None, columns, len(drawn.event_rows))
        if self.flag_domain:
            columns[OUTSIDE.name] = drawn.outside.astype(np.float64)
        return _Objects(drawn.event_rows, columns, drawn.outside_counts)

    def _check(
        self,
        origin: str,
        columns: Mapping[str, NDArray[Any]],
        is_bad: Callable[[NDArray[Any]], NDArray[np.bool_]],
    ) -> None:
        for name, column in columns.items():
            if count := int(np.count_nonzero(is_bad(column))):
                msg = (
                    f"{origin}: '{name}', from which {self.declaration.name} are simulated, is not a number "
                    f"in {count} of {len(column)} rows; mend or leave out these events"
                )
                raise InputFileError(msg)


def _phase_spaces(model: ObjectModel) -> list[PhaseSpace | None]:
    spaces = [model.phase_space, *(unmatched.phase_space for unmatched in model.unmatched.values())]
    return spaces if model.placed is None else [*spaces, model.placed.phase_space]


def _derive(
    derived: Derived, gen: Mapping[str, NDArray[Any]] | None, reco: Columns, rows: int
) -> NDArray[np.float64]:
    """Column of a derived branch, shape (rows,); `gen` is none for objects without a gen object."""
    if derived.source == "constant":
        return np.full(rows, derived.value)
    if derived.source == "gen" and gen is None:
        return np.full(rows, derived.unmatched)
    source: Mapping[str, NDArray[Any]] = reco if gen is None or derived.source == "reco" else gen
    values: NDArray[np.float64] = source[derived.field or ""].astype(np.float64) * derived.factor
    return values
