"""One self-contained HTML page of a result."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from benchmarks.fidelity.figures import FIGURES, svg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["page"]

_PAGE = Template(Path(__file__).with_name("page.html.txt").read_text(encoding="utf-8"))
_VERDICT = {True: ("pass", "reached"), False: ("fail", "missed"), None: ("none", "not measured")}


def page(found: dict[str, Any]) -> str:
    """HTML page of a result of `benchmarks.fidelity.assess`; nothing is loaded from elsewhere."""
    goals = [goal for measured in found["objects"].values() for goal in measured["goals"]]
    passed = [goal["passed"] for goal in goals if goal["passed"] is not None]
    return _PAGE.substitute(
        verdict=f"{sum(passed)} of {len(passed)} goals reached.",
        test=escape(", ".join(found["test"])),
        left_out=escape(found["left_out"] or "none"),
        date=found["date"],
        machine=escape(found["machine"]),
        minutes=f"{found['seconds'] / 60:.0f}",
        command=escape(found["command"]),
        goals=_goals(goals),
        objects="\n".join(_object(name, measured) for name, measured in found["objects"].items()),
    )


def _goals(goals: Iterable[dict[str, Any]]) -> str:
    rows = []
    for goal in goals:
        kind, word = _VERDICT[goal["passed"]]
        cells = "".join(f"<td>{escape(goal[key])}</td>" for key in ("object", "goal", "found"))
        rows.append(f'<tr>{cells}<td class="{kind}">{word}</td></tr>')
    head = "<tr><th>object</th><th>goal</th><th>found</th><th></th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _object(name: str, measured: dict[str, Any]) -> str:
    parts = [f"<h2>{escape(name)}</h2>", _sizes(measured), _agreement(measured)]
    if rows := measured.get("competitors"):
        parts.append(_competitors(measured, rows))
    for title, draw in FIGURES.items():
        if _is_measured(title, measured):
            parts += [f"<h3>{title}</h3>", svg(draw, measured, name), _beside(title, measured)]
    return "\n".join(parts)


def _is_measured(title: str, measured: dict[str, Any]) -> bool:
    """Tell whether there is something to draw: not all objects have tags, nor is a training always known."""
    if title == "Tagging":
        return any(isinstance(v, dict) and v for v in measured.get("tagging", {}).values())
    return title != "Nearest rows of the training" or measured.get("memorisation") is not None


def _sizes(measured: dict[str, Any]) -> str:
    found = ", ".join(f"{name} {count:,}" for name, count in measured["reconstructed"].items())
    networks = ", ".join(f"{n} {count:,}" for n, count in measured["model"]["parameters"].items())
    return (
        f'<p class="note">{measured["gen_objects"]:,} gen objects in {measured["events"]:,} events; '
        f"reconstructed: {found}. Parameters: {networks}.</p>"
    )


def _agreement(measured: dict[str, Any]) -> str:
    """AUC and mean distance of every sample, of held-out and left-out processes."""
    rows = []
    for title, part in (("held out", measured), ("left out", measured.get("left_out"))):
        if part is None:
            continue
        for name, test in part["classifier"].items():
            ratios = [row[name]["ratio"] for row in part["distances"]]
            rows.append(
                (
                    title,
                    name,
                    *(
                        f"{one['auc']:.4f} ± {one['error']:.4f}"
                        for one in (test, part["classifier_of_surroundings"][name])
                    ),
                    f"{sum(ratios) / len(ratios):.2f}",
                    f"{max(ratios):.2f}",
                )
            )
    heads = ("", "sample", "AUC against full", "knowing its surroundings", "mean W1 / floor", "worst")
    return _table(heads, rows)


def _competitors(measured: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    cells = [
        (
            row["name"],
            row["preprocessing"],
            f"{row['parameters']:,}",
            f"{row['rows']:,}" if "rows" in row else "",
            f"{row['auc']:.3f} ± {row['auc_error']:.3f}",
            f"{row['mean_ratio']:.1f}",
            f"{row['worst_ratio']:.1f}",
            f"{row['objects_per_second']:,.0f}",
        )
        for row in rows
    ]
    head = (
        "network",
        "preprocessing",
        "parameters",
        "rows seen",
        "AUC",
        "mean W1 / floor",
        "worst",
        "objects/s",
    )
    note = (
        f"Trained for {measured['competitors_seconds'] / 60:.1f} processor minutes each on the same "
        f"{measured['competitors_train_rows']:,} objects, one after the other (the shipped model as it is); "
        f"judged on {measured['competitors_rows']:,} held-out objects, without efficiency."
    )
    ours = [n for n, row in enumerate(rows) if row["name"].startswith(("flashsim", "shipped"))]
    return (
        f'<h3>Other networks after as many minutes</h3><p class="note">{note}</p>{_table(head, cells, ours)}'
    )


def _beside(title: str, measured: dict[str, Any]) -> str:
    """Table of numbers under a figure."""
    rows: list[tuple[str, ...]]
    match title:
        case "Tagging":
            return _tagging(measured["tagging"])
        case "Numbers per event":
            rows = [
                (
                    what,
                    name,
                    f"{row['mean_first']:.3f}",
                    f"{row['mean_second']:.3f} ± {row['difference_error']:.3f}",
                    f"{row['chi2']:.1f} / {row['ndf']}",
                    f"{row['p_value']:.2g}",
                )
                for what, found in measured["counts"].items()
                for name, row in found.items()
            ]
            return _table(("", "sample", "mean, full", "mean", "chi2 / ndf", "p"), rows)
        case "Correlations":
            names = measured["correlations"]["targets"]
            rows = [
                (
                    name,
                    f"{row['largest']:.3f} ({', '.join(names[i] for i in row['where'])})",
                    f"{row['mean']:.4f}",
                )
                for name, row in measured["correlations"]["differences"].items()
            ]
            return _table(("sample", "largest difference", "mean"), rows)
        case "pT response":
            return _response(measured["response"])
        case _:
            return ""


def _response(rows: list[dict[str, Any]]) -> str:
    """How many slices differ by more than chance."""
    found = []
    for name in ("full_1", "flash", "fast"):
        values = [row[name]["p_value"] for row in rows if name in row]
        if values:
            worst = max((row for row in rows), key=lambda row: row[name]["ks"])
            where = (
                worst["column"]
                if worst["high"] is None
                else f"{worst['column']} {worst['low']:g}-{worst['high']:g}"
            )
            found.append(
                (
                    name,
                    f"{sum(p < 0.01 for p in values)} of {len(values)}",
                    f"{worst[name]['ks']:.3f} ({where})",
                )
            )
    return _table(("sample", "slices with p(KS) < 0.01", "largest KS distance"), found)


def _tagging(tagging: dict[str, Any]) -> str:
    rows = []
    for background, samples in tagging.items():
        if not isinstance(samples, dict):
            continue
        for name, row in samples.items():
            pairs = zip(row["efficiency"], row["error"], strict=True)
            rows.append((background, name, f"{row['area']:.4f}", *(f"{e:.3f} ± {s:.3f}" for e, s in pairs)))
    head = [f"efficiency at {100 * mistag:g} % mistag" for mistag in tagging["mistags"]]
    return _table(("against", "sample", "area", *head), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], marked: Sequence[int] = ()) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [f"<tr>{top}</tr>"]
    for number, row in enumerate(rows):
        kind = ' class="ours"' if number in marked else ""
        lines.append(f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>")
    return f"<table>{''.join(lines)}</table>"
