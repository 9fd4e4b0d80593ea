"""The whole report: files in, HTML page and JSON out."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim.analysis.validation.comparison import CANDIDATE, REFERENCE, THIRD, Comparison
from flashsim.analysis.validation.lights import LIGHTS
from flashsim.analysis.validation.recipe import load_validation
from flashsim.analysis.validation.samples import common_columns, read_sample
from flashsim.errors import InputFileError, OutputFileError
from flashsim.execution.extras import needs_extra
from flashsim.execution.locks import sole_writer
from flashsim.execution.whole_files import disk_errors, refuse_existing, require_parent, unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flashsim.analysis.validation.comparison import Section
    from flashsim.analysis.validation.lights import Light, Row
    from flashsim.analysis.validation.recipe import ValidationRecipe
    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["SCHEMA_VERSION", "ObjectReport", "Report", "validate"]

SCHEMA_VERSION = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObjectReport:
    """All comparisons of one object.

    Parameters
    ----------
    name, collection
        Of the object.
    sections
        Figures and their lines of the table, in the order of the page.
    objects
        Reconstructed objects by role of the sample.
    events, shared
        Events by role, and the share of them that are gen events of the reference.
    left_out
        Targets and conditioning variables that a file lacks.
    """

    name: str
    collection: str
    sections: list[Section]
    objects: dict[str, int]
    events: dict[str, int]
    shared: dict[str, float]
    left_out: list[str]

    @property
    def rows(self) -> list[Row]:
        """Lines of the table."""
        return [row for section in self.sections for row in section.rows]


@dataclass(frozen=True)
class Report:
    """A validation.

    Parameters
    ----------
    files
        By role; the first is the reference.
    objects
        What was found of each object.
    recipe
        What was looked at.
    seconds
        How long it took.
    absent
        Objects that not all files have, and that are left out.
    """

    files: dict[str, str]
    objects: list[ObjectReport]
    recipe: ValidationRecipe
    seconds: float
    absent: Sequence[str] = ()

    @property
    def rows(self) -> list[Row]:
        """Lines of the table, of all objects."""
        return [row for part in self.objects for row in part.rows]

    @property
    def labels(self) -> dict[str, str]:
        """Names of the samples in figures: those of the files, or roles where these are alike."""
        stems = {role: Path(path).stem for role, path in self.files.items()}
        return stems if len(set(stems.values())) == len(stems) else {role: role for role in stems}

    def lights(self, role: str = CANDIDATE) -> dict[Light, int]:
        """Count the lights of a sample."""
        count = Counter(row.found[role].light for row in self.rows)
        return {light: count[light] for light in reversed(LIGHTS)}

    def is_above(self, light: Light) -> bool:
        """Whether the candidate has a light that is worse."""
        return any(LIGHTS.index(row.found[CANDIDATE].light) > LIGHTS.index(light) for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "schema_version": SCHEMA_VERSION,
            "flashsim": version("flashsim"),
            "date": datetime.now(UTC).date().isoformat(),
            "seconds": round(self.seconds, 1),
            "files": {role: Path(path).name for role, path in self.files.items()},
            "lights": {role: self.lights(role) for role in self.files if role != REFERENCE},
            "recipe": self.recipe.model_dump(),
            "table": [row.as_json() for row in self.rows],
            "objects": {
                part.name: {
                    "collection": part.collection,
                    "events": part.events,
                    "shared_gen_events": part.shared,
                    "reconstructed": part.objects,
                    "left_out": part.left_out,
                    "figures": {
                        section.anchor: {"topic": section.topic, "title": section.title, **section.data}
                        for section in part.sections
                    },
                }
                for part in self.objects
            },
        }


def validate(
    reference: str,
    candidate: str,
    declarations: Sequence[ObjectDeclaration],
    output: Path,
    *,
    third: str | None = None,
    whole: Sequence[ObjectDeclaration] = (),
    recipe: ValidationRecipe | None = None,
    force: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Compare the objects of files and write the report, see `flashsim.interface.analysis.validate`.

    Parameters
    ----------
    reference, candidate, declarations, output, third, recipe, force
        As there.
    whole
        Declarations of objects and events that are judged together; none: whole events are not.
    progress
        Called with what is done, and how much of how much.
    """
    started = time.monotonic()
    _check_output(output, force=force)
    with needs_extra("analysis", "the classifier test"):  # before any work
        import sklearn  # noqa: F401, PLC0415
    files = {REFERENCE: str(reference), CANDIDATE: str(candidate)}
    files |= {} if third is None else {THIRD: str(third)}
    recipe = recipe or load_validation()
    tell = progress or (lambda *_: None)
    objects = [_compare(files, declaration, recipe, tell) for declaration in declarations]
    if whole:
        objects.append(_compare_events(files, whole, recipe, tell))
    report = Report(files, objects, recipe, time.monotonic() - started)
    _write(report, output, force=force)
    return report


