"""What has become of files, in words."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from flashsim.events.sketch import same_numbers
from flashsim.text import text_table
from flashsim.transforms.phase_space import OutsideCount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flashsim.generation.campaign import Outcome
    from flashsim.generation.results import Summary
    from flashsim.transforms.phase_space import PhaseSpace

__all__ = [
    "number_warning",
    "origin_lines",
    "outside_table",
    "outside_warnings",
    "remarks",
    "sentence",
    "status",
    "table",
    "version_warnings",
    "warnings_of",
]

MOST_OUTSIDE = 1e-3
"""Share of gen objects outside of a training's phase space from which on there is a warning."""
_CHANCE = 3.0
"""Standard deviations by which their number must be above: of few objects one is no reason."""

MOST_SPECIAL = 1e-3
"""Share of objects without a value from which on a warning names the branch."""

_HEAD = ("output", "status", "attempts", "events", "seconds", "events/s")
_OUTSIDE_HEAD = ("outside of the training", "variable", "number", "share", "training from", "to")


def sentence(summary: Summary) -> str:
    """Say what was generated, in a line."""
    if summary.reused:
        return f"{summary.output}: {summary.events} events of NanoAOD {summary.version}, finished before"
    counts = ", ".join(f"{number} {name}" for name, number in summary.objects.items())
    rate = summary.events / max(summary.seconds, 1e-9)
    return (
        f"{summary.output}: {summary.events} events of NanoAOD {summary.version}, {counts}, "
        f"in {summary.seconds:.1f} s ({rate:,.0f} events/s)"
    )


def remarks(summary: Summary) -> list[str]:
    """Say what a user may not expect of an output."""
    version = summary.version
    notes = []
    if summary.doubt:
        notes.append(f"taken for NanoAOD {version}: {summary.doubt}; say --nano-version if it is another")
    if summary.trees_left or summary.objects_left:
        trees = (
            [f"{', '.join(summary.trees_left)} (a tree: --keep NAME keeps it)"] if summary.trees_left else []
        )
        others = [f"{', '.join(summary.objects_left)} (cannot be kept)"] if summary.objects_left else []
        notes.append(f"left out of the input: {', '.join([*trees, *others])}")
    if summary.pileup:
        notes.append(summary.pileup)
    if summary.renamed:
        pairs = ", ".join(f"{old} as {new}" for old, new in summary.renamed.items())
        notes.append(f"under the name that NanoAOD {version} has for it: {pairs}")
    if summary.left_out:
        notes.append(f"left out, as NanoAOD {version} does not have them: {', '.join(summary.left_out)}")
    if summary.stale:
        notes.append(f"not kept, as they are indices into simulated collections: {', '.join(summary.stale)}")
    return [*notes, *summary.trigger]


def origin_lines(summaries: Iterable[Summary]) -> list[str]:
    """Say what the models were trained on: a line for all models of one origin."""
    collections: dict[str, dict[str, None]] = {}
    for summary in summaries:
        for name, origin in summary.origins.items():
            collections.setdefault(origin, {})[name] = None
    return [f"{', '.join(names)}: trained on {origin}" for origin, names in collections.items()]


def version_warnings(summaries: Iterable[Summary]) -> list[str]:
    """Warn of models that were trained on another NanoAOD version than the output's, with what that does.

    Placeholder values, such as -1 of a tagger, are counted: where the training had them the output has
    them too, whatever files of its version have.
    """
    pairs: dict[tuple[str, str], dict[str, None]] = {}
    objects: Counter[str] = Counter()
    special: Counter[str] = Counter()
    for summary in summaries:
        for name, trained in summary.trained_on.items():
            pairs.setdefault((trained, summary.version), {})[name] = None
        if summary.trained_on:
            objects.update(summary.objects)
            special.update(summary.special)
    warnings = [
        f"the models of {', '.join(names)} were trained on NanoAOD {trained}, and the output is {version}: "
        f"names and types are those of {version}, values are as in the training. For physics train models "
        f"on {version} with 'flashsim preprocess' and 'flashsim train'"
        for (trained, version), names in pairs.items()
    ]
    shares = {name: number / max(objects[name.partition("_")[0]], 1) for name, number in special.items()}
    worst = sorted((name for name in shares if shares[name] > MOST_SPECIAL), key=lambda name: -shares[name])
    if worst:
        found = ", ".join(f"{name} of {shares[name]:.1%}" for name in worst)
        warnings.append(
            "objects without a value (-1 or the like), which the training has and CMS files of the output's "
            f"version may not have: {found}"
        )
    return warnings


