"""What has become of files, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flashsim.events.sketch import same_numbers
from flashsim.text import text_table
from flashsim.transforms.phase_space import OutsideCount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flashsim.generation.campaign import Outcome
    from flashsim.generation.results import Summary
    from flashsim.transforms.phase_space import PhaseSpace

__all__ = ["number_warning", "outside_table", "outside_warnings", "remarks", "sentence", "status", "table"]

MOST_OUTSIDE = 1e-3
"""Share of gen objects outside of a training's phase space from which on there is a warning."""

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
    notes = [
        f"the model of {name} was trained on NanoAOD {trained}, the output is {version}: expect differences"
        for name, trained in summary.trained_on.items()
    ]
    if summary.left_out:
        notes.append(f"left out, as NanoAOD {version} does not have them: {', '.join(summary.left_out)}")
    if summary.stale:
        notes.append(f"not kept, as they are indices into simulated collections: {', '.join(summary.stale)}")
    return notes


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
    """Warn of what was outside of the trainings more often than `MOST_OUTSIDE`."""
    return [
        f"{count.outside / count.rows:.2%} of {name} are outside of the domain of the training, where a "
        "model only guesses: train it on such events, or mark their objects with --flag-domain"
        for name, count in _summed(summaries).items()
        if count.outside > MOST_OUTSIDE * count.rows
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
