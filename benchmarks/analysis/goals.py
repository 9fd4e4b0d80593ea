"""What the analysis is to agree in, and whether it does."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.verdicts import Goal, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FLASH", "JUDGED", "goals"]

FLASH, FAST = "flash", "fast"
JUDGED = ("vbf_hmumu", "dy_mumu", "ttbar")
CLOSE, ERRORS = 0.03, 3.0
WIDTH, BIN, RATE = 0.02, 0.1, 50_000
_PICKED = 0.85
"""Share of a step's events that must be among those that are simulated many times."""


class _Step(NamedTuple):
    name: str
    ratio: float
    error: float
    alone: float
    """Error of one pass."""

    def __str__(self) -> str:
        return f"{self.name} {self.ratio:.3f} ± {self.error:.3f}"

    @property
    def known(self) -> bool:
        """Whether the ratio is known as well as it is to be judged."""
        return 0.0 < self.error <= CLOSE

    @property
    def good(self) -> bool:
        """Whether a difference is small, and one that a single pass would not find."""
        off = abs(self.ratio - 1.0)
        return off <= CLOSE and off <= ERRORS * self.alone


def goals(found: dict[str, Any]) -> list[Goal]:
    """Judge a result of ``python -m benchmarks.analysis``: goals, what was found, whether they are met."""
    return [
        *(
            _cutflow(process, found["agreement"][process][FLASH], found["rare"].get(process))
            for process in JUDGED
            if FLASH in found["agreement"].get(process, {})
        ),
        *_fast(found["agreement"]),
        *_widths(found["agreement"]),
        *_discriminant(found["agreement"]),
        _speed(found["speed"]),
    ]


def _cutflow(process: str, measured: dict[str, Any], rare: dict[str, Any] | None) -> Goal:
    steps = [_step(name, measured, rare) for name in measured["cutflow"]]
    known = [step for step in steps if step.known]
    text = f"{process}: every step within {CLOSE:.0%}, and within {ERRORS:g} errors of one pass"
    if not known:
        return judged(text, "no step is known as well", None)
    bad = [step for step in known if not step.good]
    shown = bad or [max(known, key=lambda step: abs(step.ratio - 1.0))]
    said = f"{len(known) - len(bad)} of {len(known)}; {'beyond' if bad else 'worst'}: "
    said += ", ".join(map(str, shown))
    if unknown := [str(step) for step in steps if not step.known]:
        said += f"; not known as well: {', '.join(unknown)}"
    return judged(text, said, not bad)


def _step(name: str, measured: dict[str, Any], rare: dict[str, Any] | None) -> _Step:
    """Take a step from all events, or from those that were simulated many times where they tell more."""
    ratio, error = measured["cutflow"][name]
    alone = error * math.sqrt(measured["passes"])
    if rare is not None:
        # Regions are of the events of the last step.
        share = rare["picked_share"].get(name, [*rare["picked_share"].values()][-1])
        picked, picked_error = rare["ratio"].get(name, (ratio, math.inf))
        if share >= _PICKED and (error == 0.0 or picked_error < error):
            return _Step(name, picked, picked_error, max(alone, picked_error))
    return _Step(name, ratio, error, alone)


def _fast(agreement: dict[str, Any]) -> Iterator[Goal]:
    """Judge whether the selection could have found a simulation that is not good."""
    signal = agreement.get(JUDGED[0], {})
    if FAST in signal:
        steps = [_step(name, signal[FAST], None) for name in signal[FAST]["cutflow"]]
        off = max((s for s in steps if s.known), key=lambda s: abs(s.ratio - 1.0), default=steps[0])
        yield judged(f"{JUDGED[0]}: the same is not so for the fast detector", str(off), not off.good)


def _widths(agreement: dict[str, Any]) -> Iterator[Goal]:
    width = agreement.get(JUDGED[0], {}).get(FLASH, {}).get("mass_width")
    if width is not None:
        text = f"{JUDGED[0]}: width of the dimuon mass in the signal region within {WIDTH:.0%}"
        yield judged(text, f"{width[0]:.3f} ± {width[1]:.3f}", abs(width[0] - 1.0) <= WIDTH)


def _discriminant(agreement: dict[str, Any]) -> Iterator[Goal]:
    for process, simulations in agreement.items():
        if FLASH not in simulations or (worst := simulations[FLASH]["discriminant"]) is None:
            continue
        text = f"{process}: discriminant within {BIN:.0%} in every bin of more than 200 events"
        said = f"worst {worst['ratio']:.3f} ± {worst['error']:.3f} ({worst['events']} events)"
        yield judged(text, said, abs(worst["ratio"] - 1.0) <= BIN)


def _speed(speed: dict[str, Any]) -> Goal:
    rates = [one["events_per_second"] for one in speed.values()]
    text = f"processor at least {RATE:,} events a second on one core, columns in memory"
    return judged(text, f"{min(rates):,} to {max(rates):,}", min(rates) >= RATE)
