"""Descriptions of files, as text for people."""

from __future__ import annotations

import io
import re
import shutil
from typing import TYPE_CHECKING, Any

from rich import box
from rich.columns import Columns
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["render"]

_WIDEST = 40
"""Longest text, in characters, that a table does not wrap."""


def render(description: Mapping[str, Any]) -> str:
    """Lay out what `flashsim.interface.inspection.inspect` found, in lines as wide as the terminal."""
    width = max(80, min(140, shutil.get_terminal_size((100, 24)).columns))
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    if description["kind"] == "model":
        _print_model(console, description)
    else:
        _print_nanoaod(console, description)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # the StringIO of above
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines)


def _print_model(console: Console, d: Mapping[str, Any]) -> None:
    _print(console, f"{d['file']}: model of {d['object']}, NanoAOD {d['nanoaod_version']}")
    networks = ", ".join(f"{name} {count:,}" for name, count in d["networks"].items())
    _facts(
        console,
        {
            "simulates": f"{d['collection']}, from {d['gen']}",
            "networks": f"{d['parameters']:,} parameters: {networks}",
            "size": f"{d['size'] / 1e6:.2f} MB, format version {d['format_version']}",
            "sha256": d["sha256"],
        },
    )
    if d["refused"] is not None:
        _print(console, f"cannot generate: {d['refused']}", 2)
    _heading(console, f"Simulated ({len(d['targets'])})")
    targets = ((t["branch"], t["relation"], t["allowed"], t["description"]) for t in d["targets"])
    _columns(console, ("branch", "relation", "values", ""), targets)
    _heading(console, f"Follows from it ({len(d['derived'])})")
    _columns(console, ("branch", ""), ((e["branch"], e["description"]) for e in d["derived"]))
    for title, entries in (
        ("Conditioning", d["conditioning"]),
        *((f"Conditioning of the unmatched: {_source(s)}", s["conditioning"]) for s in d["unmatched"]),
        ("Conditioning of the unmatched at their places", d["placed"]["conditioning"] if d["placed"] else []),
    ):
        if not entries:
            continue
        _heading(console, f"{title} ({sum(len(entry['columns']) for entry in entries)} columns)")
        rows = ((e["name"], e["kind"], str(len(e["columns"])), e["description"]) for e in entries)
        _columns(console, ("name", "kind", "columns", ""), rows)
    _print_domain(console, "Domain of the training", d["domain"])
    for source in d["unmatched"]:
        _print_domain(console, f"Domain of the unmatched: {_source(source)}", source["domain"])
    if d["placed"]:
        _print_domain(console, "Domain of the unmatched at their places", d["placed"]["domain"])
    _print_training(console, d["provenance"])


def _source(source: Mapping[str, Any]) -> str:
    """Name a source of unmatched objects, and what its objects are."""
    name: str = source["name"]
    return name if name == source["source"] else f"{name}, from {source['source']}"


def _print_domain(console: Console, title: str, domain: Mapping[str, Any] | None) -> None:
    if domain is None:
        _heading(console, title)
        _print(console, "not known: generation cannot count what is outside; retrain the model", 2)
        return
    _heading(
        console, f"{title} ({domain['rows']:,} rows, density of {len(domain['pairs'])} pairs of columns)"
    )
    shown = [domain["probabilities"].index(p) for p in (0.0, 0.01, 0.5, 0.99, 1.0)]
    rows = (
        (name, *(f"{quantiles[k]:.5g}" for k in shown)) for name, quantiles in domain["quantiles"].items()
    )
    _columns(console, ("column", "smallest", "1 %", "median", "99 %", "largest"), rows)


def _print_training(console: Console, provenance: Mapping[str, Any]) -> None:
    _heading(console, "Training")
    kinds = ("events", "gen_objects", "reconstructed")
    counted = {name: provenance[name] for name in kinds if name in provenance}
    counted |= {f"unmatched, {name}": rows for name, rows in provenance.get("unmatched", {}).items()}
    if counted:
        rows = [(name, *(f"{n:,}" for n in by_split.values())) for name, by_split in counted.items()]
        _columns(console, ("rows", *next(iter(counted.values()))), rows)
    losses = [
        (
            name,
            f"{loss['train']:.3f}",
            f"{loss['validation']:.3f}",
            f"{loss['best_epoch'] + 1} of {loss['epochs']}",
        )
        for name, loss in provenance.get("losses", {}).items()
    ]
    if losses:
        _columns(console, ("network", "train loss", "validation loss", "epoch"), losses)
    packages = provenance.get("packages", {})
    facts = {
        "files": ", ".join(provenance.get("files", [])),
        "date": provenance.get("date", ""),
        "wall time": f"{provenance['wall_time_s']:,.0f} s" if "wall_time_s" in provenance else "",
        "made with": ", ".join(f"{name} {version}" for name, version in packages.items()),
    }
    _facts(console, {name: text for name, text in facts.items() if text})