def _compare(
    files: Mapping[str, str],
    declaration: ObjectDeclaration,
    recipe: ValidationRecipe,
    tell: Callable[[str, int, int], None],
) -> ObjectReport:
    # Only here, so that a mistake in the files shows before scikit-learn and scipy are imported.
    from flashsim.analysis.validation import distributions, multivariate, reconstruction  # noqa: PLC0415

    selected = common_columns(declaration, list(files.values()))
    if not selected.targets:
        msg = f"{files[CANDIDATE]}: has no target of {declaration.name} that the reference has, too"
        raise InputFileError(msg)
    samples = {
        role: read_sample(path, selected, progress=partial(tell, f"{declaration.name}, {role}"))
        for role, path in files.items()
    }
    comparison = Comparison.of(selected, recipe, samples)
    parts = (
        multivariate.classifier,
        reconstruction.efficiencies,
        reconstruction.unmatched,
        reconstruction.numbers,
        reconstruction.response,
        multivariate.tagging,
        multivariate.correlations,
        multivariate.contours,
        distributions.distributions,
    )
    sections: list[Section] = []
    for number, part in enumerate(parts):
        started = time.monotonic()
        sections.extend(part(comparison))
        _log.info("%s: %s in %.1f s", declaration.name, part.__name__, time.monotonic() - started)
        tell(f"{declaration.name}, comparisons", number + 1, len(parts))
    return ObjectReport(
        name=declaration.name,
        collection=declaration.collection,
        sections=sections,
        objects={role: len(sample.reco_event) for role, sample in samples.items()},
        events={role: len(sample.events) for role, sample in samples.items()},
        shared=comparison.shared(),
        left_out=selected.left_out,
    )


def _compare_events(
    files: Mapping[str, str],
    declarations: Sequence[ObjectDeclaration],
    recipe: ValidationRecipe,
    tell: Callable[[str, int, int], None],
) -> ObjectReport:
    from flashsim.analysis.validation import whole  # noqa: PLC0415  # scikit-learn, as above

    started = time.monotonic()
    found = whole.judge_whole_events(files, declarations, recipe, tell)
    _log.info("%s in %.1f s", whole.NAME, time.monotonic() - started)
    return ObjectReport(
        name=whole.NAME,
        collection="Event",
        sections=found.sections,
        objects=found.events,
        events=found.events,
        shared=found.shared,
        left_out=[],
    )


def _check_output(output: Path, *, force: bool) -> None:
    if output.suffix != ".html":
        msg = f"{output}: the report is a page, expected a name that ends with .html"
        raise OutputFileError(msg)
    require_parent(output)
    for path in (output, output.with_suffix(".json")):
        refuse_existing(path, force=force)


def _write(report: Report, output: Path, *, force: bool) -> None:
    """Write both files under other names first: a report is whole or not there."""
    from flashsim.analysis.validation.page import page  # noqa: PLC0415  # matplotlib

    numbers = output.with_suffix(".json")
    with (
        sole_writer(output),
        disk_errors(output),
        unfinished(output) as html,
        unfinished(numbers) as json_file,
    ):
        _check_output(output, force=force)  # another process may have been quicker
        json_file.write_text(json.dumps(report.as_json(), allow_nan=False) + "\n", encoding="utf-8")
        html.write_text(page(report), encoding="utf-8")
