"""What the measurements have to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.verdicts import Goal, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["goals"]


def goals(found: dict[str, Any]) -> list[Goal]:
    """Judge a result of ``python -m benchmarks.speed``; parts that were not measured have no goals."""
    return [
        *(goal for name, part in found.get("sampling", {}).items() for goal in _sampling(name, part)),
        *(_generation(found["generation"]) if "generation" in found else ()),
        *(
            _at_least(f"training step of {name}, times nflows", rows["flashsim"]["times_nflows"], 1.5)
            for name, rows in found.get("training", {}).items()
        ),
        *(_growth(found["growth"]) if "growth" in found else ()),
        *(_against(found["against"]) if "against" in found else ()),
    ]


def _sampling(name: str, part: dict[str, Any]) -> Iterator[Goal]:
    ratios = {row["name"]: row["ratio"] for row in part["rows"] if row["name"] != "flashsim"}
    yield _at_least(f"sampler of {name}, times nflows' own inverse", ratios["nflows MAF"], 40.0)
    yield _at_least(f"sampler of {name}, times the prototype", ratios["prototype"], 100.0)
    closest = min(ratios, key=ratios.__getitem__)
    yield _at_least(f"sampler of {name}, times the fastest other ({closest})", ratios[closest], 1.0)
    products = part["products"]
    yield _at_least(f"sampler of {name}, share of the rate of its products", products["share"], 0.5)
    yield _at_least(
        f"sampler of {name}, share of the rate of large products", products["share_of_large"], 0.6
    )


def _generation(part: dict[str, Any]) -> Iterator[Goal]:
    yield _at_least("simulation, times the rate of Pythia 8 for the same events", part["times_pythia"], 10.0)
    yield _at_least("share of sampling in the time of a generation", part["shares"]["sampling"], 0.5)


def _growth(part: dict[str, Any]) -> Iterator[Goal]:
    by_size = {row["events"]: row for row in part["events"]}
    largest, base = max(by_size), sorted(by_size)[min(1, len(by_size) - 1)]
    memory = by_size[largest]["memory_mb"] / by_size[base]["memory_mb"]
    text = f"peak memory of {largest:,} events over that of {base:,}"
    yield judged(f"{text}, at most 1.1", f"{memory:.2f}", memory <= 1.1)
    for size, change in part["linear"].items():
        text = f"time of an event up to {size}, change at most 10 %"
        yield judged(text, f"{100.0 * change:+.1f} %", abs(change) <= 0.1)
    yield _at_least("two workers, times one", part["speed_up"]["without start"], 1.8)


def _against(part: dict[str, Any]) -> Iterator[Goal]:
    text = "time of an event over that of the other checkout, at most 1.5"
    # Times of few events, less the start, can come out below zero.
    yield judged(text, f"{part['ratio']:.2f}", 0.0 < part["ratio"] <= 1.5)


def _at_least(text: str, found: float, least: float) -> Goal:
    return judged(f"{text}, at least {least:g}", f"{found:.2f}", found >= least)
