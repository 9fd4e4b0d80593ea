"""One self-contained HTML page of a report."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from flashsim.analysis.validation.comparison import CANDIDATE, REFERENCE, Topic
from flashsim.analysis.validation.figures import draw
from flashsim.analysis.validation.lights import LIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from flashsim.analysis.validation.comparison import Section
    from flashsim.analysis.validation.lights import Difference, Found, Light, Row
    from flashsim.analysis.validation.recipe import ValidationRecipe
    from flashsim.analysis.validation.report import ObjectReport, Report

__all__ = ["page"]

_PAGE = Template(Path(__file__).with_name("page.html.txt").read_text(encoding="utf-8"))
_NARROW = {Topic.TAGGING, Topic.CONTOURS, Topic.DISTRIBUTIONS}
_NAMES = {
    "wasserstein": "W1",
    "ks": "KS",
    "auc": "AUC - 0.5",
    "median": "median",
    "width": "width",
    "efficiency": "",
    "unmatched": "",
    "number": "",
    "joint": "",
    "correlation": "",
    "contour": "",
    "tagging": "",
}


def page(report: Report) -> str:
    """HTML page of a report; nothing is loaded from elsewhere."""
    labels = {role: escape(label) for role, label in report.labels.items()}
    return _PAGE.substitute(
        title=f"{labels[CANDIDATE]} against {labels[REFERENCE]}",
        verdict=_verdict(report),
        overview=_overview(report),
        files=_files(report),
        table=_table(report, labels),
        sections="\n".join(_object(part, report.labels) for part in report.objects),
        limits=_limits(report.recipe),
        note=_note(report),
    )


def _verdict(report: Report) -> str:
    counts = [
        f'<span class="light {light}">{number} {light}</span>'
        for light, number in report.lights().items()
        if number
    ]
    return f"{', '.join(counts)} of {len(report.rows)} comparisons."


def _overview(report: Report) -> str:
    """Worst light of each topic and object, with a link to its figures."""
    head = "".join(f"<th>{escape(part.name)}</th>" for part in report.objects)
    lines = []
    for topic in Topic:
        cells = "".join(_worst(part, topic) for part in report.objects)
        lines.append(f"<tr><td>{topic}</td>{cells}</tr>")
    return f'<table id="overview"><tr><th></th>{head}</tr>{"".join(lines)}</table>'


def _worst(part: ObjectReport, topic: Topic) -> str:
    lights = [row.found[CANDIDATE].light for row in part.rows if row.topic == topic]
    if not lights:
        return "<td></td>"
    worst = max(lights, key=LIGHTS.index)
    many = f" ({lights.count(worst)} of {len(lights)})" if len(lights) > 1 else ""
    return f'<td><a class="light {worst}" href="#{_topic_id(part, topic)}">{worst}{many}</a></td>'


def _topic_id(part: ObjectReport, topic: Topic) -> str:
    return f"{part.name}-topic-{topic.name.lower()}"


def _files(report: Report) -> str:
    head = ["", "file", "events", *(f"{part.name}" for part in report.objects), "same gen events"]
    rows = []
    first = report.objects[0]
    for role, path in report.files.items():
        shared = first.shared.get(role)
        rows.append(
            [
                role,
                Path(path).name,
                f"{first.events[role]:,}",
                *(f"{part.objects[role]:,}" for part in report.objects),
                "" if shared is None else f"{100.0 * shared:.3g} %",
            ]
        )
    return _plain(head, rows)


def _table(report: Report, labels: Mapping[str, str]) -> str:
    others = [role for role in report.files if role != REFERENCE]
    head = ["light", "object", "topic", "quantity"]
    for role in others:
        head += [f"{labels[role]} - {labels[REFERENCE]}", "severity"]
    top = "".join(
        f'<th scope="col"{_sorted(number)}><button type="button">{name}</button></th>'
        for number, name in enumerate(head)
    )
    ordered = sorted(report.rows, key=lambda row: -_rank(row.found[CANDIDATE]))
    body = "\n".join(_line(row, others) for row in ordered)
    return f'<table id="lights"><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>'


def _sorted(column: int) -> str:
    """Tell by which column the page is sorted when it opens: lights, the worst first."""
    return ' aria-sort="descending"' if column == 0 else ""


def _rank(found: Found) -> float:
    return -1.0 if found.severity is None else found.severity


def _line(row: Row, others: Sequence[str]) -> str:
    light = row.found[CANDIDATE].light
    cells = [
        _cell(_light(light), f"{_rank(row.found[CANDIDATE]):.4f}"),
        _cell(escape(row.object), escape(row.object)),
        _cell(escape(row.topic), escape(row.topic)),
        _cell(f'<a href="#{row.anchor}">{escape(row.quantity)}</a>', escape(row.quantity)),
    ]
    for role in others:
        found = row.found[role]
        first = next(iter(found.differences.values()), None)
        text = "<br>".join(_words(one) for one in found.differences.values()) or "too few objects"
        cells.append(_cell(text, "-1" if first is None else f"{first.value:.6g}"))
        shown = "" if found.severity is None else f"{found.severity:.2g}"
        cells.append(_cell(f'<span class="{found.light}">{shown}</span>', f"{_rank(found):.4f}"))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(content: str, value: str) -> str:
    return f'<td data-value="{value}">{content}</td>'


def _light(light: Light) -> str:
    return f'<span class="light {light}">{light}</span>'


def _words(one: Difference) -> str:
    """Say a difference in words."""
    floor = f", floor {one.floor:.2g}" if one.floor else ""
    where = f" ({escape(one.where)})" if one.where else ""
    return f"{_NAMES[one.kind]} {one.value:.3g} ± {one.error:.2g}{floor}{where}".strip()


def _object(part: ObjectReport, labels: Mapping[str, str]) -> str:
    found = [f'<h2 id="{part.name}">{escape(part.name)}</h2>']
    if part.left_out:
        found.append(f'<p class="note">Not in all files: {escape(", ".join(part.left_out))}.</p>')
    for topic in Topic:
        sections = [section for section in part.sections if section.topic == topic]
        if sections:
            found.append(f'<h3 id="{_topic_id(part, topic)}">{topic}</h3>')
            found.append(f'<div class="figures">{"".join(_figure(s, labels) for s in sections)}</div>')
    return "\n".join(found)


def _figure(section: Section, labels: Mapping[str, str]) -> str:
    image = b64encode(draw(section.topic, section.data, labels).encode()).decode()
    panels = len(section.data.get("panels", ()))
    wide = ' class="wide"' if section.topic not in _NARROW or panels > 1 else ""
    lights = " ".join(_light(row.found[CANDIDATE].light) for row in section.rows)
    description = section.data.get("description")
    title = escape(section.title) + (f", {escape(description)}" if description else "")
    return (
        f'<figure id="{section.anchor}"{wide}>'
        f'<figcaption>{title} {lights} <a href="#table">table</a></figcaption>'
        f'<img alt="{title}" src="data:image/svg+xml;base64,{image}"></figure>\n'
    )


def _limits(recipe: ValidationRecipe) -> str:
    rows = []
    for name in type(recipe.lights).model_fields:
        limits = recipe.lights.of(name)
        rows.append([limits.description or name, f"{limits.green:g}", f"{limits.amber:g}", limits.unit])
    return _plain(["difference", "green up to", "amber up to", ""], rows)


def _note(report: Report) -> str:
    recipe = report.recipe
    return (
        "Events count alike, whatever their weight. Distances of distributions that are not discrete take "
        "values beyond the reference's outermost 0.1 % for those quantiles. The classifier, gradient-boosted "
        f"trees on the conditioning and all targets of up to {recipe.classified_objects:,} objects of a "
        "sample, is trained and tested on different events; an AUC of 0.5 means that it cannot tell the "
        f"samples apart. Made in {report.seconds:.0f} s by flashsim validate; the numbers are in the JSON "
        "file beside this page."
    )


def _plain(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"
