"""What a generation gives: pieces of the output, and a summary at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from flashsim.events.sketch import EventSketch

if TYPE_CHECKING:
    from flashsim.generation.plan import OutputPlan  # in a type alias
    from flashsim.nanoaod.buffer import CheckedEntries
    from flashsim.nanoaod.reading import NanoFile
    from flashsim.transforms.phase_space import OutsideCount

__all__ = ["Piece", "Pieces", "Progress", "Summary"]


@dataclass(frozen=True)
class Piece:
    """Simulated events as they are written.

    Parameters
    ----------
    stop
        Number of gen events of the file up to the end of this piece.
    columns
        All branches of the output; checked already where another process simulates them.
    objects
        Simulated objects by collection.
    outside_counts
        Gen objects and events outside of the trainings, see `ObjectSimulator.phase_spaces`.
    sketch
        Of its gen events.
    special
        By branch, objects with a value that stands for none, see `flashsim.declarations.objects.Target`; of
        models that were trained on another NanoAOD version.
    """

    stop: int
    columns: Mapping[str, Any] | CheckedEntries
    objects: dict[str, int]
    outside_counts: dict[str, OutsideCount]
    sketch: EventSketch
    special: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """What a generation did.

    Parameters
    ----------
    input, output
        Paths.
    version
        NanoAOD version of the output.
    events
        Number of events written.
    oversample
        How many of them come from one gen event.
    objects
        Simulated objects by collection.
    outside_counts
        Gen objects and events outside of the trainings, see `ObjectSimulator.phase_spaces`.
    left_out
        Branches that the models have and this NanoAOD version has not.
    stale
        Branches that were to be kept and are left out, as they index objects that are simulated anew.
    pileup
        What was drawn of the pileup, in a sentence; empty if the input's was used.
    trees_left, objects_left
        Trees of the input that are left out, and other things, which cannot be kept.
    doubt
        Why the NanoAOD version may be another one; empty if there is no doubt, or the user named it.
    trained_on
        By collection, the NanoAOD version of a model's training where it is another one.
    renamed
        Patterns of branches that this NanoAOD version has under another name, by those that models have.
    origins
        By collection, what its model was trained on, in words.
    special
        As `Piece` has it, of all events.
    trigger
        What is emulated of the trigger, and what is not, in sentences.
    seconds
        Wall time.
    reused
        Whether the output was there already.
    sketch
        Of the gen events; empty where the output was there already.
    """

    input: str
    output: str
    version: str
    events: int
    oversample: int
    objects: dict[str, int]
    outside_counts: dict[str, OutsideCount]
    left_out: list[str]
    stale: list[str]
    pileup: str
    trees_left: list[str]
    objects_left: list[str]
    doubt: str
    trained_on: dict[str, str]
    renamed: dict[str, str]
    origins: dict[str, str]
    special: dict[str, int]
    seconds: float = field(compare=False)
    trigger: list[str] = field(default_factory=list)
    reused: bool = False
    sketch: EventSketch = field(default=EventSketch(), compare=False, repr=False)


Progress: TypeAlias = Callable[[int, int], None]
"""Called with (gen events done, gen events in all)."""

Pieces: TypeAlias = "Callable[[NanoFile, OutputPlan], Generator[Piece, None, None]]"
"""Simulates all of a file, piece by piece, in order."""
