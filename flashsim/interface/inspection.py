"""What a model file or a NanoAOD file holds, and what it can be used for.

What a file lacks for generation and for preprocessing is asked of the stages that would need it.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from flashsim.declarations.objects import ObjectDeclaration, load_object
from flashsim.declarations.optional import for_file
from flashsim.declarations.output import load_output
from flashsim.declarations.recipes import read_yaml, recipe_folder
from flashsim.declarations.trigger import load_trigger
from flashsim.errors import InputFileError, RecipeError
from flashsim.events.gen_chunk import gen_branches
from flashsim.events.noise import EVENT_IDS
from flashsim.events.pileup import PILEUP
from flashsim.generation.pileup import choose_pileup
from flashsim.generation.plan import plan_output
from flashsim.models.object_model import ObjectModel, declaration_of, read_header
from flashsim.models.shipped import shipped_models
from flashsim.nanoaod.inputs import opening
from flashsim.nanoaod.provenance import GENERATION, read_provenance
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.versions import VERSIONS, describe_version, detect_version
from flashsim.preprocessing.preprocess import needed_branches
from flashsim.transforms.phase_space import PROBABILITIES

if TYPE_CHECKING:
    from flashsim.declarations.objects import Target
    from flashsim.transforms.phase_space import PhaseSpace

__all__ = ["inspect", "shipped_objects"]

"""Stands for the profile that a user would name."""

_OPEN = 1e9
"""Ranges that end here or later have no upper end; recipes cannot write infinity in JSON."""


def shipped_objects(per: Literal["object", "event"] | None = None) -> list[ObjectDeclaration]:
    """Load the declarations of what is shipped, or of that per object or event, by the names of their files.

    Raises
    ------
    RecipeError
        If a shipped recipe is not valid.
    """
    paths = sorted(recipe_folder("preprocessing").glob("*.yaml"))
    # Beside the objects stand recipes that objects share; those simulate nothing.
    declared = [load_object(path.name) for path in paths if "targets" in read_yaml(path)]
    return [declaration for declaration in declared if per in {None, declaration.per}]


def inspect(file: str | Path) -> dict[str, Any]:
    """Find out what a model file or a NanoAOD file holds, and what it can be used for.

    Parameters
    ----------
    file
        Path, or for NanoAOD also a URL.

    Returns
    -------
    dict
        JSON content; ``kind`` is ``"model"`` or ``"nanoaod"``.

    Raises
    ------
    InputFileError
        If the file is neither, or cannot be read.
    ModelFileError
        If it is a model file that is damaged or of another format version.
    """
    file = str(file)
    if "://" in file:
        return _describe_nanoaod(file)
    start = _start(Path(file))
    if start[:4] == b"root":
        return _describe_nanoaod(file)
    if start[8:9] == b"{":  # safetensors: the header's length in eight bytes, then JSON
        return _describe_model(Path(file))
    msg = f"{file}: is neither a NanoAOD file nor a model file; expected a ROOT file or *.safetensors"
    raise InputFileError(msg)


def _start(path: Path) -> bytes:
    with opening(path), path.open("rb") as file:
        return file.read(9)


def _describe_model(path: Path) -> dict[str, Any]:
    model = ObjectModel.load(path)
    declaration = model.declaration
    parameters = model.parameters()
    return {
        "file": str(path),
        "kind": "model",
        "size": path.stat().st_size,
        "sha256": model.digest,
        "format_version": read_header(path)["format_version"],
        "object": declaration.name,
        "collection": declaration.collection,
        "gen": declaration.gen,
        "nanoaod_version": model.nanoaod_version,
        "targets": [_describe_target(declaration, target) for target in declaration.targets],
        "derived": [
            {"branch": declaration.branch(derived.branch), "description": derived.description}
            for derived in declaration.derived
        ],
        "conditioning": [_describe_conditioning(entry) for entry in declaration.conditioning],
        "domain": _describe_phase_space(model.phase_space),
        "unmatched": [
            {
                "name": source.name,
                "source": source.source,
                "conditioning": [_describe_conditioning(entry) for entry in source.conditioning],
                "domain": _describe_phase_space(model.unmatched[source.name].phase_space),
            }
            for source in declaration.unmatched
        ],
        "placed": None
        if declaration.placed is None
        else {
            "conditioning": [_describe_conditioning(entry) for entry in declaration.placed.conditioning],
            "domain": None if model.placed is None else _describe_phase_space(model.placed.phase_space),
        },
        "refused": load_output().clash(declaration),
        "needs": sorted({*EVENT_IDS, *gen_branches(declaration)}),
        "networks": parameters,
        "parameters": sum(parameters.values()),
        "provenance": model.provenance,
    }


def _describe_target(declaration: ObjectDeclaration, target: Target) -> dict[str, Any]:
    to = target.to if target.reference is None else f"gen {target.reference}"
    relation = target.relation if to is None else f"{target.relation} to {to}"
    relation += "" if target.scale is None else f" in units of {target.scale}"
    return {
        "branch": declaration.branch(target.branch),
        "relation": relation,
        "allowed": _allowed(target),
        "since": target.since,
        "until": target.until,
        "absent": target.absent,
        "description": target.description,
    }


def _allowed(target: Target) -> str:
    """Values that a target can have, in words."""
    if target.values is not None:
        return ", ".join(f"{value:g}" for value in target.values)
    parts = ["whole numbers"] if target.is_discrete else []
    if target.range is not None:
        low, high = target.range
        parts.append(f"{low:g} to {high:g}" if high < _OPEN else f"at least {low:g}")
    if target.threshold is not None:
        parts.append(f"at least {target.threshold:g}")
    text = " ".join(parts) or "finite"
    return f"{text}, or {', '.join(f'{value:g}' for value in target.special)}" if target.special else text


def _describe_conditioning(entry: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "columns": list(entry.columns()),
        "description": entry.description,
    }


def _describe_phase_space(space: PhaseSpace | None) -> dict[str, Any] | None:
    if space is None:
        return None
    return {
        "rows": space.rows,
        "probabilities": list(PROBABILITIES),
        "quantiles": {name: list(axis.quantiles) for name, axis in space.axes.items()},
        "pairs": [list(pair) for pair in space.density],
    }


def _describe_nanoaod(path: str) -> dict[str, Any]:
    with NanoFile(path) as file:
        told = describe_version(file.branches)
        collections = Counter(b.collection for b in file.branches.values() if b.collection is not None)
        return {
            "file": path,
            "kind": "nanoaod",
            "container": file.container,
            "events": file.num_entries,
            "nanoaod_version": told.version or VERSIONS[0],
            "version_marks": list(told.marks),
            "version_doubt": told.doubt,
            "branches": len(file.branches),
            "collections": dict(sorted(collections.items())),
            "event_branches": sum(branch.collection is None for branch in file.branches.values()),
            "unreadable_branches": list(file.unsupported),
            "trees": list(file.trees),
            "flashsim": read_provenance(path, GENERATION),
            "objects": {d.name: _describe_use(file, d) for d in shipped_objects()},
            "output": _describe_output(file),
        }


def _describe_use(file: NanoFile, declaration: ObjectDeclaration) -> dict[str, Any]:
    """Describe what an object can be used for with this file."""
    targets = [t for t in declaration.targets if t.exists_in(detect_version(file.branches))]
    lacking = _missing(file, [*EVENT_IDS, *gen_branches(declaration)])
    gen = [name for name in lacking if name not in PILEUP]
    both = _missing(file, needed_branches(for_file(declaration, file.has)[0]))
    sources = [declaration.sources(target) for target in targets]
    untold = _missing(file, [name for names in sources for name in names])
    if all(_missing(file, names) for names in sources):
        # Nothing is left to learn.
        both = list(dict.fromkeys([*both, *untold]))
    return {
        "collection": declaration.collection,
        # What is lacking of the pileup is drawn, given its true number of interactions or a profile.
        "generate": {
            "possible": not gen,
            "missing": gen,
            "drawn": [name for name in lacking if name in PILEUP],
            "needs_pileup": PILEUP[0] in lacking,
        },
        "preprocess": {"possible": not both, "missing": both},
        "missing_targets": untold,
    }


def _missing(file: NanoFile, names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if not file.has(name)]


def _describe_output(file: NanoFile) -> dict[str, Any] | None:
    """Describe what `flashsim generate` would write by default; none where it would refuse the file."""
    declarations = _shipped_models_declarations()
    recipe = load_output()
    trigger = None if recipe.trigger is None else load_trigger(recipe.trigger)
    for pileup in (None, choose_pileup("1", [])):  # any profile does
        with contextlib.suppress(InputFileError):
            plan = plan_output(
                file, declarations or shipped_objects(), recipe, pileup=pileup, trigger=trigger
            )
            break
    else:
        return None
    copied = {branch.name for branch in plan.copied}
    return {
        "nanoaod_version": plan.version,
        "shipped_models": bool(declarations),
        "needs_pileup": pileup is not None,
        "origins": plan.origins,
        "copied": len(copied),
        "left_out": len(file.branches.keys() - copied),
    }


def _shipped_models_declarations() -> list[ObjectDeclaration]:
    headers = map(read_header, shipped_models())
    try:
        return [declaration_of(header) for header in headers]
    except (KeyError, ValidationError) as error:
        msg = "the shipped models are of another version of flashsim: install it again"
        raise RecipeError(msg) from error
