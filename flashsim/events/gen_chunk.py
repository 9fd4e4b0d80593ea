"""What an object is simulated from, for a chunk of events: gen-level content, and what is simulated before.

Training and generation both build it here, so what a network is given cannot differ between them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.conditioning import RECO, Conditioning, EventValue
from flashsim.events.collection import Collection
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.events.recoil import expected_momentum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = [
    "GenChunk",
    "conditioning_branches",
    "gen_branches",
    "gen_chunk",
    "reconstructed_before",
    "with_simulated",
]


@dataclass(frozen=True)
class GenChunk:
    """What objects of a chunk of E events are simulated from.

    Parameters
    ----------
    collections
        Gen collections by name, and simulated ones by ``reco.NAME``.
    event_values
        Branches with one value an event by name, simulated ones by ``reco.NAME.BRANCH``, shape (E,).
    events
        E.
    counterparts
        Fields of the reconstructed objects of the N gen objects of the collection that is simulated, shape
        (N,), NaN where there is none (yet); for conditioning of the kind `Earlier`.
    """

    collections: Mapping[str, Collection]
    event_values: Mapping[str, NDArray[Any]]
    events: int
    counterparts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def repeated(self, times: int) -> GenChunk:
        """Take every event several times, one after the other."""
        if times == 1:
            return self
        rows = np.repeat(np.arange(self.events), times)
        return GenChunk(
            {name: collection.events_of(rows) for name, collection in self.collections.items()},
            {name: values[rows] for name, values in self.event_values.items()},
            self.events * times,
        )


def conditioning_branches(conditioning: Sequence[Conditioning]) -> list[str]:
    """Branches of the generator with one value an event that conditioning reads, sorted."""
    return sorted({e.branch for e in conditioning if isinstance(e, EventValue) and not e.of})


def gen_branches(declaration: ObjectDeclaration) -> list[str]:
    """Branches that conditioning needs, apart from the event's numbers; sorted."""
    event_values = conditioning_branches([*declaration.conditioning, *declaration.unmatched_conditioning])
    return sorted({*gen_view_branches(declaration.gen_view), *event_values})


def gen_chunk(
    declaration: ObjectDeclaration,
    arrays: dict[str, ak.Array],
    collections: Mapping[str, Collection] | None = None,
) -> GenChunk:
    """Build the gen-level content of a chunk, from at least `gen_branches` and the event's numbers.

    `collections` may be those of another object with the same gen view, to spare building them again.
    """
    names = conditioning_branches([*declaration.conditioning, *declaration.unmatched_conditioning])
    built = build_gen_view(declaration.gen_view, arrays) if collections is None else collections
    return GenChunk(built, {name: np.asarray(arrays[name]) for name in names}, len(arrays["event"]))


def with_simulated(
    declaration: ObjectDeclaration, chunk: GenChunk, simulated: Mapping[str, Collection]
) -> GenChunk:
    """Add what is simulated before, as far as the declaration wants it.

    Parameters
    ----------
    declaration
        The object.
    chunk
        Gen-level content of E events.
    simulated
        Collections of the same events; of one that is not there, no event has any objects. Those of whole
        events must be there.
    """
    none = np.zeros(chunk.events, dtype=np.int64)
    given = {}
    for name, fields in declaration.reconstructed().items():
        empty = Collection.of_counts(none, {field: np.zeros(0) for field in fields})
        given[f"{RECO}{name}"] = simulated.get(name, empty)
    values = {}
    for entry in declaration.event_results():
        columns = simulated[entry.of.removeprefix(RECO)].columns
        names = (entry.branch, *entry.otherwise)
        values[entry.key] = next(columns[name] for name in names if name in columns)
    collections = _with_recoils(declaration, {**chunk.collections, **given})
    return GenChunk(collections, {**chunk.event_values, **values}, chunk.events)


def reconstructed_before(
    declaration: ObjectDeclaration, arrays: Mapping[str, ak.Array]
) -> dict[str, Collection]:
    """Give what training takes for simulated before: reconstructed objects and values of whole events."""
    read = {
        name: Collection.of_branches(arrays, name, fields)
        for name, fields in declaration.reconstructed().items()
    }
    ones = np.ones(len(arrays["event"]), dtype=np.int64)
    values: dict[str, dict[str, NDArray[Any]]] = {}
    for entry in declaration.event_results():
        of = values.setdefault(entry.of.removeprefix(RECO), {})
        of[entry.branch] = np.asarray(arrays[entry.branch]).astype(np.float64)
    return read | {name: Collection.of_counts(ones, columns) for name, columns in values.items()}


def _with_recoils(
    declaration: ObjectDeclaration, collections: Mapping[str, Collection]
) -> Mapping[str, Collection]:
    """Add what is expected of the recoils to the gen-level event."""
    if not declaration.recoils:
        return collections
    event = collections[declaration.gen]
    columns = dict(event.columns)
    for recoil in (recoil for recoil in declaration.recoils if not recoil.like):
        pt, phi = (event[branch].astype(np.float64) for branch in recoil.gen_branches)
        columns |= expected_momentum(recoil, pt, phi, collections)
    return {**collections, declaration.gen: Collection(event.offsets, columns)}
