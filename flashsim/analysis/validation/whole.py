"""Whole events of the files: how their objects hang together, and whether that tells them apart."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.analysis.validation.comparison import CANDIDATE, REFERENCE, Section, Topic
from flashsim.analysis.validation.lights import Difference, Found, Row
from flashsim.analysis.whole_events.correlations import compared, correlations_between
from flashsim.analysis.whole_events.joint import joint_quantities
from flashsim.analysis.whole_events.judged import comparable, event_numbers, read_judged_events
from flashsim.analysis.whole_events.verdict import tell_apart_events, tell_apart_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from flashsim.analysis.statistics.classifier import TwoSample
    from flashsim.analysis.validation.recipe import ValidationRecipe
    from flashsim.analysis.whole_events.reading import WholeEvents
    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["NAME", "WholeEventsFound", "judge_whole_events"]

NAME = "events"
"""What the part of the report is called."""

_PARTS = 4


@dataclass(frozen=True)
class WholeEventsFound:
    """What was found of whole events.

    Parameters
    ----------
    sections
        Figures and their lines of the table.
    events
        Events that were read, by role.
    shared
        Share of them that are events of the reference, by role.
    """

    sections: list[Section]
    events: dict[str, int]
    shared: dict[str, float]


def judge_whole_events(
    files: Mapping[str, str],
    declarations: Sequence[ObjectDeclaration],
    recipe: ValidationRecipe,
    tell: Callable[[str, int, int], None],
) -> WholeEventsFound:
    """Compare the events of files, of each the first `ValidationRecipe.joint_events`.

    Parameters
    ----------
    files
        By role.
    declarations
        Objects and events whose branches are looked at, as far as all files have them.
    recipe
        What is looked at.
    tell
        Called with what is done, and how much of how much.

    Raises
    ------
    InputFileError
        If a file cannot be read.
    """
    whole = {
        role: read_judged_events(path, declarations, stop=recipe.joint_events) for role, path in files.items()
    }
    tell(NAME, 1, _PARTS)
    fields, restricted = comparable(declarations, list(whole.values()))
    samples = dict(zip(whole, restricted, strict=True))
    units = event_numbers(samples)
    sections = list(_joint(whole, recipe))
    tell(NAME, 2, _PARTS)
    sections += _correlations(samples, fields, recipe)
    tell(NAME, 3, _PARTS)
    sections += _classifiers(samples, units, fields, recipe)
    tell(NAME, 4, _PARTS)
    own = units[REFERENCE]
    shared = {role: float(np.isin(number, own).mean()) for role, number in units.items() if role != REFERENCE}
    return WholeEventsFound(sections, {role: one.events for role, one in whole.items()}, shared)


def _section(
    topic: Topic,
    title: str,
    data: dict[str, Any],
    differences: Mapping[str, Mapping[str, list[Difference]]],
    recipe: ValidationRecipe,
) -> Section:
    """Make a figure with a line of the table for each quantity, from differences by quantity and role."""
    anchor = re.sub(r"[^a-z0-9]+", "-", f"{NAME} {topic.name} {title}".lower()).strip("-")
    rows = [
        Row(NAME, topic, quantity, anchor, {role: Found.of(d, recipe.lights) for role, d in by_role.items()})
        for quantity, by_role in differences.items()
    ]
    return Section(topic, title, anchor, data, rows)


def _joint(samples: Mapping[str, WholeEvents], recipe: ValidationRecipe) -> Iterator[Section]:
    """Compare joint quantities: relative to the reference, or as they are where that is below 1."""
    measured = {role: joint_quantities(sample) for role, sample in samples.items()}
    reference = measured[REFERENCE]
    names = [name for name in reference if all(name in found for found in measured.values())]
    differences: dict[str, dict[str, list[Difference]]] = {name: {} for name in names}
    for name in names:
        value, error = reference[name]
        scale = max(abs(value), 1.0)
        for role in (role for role in measured if role != REFERENCE):
            other, its_error = measured[role][name]
            gap, its = abs(other - value) / scale, float(np.hypot(error, its_error)) / scale
            differences[name][role] = [Difference("joint", gap, its)]
    if names:
        values = {role: [list(found[name]) for name in names] for role, found in measured.items()}
        data = {"quantities": names, "values": values}
        yield _section(Topic.JOINT, "Objects of an event together", data, differences, recipe)


def _correlations(
    samples: Mapping[str, WholeEvents], fields: Mapping[str, Sequence[str]], recipe: ValidationRecipe
) -> Iterator[Section]:
    blocks = {role: correlations_between(sample, fields) for role, sample in samples.items()}
    found = {
        role: {row["pairs"]: row for row in compared(blocks[REFERENCE], of_role)}
        for role, of_role in blocks.items()
        if role != REFERENCE
    }
    for name, block in blocks[REFERENCE].items():
        if not all(name in rows for rows in found.values()):
            continue
        # Of so many pairs the largest difference is a few errors by chance alone.
        chance = float(np.sqrt(2.0 * np.log(max(block.matrix.size, 2))))
        by_role = {
            role: [
                Difference(
                    "correlation",
                    rows[name]["largest"],
                    rows[name]["error"] / 3.0,
                    chance * rows[name]["error"],
                    " and ".join(rows[name]["where"]),
                )
            ]
            for role, rows in found.items()
        }
        data = {
            "targets": block.columns,
            "rows": block.rows,
            "matrices": {role: of_role[name].matrix.round(4).tolist() for role, of_role in blocks.items()},
        }
        title = f"Correlations, {name}"
        yield _section(Topic.CORRELATIONS, title, data, {f"largest difference, {name}": by_role}, recipe)


def _classifiers(
    samples: Mapping[str, WholeEvents],
    units: Mapping[str, NDArray[np.int64]],
    fields: Mapping[str, Sequence[str]],
    recipe: ValidationRecipe,
) -> Iterator[Section]:
    tests: dict[str, dict[str, TwoSample]] = {}
    for role in (role for role in samples if role != REFERENCE):
        both, numbers = (samples[REFERENCE], samples[role]), (units[REFERENCE], units[role])
        importance, most = role == CANDIDATE, recipe.neighbourhood_objects
        found = tell_apart_objects(*both, numbers, fields, most=most, importance=importance, alone=False)
        found["content of whole events"] = tell_apart_events(*both, numbers, fields, importance=importance)
        for name, test in found.items():
            tests.setdefault(name, {})[role] = test
    others = len(samples) - 1
    for name, by_role in tests.items():
        if len(by_role) == others:
            differences = {
                role: [Difference("auc", max(test.auc - 0.5, 0.0), test.error)]
                for role, test in by_role.items()
            }
            data = {"tests": {role: asdict(test) for role, test in by_role.items()}}
            title = f"Classifier, {name}"
            yield _section(Topic.CLASSIFIER, title, data, {f"classifier, {name}": differences}, recipe)