def _print_nanoaod(console: Console, d: Mapping[str, Any]) -> None:
    _print(
        console, f"{d['file']}: {d['events']:,} events of NanoAOD {d['nanoaod_version']} ({d['container']})"
    )
    facts = {
        "branches": f"{d['branches']:,}, {d['event_branches']:,} with one value per event",
        "other trees": ", ".join(d["trees"]) or "none that can be copied",
    }
    if d["version_marks"]:
        facts["version told by"] = _some(d["version_marks"])
    if d["version_doubt"]:
        facts["version in doubt"] = f"{d['version_doubt']}; --nano-version of generate names another"
    if unreadable := d["unreadable_branches"]:
        facts["unreadable"] = _some(unreadable)
    _facts(console, facts)
    if d["flashsim"] is not None:
        _print_provenance(console, d["flashsim"])
    for name, use in d["objects"].items():
        _print_use(console, name, use)
    _heading(console, "flashsim generate")
    if (output := d["output"]) is None:
        _print(console, "refuses this file: see above what it lacks", 2)
    else:
        source = (
            "with the shipped models" if output["shipped_models"] else "as declared; no models are shipped"
        )
        _facts(
            console,
            {
                "writes": f"NanoAOD {output['nanoaod_version']}, {source}"
                + (", given --pileup PROFILE" if output["needs_pileup"] else ""),
                **_origins(output["origins"]),
                "left out": f"{output['left_out']} of the input's branches; --keep PATTERN keeps some",
            },
        )
    _heading(console, f"Collections ({len(d['collections'])}), with their numbers of branches")
    counts = [f"{name} {count}" for name, count in d["collections"].items()]
    console.print(Padding(Columns(counts, padding=(0, 2), equal=True, column_first=True), (0, 0, 0, 2)))


def _print_provenance(console: Console, made: Mapping[str, Any]) -> None:
    _heading(console, "Made by FlashSim")
    models = made.get("models", {})
    _facts(
        console,
        {
            "version": made.get("flashsim", ""),
            "command": made.get("command", ""),
            "input": made.get("input", ""),
            "seed": str(made.get("seed", "")),
            "models": ", ".join(f"{name} {model['sha256'][:12]}" for name, model in models.items()),
            **_origins(made.get("origins", {})),
        },
    )


def _origins(found: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, str]:
    """Say how many branches of each collection come from where; single ones are counted together."""
    texts = {}
    for origin, groups in found.items():
        several = [f"{name} {len(branches)}" for name, branches in groups.items() if list(branches) != [name]]
        single = len(groups) - len(several)
        texts[origin] = ", ".join([*several, *([f"{single} others"] if single else [])])
    return {origin: text for origin, text in texts.items() if text}


def _print_use(console: Console, name: str, use: Mapping[str, Any]) -> None:
    _heading(console, f"{name} ({use['collection']})")
    gen, both = use["generate"]["missing"], use["preprocess"]["missing"]
    reco = [branch for branch in both if branch not in gen]
    answers = {"generate": f"no, lacks {', '.join(gen)}" if gen else _with_pileup(use["generate"])}
    if both:
        same = ["the same branches"] if gen else []
        answers["preprocess"] = f"no, lacks {' and '.join([*same, *([', '.join(reco)] if reco else [])])}"
    else:
        answers |= {"preprocess": "yes", "targets": _targets(use["missing_targets"])}
    _facts(console, answers)


def _with_pileup(generate: Mapping[str, Any]) -> str:
    if not generate["drawn"]:
        return "yes"
    names = ", ".join(generate["drawn"])
    return f"yes, with --pileup PROFILE: lacks {names}" if generate["needs_pileup"] else f"yes, draws {names}"


def _targets(missing: Sequence[str]) -> str:
    return "all there" if not missing else f"lacks {', '.join(missing)}; training leaves them out"


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _heading(console: Console, text: str) -> None:
    console.print()
    _print(console, text)


def _print(console: Console, text: str, indent: int = 0) -> None:
    # Text and not a string: branch names and paths may look like markup.
    console.print(Padding(Text(text), (0, 0, 0, indent)))


def _facts(console: Console, facts: Mapping[str, str]) -> None:
    _columns(console, (), facts.items())


def _columns(console: Console, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=box.SIMPLE_HEAD if header else None, show_header=bool(header), pad_edge=False)
    cells = [[Text(cell) for cell in row] for row in rows]
    for position in range(len(cells[0]) if cells else 0):
        # Names and numbers are for copying and do not wrap: only the last column does, and long expressions.
        last = position == len(cells[0]) - 1
        long = not last and max(len(row[position]) for row in cells) > _WIDEST
        table.add_column(
            header[position] if header else "",
            overflow="fold",
            no_wrap=not (last or long),
            max_width=_WIDEST if long else None,
        )
    for row in cells:
        table.add_row(*row)
    console.print(Padding(table, (0, 0, 0, 2)))
