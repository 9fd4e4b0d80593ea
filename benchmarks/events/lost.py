"""Objects that are drawn, and left out as no place was found that is far enough from all others."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np

from benchmarks.markdown import table
from flashsim.declarations.output import load_output
from flashsim.generation import matched, unmatched
from flashsim.generation.exclusive import ATTEMPTS
from flashsim.generation.generate import Generator
from flashsim.generation.simulate import ObjectSimulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flashsim.models.object_model import ObjectModel

    Counts = dict[str, dict[str, int]]

__all__ = ["lost_objects", "lost_table"]


def lost_objects(models: Sequence[ObjectModel], sources: Sequence[Path]) -> Counts:
    """Count objects that are kept apart, as ``drawn``, and those left out of them, as ``lost``.

    Parameters
    ----------
    models
        One a collection, with all that they need.
    sources
        Files of gen-level events, which are simulated once more.

    Returns
    -------
    Counts by kind and collection, such as ``unmatched Jet``.
    """
    generator = Generator(models, load_output())
    with TemporaryDirectory() as folder, _counted() as counts:
        for source in sources:
            generator.run(source, Path(folder) / "flash.root", force=True)
    return counts


def lost_table(counts: Counts) -> Iterator[str]:
    """Give the lines of a page."""
    yield "Objects that are too close to others, or in the cone of another source, are drawn again. Those"
    yield f"that found no place in {ATTEMPTS} more attempts are left out:"
    yield ""
    yield from table(
        ("", "drawn", "left out", "share"),
        (
            (name, f"{row['drawn']:,}", f"{row['lost']:,}", f"{row['lost'] / max(row['drawn'], 1):.1e}")
            for name, row in sorted(counts.items())
        ),
    )


@contextlib.contextmanager
def _counted() -> Iterator[Counts]:
    """Count what is generated in a block, in one thread."""
    counts: Counts = defaultdict(lambda: {"drawn": 0, "lost": 0})
    collections = [""]
    simulate = ObjectSimulator.simulate

    def named(self: ObjectSimulator, *arguments: Any, **options: Any) -> Any:
        collections.append(self.collection)
        return simulate(self, *arguments, **options)

    def counting(kind: str, apart: Callable[..., Any]) -> Callable[..., Any]:
        def counted(draw: Any, event_rows: Any, others: Any, *rules: Any) -> Any:
            columns, kept = apart(draw, event_rows, others, *rules)
            if any(rule is not None for rule in rules):  # else none can be lost
                row = counts[f"{kind} {collections[-1]}"]
                row["drawn"] += len(kept)
                row["lost"] += int(np.count_nonzero(~kept))
            return columns, kept

        return counted

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(ObjectSimulator, "simulate", named))
        for kind, module in (("matched", matched), ("unmatched", unmatched)):
            patched = counting(kind, module.drawn_apart)
            stack.enter_context(mock.patch.object(module, "drawn_apart", patched))
        yield counts
