"""What has become of files, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flashsim.generation.campaign import Outcome
    from flashsim.generation.results import Summary

__all__ = ["remarks", "sentence", "status", "table"]

_HEAD = ("output", "status", "attempts", "events", "seconds", "events/s")


def sentence(summary: Summary) -> str:
    """Tell what was generated."""
    if summary.reused:
        return f"{summary.output}: {summary.events} events of NanoAOD {summary.version}, finished before"
    counts = ", ".join(f"{number} {name}" for name, number in summary.objects.items())
    rate = summary.events / max(summary.seconds, 1e-9)
    return (
        f"{summary.output}: {summary.events} events of NanoAOD {summary.version}, {counts}, "
        f"in {summary.seconds:.1f} s ({rate:,.0f} events/s)"
    )


def remarks(summary: Summary) -> list[str]:
    """Tell what a user may not expect of an output."""
    version = summary.version
    notes = [
        f"the model of {name} was trained on NanoAOD {trained}, the output is {version}: expect differences"
        for name, trained in summary.trained_on.items()
    ]
    if summary.left_out:
        notes.append(f"NanoAOD {version} does not have, so left out: {', '.join(summary.left_out)}")
    if summary.stale:
        notes.append(f"not kept, as they index objects that are simulated anew: {', '.join(summary.stale)}")
    return notes


def status(outcome: Outcome) -> str:
    """Tell in a word or two what has become of a file."""
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
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD))]
    lines = (
        "  ".join(
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (_HEAD, *rows)
    )
    return "\n".join(lines)


def _row(outcome: Outcome) -> tuple[str, ...]:
    head = (str(outcome.output), status(outcome), str(outcome.attempts))
    summary = outcome.summary
    if summary is None:
        return (*head, "", "", "")
    if summary.reused:
        return (*head, f"{summary.events:,}", "", "")
    rate = summary.events / max(summary.seconds, 1e-9)
    return (*head, f"{summary.events:,}", f"{summary.seconds:.1f}", f"{rate:,.0f}")
