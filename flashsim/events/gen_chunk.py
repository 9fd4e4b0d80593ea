"""The gen-level content of a chunk of events that an object is simulated from.

Training and generation both build it here, so what a network is given cannot differ between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.conditioning import Conditioning, EventValue
from flashsim.events.collection import Collection
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.events.recoil import expected_momentum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import awkward as ak
    from numpy.typing import NDArray

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["GenChunk", "conditioning_branches", "gen_branches", "gen_chunk"]


@dataclass(frozen=True)
class GenChunk:
    """The gen-level content of a chunk of E events.

    Parameters
    ----------
    collections
        Gen collections by name.
    event_values
        Branches with one value an event by name, shape (E,).
    events
        E.
    """

    collections: Mapping[str, Collection]
    event_values: Mapping[str, NDArray[Any]]
    events: int


def conditioning_branches(conditioning: Sequence[Conditioning]) -> list[str]:
    """Names of the event-level branches that a list of conditioning variables reads, sorted."""
    return sorted({entry.branch for entry in conditioning if isinstance(entry, EventValue)})


def gen_branches(declaration: ObjectDeclaration) -> list[str]:
    """Branches that conditioning needs, apart from the event's numbers; sorted."""
    event_values = conditioning_branches([*declaration.conditioning, *declaration.fake_conditioning])
    return sorted({*gen_view_branches(declaration.gen_view), *event_values})


def gen_chunk(
    declaration: ObjectDeclaration,
    arrays: dict[str, ak.Array],
    collections: Mapping[str, Collection] | None = None,
    reconstructed: Mapping[str, Collection] | None = None,
) -> GenChunk:
    """Build the gen-level content of a chunk, from at least `gen_branches` and the event's numbers.

    `collections` may be those of another object with the same gen view, to spare building them again;
    `reconstructed` are what the declaration wants of those that are simulated before; of one that is not, no
    event has any.
    """
    event_values = conditioning_branches([*declaration.conditioning, *declaration.fake_conditioning])
    built = build_gen_view(declaration.gen_view, arrays) if collections is None else collections
    none = np.zeros(len(arrays["event"]), dtype=np.int64)
    given = {
        name: Collection.of_counts(none, {field: np.zeros(0) for field in fields})
        for name, fields in declaration.reconstructed().items()
    } | dict(reconstructed or {})
    return GenChunk(
        collections=_with_recoils(declaration, {**built, **given}),
        event_values={name: np.asarray(arrays[name]) for name in event_values},
        events=len(arrays["event"]),
    )


def _with_recoils(
    declaration: ObjectDeclaration, collections: Mapping[str, Collection]
) -> Mapping[str, Collection]:
    """Add what is expected of the recoils to the gen-level event."""
    if not declaration.recoils:
        return collections
    event = collections[declaration.gen]
    columns = dict(event.columns)
    for recoil in declaration.recoils:
        pt, phi = (event[branch].astype(np.float64) for branch in recoil.gen_branches)
        columns |= expected_momentum(recoil, pt, phi, collections)
    return {**collections, declaration.gen: Collection(event.offsets, columns)}