def status(outcome: Outcome) -> str:
    """Say in a word or two what has become of a file."""
    if outcome.summary is None:
        return "failed"
    return "finished before" if outcome.summary.reused else "done"


def table(outcomes: Sequence[Outcome]) -> str:
    """Make a table of text: a row a file, and their sums."""
    rows = [_row(outcome) for outcome in outcomes]
    summaries = [outcome.summary for outcome in outcomes if outcome.summary is not None]
    kinds = [status(outcome) for outcome in outcomes]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    attempts = str(sum(outcome.attempts for outcome in outcomes))
    events = f"{sum(summary.events for summary in summaries):,}"
    rows.append(("total", counts, attempts, events, "", ""))
    return text_table(_HEAD, rows, texts=2)


def outside_table(summaries: Iterable[Summary], phase_spaces: Mapping[str, PhaseSpace]) -> str:
    """Make a table of what was outside of the trainings by variable, over all files; empty if nothing was.

    Parameters
    ----------
    summaries
        What was generated.
    phase_spaces
        `Generator.phase_spaces`.
    """
    rows: list[tuple[str, ...]] = []
    for name, count in _summed(summaries).items():
        axes = phase_spaces[name].axes if name in phase_spaces else {}
        for variable, number in sorted(count.variables.items(), key=lambda item: -item[1]):
            limits = [f"{limit:.5g}" for limit in axes[variable].limits] if variable in axes else ["", ""]
            rows.append((name, variable, f"{number:,}", f"{number / count.rows:.2e}", *limits))
        if count.outside:
            share = f"{count.outside / count.rows:.2e}"
            rows.append((name, "any", f"{count.outside:,} of {count.rows:,}", share, "", ""))
    return text_table(_OUTSIDE_HEAD, rows, texts=2) if rows else ""


def outside_warnings(summaries: Iterable[Summary]) -> list[str]:
    """Warn of what was outside of the trainings more often than `MOST_OUTSIDE`, over all files."""
    return warnings_of(_summed(summaries))


def warnings_of(outside_counts: Mapping[str, OutsideCount]) -> list[str]:
    """Warn of what was outside of the trainings more often than `MOST_OUTSIDE`, and not by chance."""
    return [
        f"{count.outside / count.rows:.2%} of {name} are outside of the domain of the training, where a "
        "model only guesses: train it on such events, or mark their objects with --flag-domain"
        for name, count in outside_counts.items()
        if count.outside > (most := MOST_OUTSIDE * count.rows) + _CHANCE * math.sqrt(most)
    ]


def number_warning(summaries: Iterable[Summary]) -> str:
    """Warn of inputs that carry the same numbers for different events; empty if none do."""
    return same_numbers({summary.input: summary.sketch for summary in summaries})


def _summed(summaries: Iterable[Summary]) -> dict[str, OutsideCount]:
    total: dict[str, OutsideCount] = {}
    for summary in summaries:
        for name, count in summary.outside_counts.items():
            total[name] = total.get(name, OutsideCount()) + count
    return total


def _row(outcome: Outcome) -> tuple[str, ...]:
    head = (str(outcome.output), status(outcome), str(outcome.attempts))
    summary = outcome.summary
    if summary is None:
        return (*head, "", "", "")
    if summary.reused:
        return (*head, f"{summary.events:,}", "", "")
    rate = summary.events / max(summary.seconds, 1e-9)
    return (*head, f"{summary.events:,}", f"{summary.seconds:.1f}", f"{rate:,.0f}")
