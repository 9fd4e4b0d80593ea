"""`flashsim generate` end to end on one core, beside Pythia 8 making the same events."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.speed.events import PROCESS
from benchmarks.speed.stages import STAGES, StageClock
from benchmarks.speed.timing import in_turns, median_ratio
from flashsim.declarations.recipes import recipe_path
from flashsim.gen.pythia import PythiaGenerator
from flashsim.generation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["generation"]


def generation(
    models: Sequence[Path] | None, source: Path, *, events: int, pythia: int, repeats: int
) -> dict[str, Any]:
    """Events a second of simulation and of Pythia, and the shares of simulation's stages.

    Parameters
    ----------
    models
        Model files; none for the shipped ones.
    source
        Gen-level events of `PROCESS`.
    events
        How many the source holds; the output is written beside it.
    pythia
        Events that Pythia makes in a repeat, with multiparton interactions, as the source's; only its own
        time counts, without gen jets and writing.
    repeats
        Turns of each.
    """
    named = None if models is None else tuple(str(path) for path in models)
    settings = Settings(models=named, threads=1)
    generator, output = settings.generator(), source.with_name("flash.root")
    maker = PythiaGenerator(recipe_path("reference", PROCESS), seed=1)
    clocks: list[StageClock] = []
    objects: dict[str, int] = {}

    def simulate() -> None:
        clock = StageClock()
        with clock.running():
            summary = generator.run(source, output, force=True, **settings.options())
        clocks.append(clock)
        objects.update(summary.objects)

    def make() -> None:
        for _ in maker.batches(pythia):
            pass

    found = in_turns({"flashsim": (events, simulate), "pythia": (pythia, make)}, repeats)
    seconds = {
        stage: statistics.median(clock.seconds[stage] for clock in clocks[-repeats:]) for stage in STAGES
    }
    total = sum(seconds.values())
    ratio, error = median_ratio(found["pythia"].per_item, found["flashsim"].per_item)
    return {
        "process": PROCESS,
        "events": events,
        "objects_per_event": {name: number / events for name, number in objects.items()},
        "bytes_per_event": {
            "input": source.stat().st_size / events,
            "output": output.stat().st_size / events,
        },
        "flashsim": found["flashsim"].to_json(),
        "pythia": found["pythia"].to_json(),
        "times_pythia": ratio,
        "times_pythia_spread": error,
        "microseconds_per_event": {stage: 1e6 * value / events for stage, value in seconds.items()},
        "shares": {stage: value / total for stage, value in seconds.items()},
    }
