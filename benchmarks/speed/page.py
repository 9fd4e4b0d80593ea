"""The page of the documentation: goals, tables, and where the limit is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.machine import made_on
from benchmarks.markdown import table
from benchmarks.verdicts import goal_table
from flashsim.declarations.objects import load_object

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["render"]


def render(found: dict[str, Any]) -> str:
    """Markdown page of a result of ``python -m benchmarks.speed``."""
    lines = [
        "# Performance",
        "",
        *made_on(found["command"], found["machine"]),
        f"The run took {found['seconds'] / 60.0:.0f} minutes.",
        "Things that are compared took turns; numbers are medians, ± half of the central 68 % of repeats.",
        "Rates of one thread are by processor time, which on an idle machine is that of the clock.",
        "",
        *goal_table(found["goals"]),
    ]
    parts = {
        "sampling": _sampling,
        "generation": _generation,
        "training": _training,
        "growth": _growth,
        "against": _against,
    }
    for name, section in parts.items():
        if name in found:
            lines += ["", *section(found[name])]
    if {"sampling", "generation"} <= found.keys():
        lines += ["", *_limit(found)]
    return "\n".join(lines) + "\n"


def _sampling(part: dict[str, Any]) -> Iterator[str]:
    yield "## Sampling"
    yield ""
    yield "From noise and conditioning to variables on one thread; the others have random weights."
    for name, found in part.items():
        products, difference = found["products"], found["difference"]
        yield ""
        yield f"**{name}**"
        yield ""
        yield from table(
            ("network", "", "parameters", "objects/s", "times slower"),
            (
                (
                    row["name"],
                    row["what"],
                    f"{row['parameters']:,}",
                    _with_spread(row["per_second"], row["spread"], "{:,.0f}"),
                    "" if row["name"] == "flashsim" else _with_spread(row["ratio"], row["ratio_spread"]),
                )
                for row in found["rows"]
            ),
        )
        share, of_large = (
            _with_spread(100.0 * products[name], products[f"{name}_spread"], "{:.0f}")
            for name in ("share", "share_of_large")
        )
        yield ""
        yield (
            f"The sampler works at {products['sampler_gflops']:.0f} GFLOP/s, "
            f"{share} % "
            f"of what torch reaches with the products of the same shapes and nothing else "
            f"({products['products_gflops']:.0f}), and "
            f"{of_large} % of the rate of "
            f"large square ones ({products['large_gflops']:.0f}). Its machine code works on vectors of "
            f"{found['vector_bits']} bits."
        )
        yield (
            f"Largest difference from inverting variable by variable: {difference['float32']:.1g} in single "
            f"precision, {difference['float64']:.1g} in double. Rounding alone: in single precision that "
            f"inverse is {difference['plain_from_double']:.1g} off its own values in double, the sampler "
            f"{difference['float32_from_double']:.1g}."
        )


def _generation(part: dict[str, Any]) -> Iterator[str]:
    from benchmarks.speed.stages import STAGES  # noqa: PLC0415  # imports the package

    objects = ", ".join(f"{number:.1f} {name}" for name, number in part["objects_per_event"].items())
    yield "## Generation"
    yield ""
    yield f"`flashsim generate` of {part['events']:,} events of `{part['process']}` on one core, {objects}"
    yield "each; Pythia 8 makes such events with multiparton interactions, without gen jets and writing."
    yield ""
    yield from table(
        ("", "events/s", "times slower"),
        (
            (
                "flashsim generate",
                _with_spread(part["flashsim"]["per_second"], part["flashsim"]["spread"], "{:,.0f}"),
                "",
            ),
            (
                "Pythia 8",
                _with_spread(part["pythia"]["per_second"], part["pythia"]["spread"], "{:,.0f}"),
                _with_spread(part["times_pythia"], part["times_pythia_spread"]),
            ),
        ),
    )
    yield ""
    yield from table(
        ("stage", "", "µs an event", "share"),
        (
            (
                stage,
                what,
                f"{part['microseconds_per_event'][stage]:.0f}",
                f"{100.0 * part['shares'][stage]:.0f} %",
            )
            for stage, what in STAGES.items()
        ),
    )


def _training(part: dict[str, Any]) -> Iterator[str]:
    yield "## Training"
    yield ""
    yield "Rows a second of a step (log-density, its gradient, AdamW) on one thread."
    yield ""
    yield from table(
        ("object", "flow", "rows/s", "times nflows"),
        (
            (
                name,
                "nflows, same size" if flow == "nflows" else flow,
                _with_spread(row["per_second"], row["spread"], "{:,.0f}"),
                _with_spread(row["times_nflows"], row["ratio_spread"], "{:.2f}"),
            )
            for name, rows in part.items()
            for flow, row in rows.items()
        ),
    )


def _growth(part: dict[str, Any]) -> Iterator[str]:
    yield "## Growth"
    yield ""
    yield "The whole command, with the start of Python and its imports; one thread a process."
    yield ""
    folds, speed_up = part["folds"], part["speed_up"]
    runs = [
        *((f"{run['events']:,} events", run) for run in part["events"]),
        (f"{folds['events']:,} events, {folds['folds']} folds", folds),
        *(
            (f"{run['events']:,} events, {run['workers']} worker{'s'[: run['workers'] - 1]}", run)
            for run in part["workers"]
        ),
    ]
    yield from table(
        ("", "seconds", "processor seconds", "peak memory, MB"),
        (
            (
                what,
                f"{run['seconds']:.1f}",
                f"{run['cpu']:.1f}" if run.get("workers", 1) == 1 else "",
                f"{run['memory_mb']:,.0f}",
            )
            for what, run in runs
        ),
    )
    yield ""
    yield (
        f"Two workers are {speed_up['all']:.2f} times as fast as one, {speed_up['without start']:.2f} times "
        "without the start; two processes that only multiply matrices, in the same run, "
        f"{part['limit']:.2f} times. Memory of several processes is a sum that counts shared pages in each."
    )


def _against(part: dict[str, Any]) -> Iterator[str]:
    commits, times, spreads = part["commits"], part["microseconds"], part["spread"]
    yield "## Against another version"
    yield ""
    yield f"`flashsim generate` of {part['events']:,} events, the same for both, each with its own code and"
    yield "the models that it ships, in turns; processor time of an event on one core, without the start."
    yield ""
    yield from table(
        ("", "commit", "µs an event", "times the other"),
        (
            (
                f"{name} checkout",
                commits[name],
                _with_spread(times[name], spreads[name], "{:.0f}"),
                _with_spread(part["ratio"], part["ratio_spread"], "{:.2f}") if name == "this" else "",
            )
            for name in ("this", "other")
        ),
    )


def _limit(found: dict[str, Any]) -> Iterator[str]:
    """Say what an event costs at least, and where the rest goes."""
    generation, sampling = found["generation"], found["sampling"]
    least = 0.0
    yield "## Where the limit is"
    yield ""
    yield "An object costs the floating-point operations of its flow's products, each done once:"
    yield ""
    counts = {name: generation["objects_per_event"][load_object(name).collection] for name in sampling}
    for name, part in sampling.items():
        products = part["products"]
        microseconds = 1e-3 * products["operations_per_object"] / products["large_gflops"]
        least += counts[name] * microseconds
        yield (
            f"- {name}: {1e-6 * products['operations_per_object']:.2f} MFLOP, {microseconds:.0f} µs at the "
            f"rate of large products; {1e6 / part['rows'][0]['per_second']:.0f} µs are needed."
        )
    total = sum(generation["microseconds_per_event"].values())
    size = generation["bytes_per_event"]
    yield ""
    yield (
        f"So the products of the {' and '.join(sampling)} of an event of {generation['process']} need "
        f"{least:.0f} µs, "
        f"{100 * least / total:.0f} % of the {total:.0f} µs that it takes. "
        "Besides products the sampler evaluates splines, one for each "
        "variable in each layer, and activations, which no faster product would change; the networks of "
        "efficiencies and unmatched objects come on top. The table of stages shows all else: an event is "
        f"{size['input']:,.0f} bytes in the input and {size['output']:,.0f} in the output, compressed, which "
        "are decoded and encoded branch by branch, and values are brought from normal numbers to those "
        "that NanoAOD stores. A faster generation of the same models would need fewer operations an object, "
        "that is smaller networks, before anything else."
    )


def _with_spread(value: float, relative: float, shape: str = "{:.1f}") -> str:
    return f"{shape.format(value)} ± {shape.format(value * relative)}"
