"""Tables of the documentation, made from the recipes and from the descriptions of their fields.

Writes them between the markers ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` of the stages' READMEs
and of some other pages:

    python docs/tables.py            # write
    python docs/tables.py --check    # only say what is out of date, with exit status 1
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim.analysis.validation.recipe import ValidationRecipe
from flashsim.declarations.gen_collections import GenView
from flashsim.declarations.objects import ObjectDeclaration, Target, load_object
from flashsim.declarations.output import OutputRecipe, load_output
from flashsim.declarations.recipes import load_recipe, recipe_path
from flashsim.declarations.refinement import RefinerRecipe
from flashsim.declarations.training import TrainingRecipe, load_training
from flashsim.declarations.trigger import TriggerPath, TriggerRecipe, load_trigger
from flashsim.grid.recipe import GridRecipe
from flashsim.interface.inspection import shipped_objects
from flashsim.learning.tables import SPLITS
from flashsim.models.object_model import ObjectModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydantic import BaseModel

__all__ = ["PAGES", "renewed"]

ROOT = Path(__file__).resolve().parents[1]
OBJECTS = tuple(declaration.name for declaration in shipped_objects())
PAGES = (
    *(ROOT / stage / "README.md" for stage in ("preprocessing", "training", "generation")),
    *(ROOT / "docs" / page for page in ("contributing.md", "models.md", "refinement.md", "validation.md")),
)
"""Pages with tables."""

NAMES = {"string": "text", "boolean": "true, false", "null": "none"}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a Markdown table; empty columns are left out."""
    body = [list(row) for row in rows]
    used = [k for k in range(len(head)) if any(row[k] for row in body)]
    lines = [[head[k] for k in used], ["---"] * len(used), *([row[k] for k in used] for row in body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(value: object) -> str:
    """Write a value as it stands in YAML."""
    if value is None or value == "":
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def number(value: float) -> str:
    """Write a number in short decimal form."""
    return f"{value:.6g}"


def settings(entry: BaseModel, without: set[str]) -> str:
    """List the keys that an entry of a recipe sets itself."""
    values = entry.model_dump(exclude_defaults=True, exclude=without)
    return ", ".join(f"{key}: {value}" for key, value in values.items()).replace("'", "")


def conditioning(entries: Iterable[Any]) -> str:
    """Show what the networks are given, one declared variable a row."""
    rows = (
        (
            ", ".join(f"`{column}`" for column in entry.columns()),
            entry.kind,
            settings(entry, {"name", "kind", "scale", "description", "flags"}),
            getattr(entry, "scale", ""),
            entry.description,
        )
        for entry in entries
    )
    return table(("columns", "kind", "from", "scale", "meaning"), rows)


def allowed(target: Target) -> str:
    """Tell which values a target can have, whatever training has seen."""
    parts = []
    if target.relation == "excess" and target.range is None:
        parts.append(f"≥ {number(target.threshold or 0.0)}")
    if target.range is not None:
        low, high = target.range
        parts.append(f"≥ {number(low)}" if high >= 1e9 else f"{number(low)} to {number(high)}")
    if target.values is not None:
        parts.append(", ".join(map(number, target.values)))
    if target.discrete:
        parts.append("whole numbers")
    if target.special:
        parts.append(f"or {', '.join(map(number, target.special))}")
    return " ".join(parts)


def versions(target: Target | TriggerPath) -> str:
    """Tell which NanoAOD versions have a target, or a path of the trigger."""
    first, last = (Target.model_fields[end].default for end in ("since", "until"))
    parts = (f"from {target.since}" * (target.since != first), f"to {target.until}" * (target.until != last))
    absent = target.absent if isinstance(target, Target) else []
    between = f"not {', '.join(absent)}" * bool(absent)
    return " ".join(filter(None, (*parts, between)))


def targets(declaration: ObjectDeclaration) -> str:
    """Show what is simulated."""
    rows = (
        (
            f"`{declaration.branch(target.branch)}`",
            target.relation.replace("none", "")
            + (f" to {code(target.to)}" if target.to else "")
            + (f" in units of {code(target.scale)}" if target.scale else ""),
            allowed(target),
            versions(target),
            target.description,
        )
        for target in declaration.targets
    )
    return table(("branch", "relation to gen, or to others", "values", "NanoAOD", "meaning"), rows)


def relations(declaration: ObjectDeclaration) -> str:
    """Show the exact relations between targets."""
    rows = (
        (r.kind, ", ".join(f"`{declaration.branch(name)}`" for name in r.branches), r.description)
        for r in declaration.relations
    )
    return table(("relation", "of", "meaning"), rows)


def linked(declaration: ObjectDeclaration) -> str:
    """Show what follows from objects of other collections."""
    rows = (
        (
            ", ".join(f"`{declaration.branch(name)}`" for name in entry.formulas),
            f"`{entry.to}`",
            f"`{declaration.branch(entry.index)}`",
            entry.description,
        )
        for entry in declaration.linked
    )
    return table(("branches", "from", "found by", "meaning"), rows)


def derived(declaration: ObjectDeclaration) -> str:
    """Show what follows from the targets and the gen object."""
    rows = (
        (f"`{declaration.branch(d.branch)}`", settings(d, {"branch", "description"}), d.description)
        for d in declaration.derived
    )
    return table(("branch", "how", "meaning"), rows)


def recoils(declaration: ObjectDeclaration) -> str:
    """Show the momenta that balance what is reconstructed."""
    rows = (
        (
            ", ".join(f"`{branch}`" for branch in recoil.branches),
            f"as `{recoil.like}`" if recoil.like else ", ".join(f"`{name}`" for name in recoil.gen_branches),
            "; ".join(f"`{m.reco}` of `{m.gen}`{_where(m.where)}" for m in recoil.minus),
        )
        for recoil in declaration.recoils
    )
    return table(("branches", "from", "without what is measured wrong of"), rows)


def unmatched(declaration: ObjectDeclaration) -> str:
    """Show what unmatched objects come from."""
    rows = (
        (
            f"`{source.name}`",
            f"`{source.source}`",
            "" if source.cone is None else number(source.cone),
            number(source.max_count),
            ", ".join(f"`{branch}`: {name}" for branch, name in source.relations.items()),
        )
        for source in declaration.unmatched
    )
    parts = [table(("name", "comes from", "cone", "largest number", "relations"), rows)]
    for source in declaration.unmatched:
        parts += [f"Conditioning of `{source.name}`:", conditioning(source.conditioning)]
    return "\n\n".join(parts)


def _where(values: dict[str, float]) -> str:
    return "".join(f", where {field} is {number(value)}" for field, value in values.items())


def gen_view() -> str:
    """Show the gen-level collections."""
    rows = (
        (f"`{name}`", f"`{c.branch}`", settings(c, {"branch", "fields"}), ", ".join(c.fields))
        for name, c in load_recipe(GenView, recipe_path("preprocessing", "gen")).collections.items()
    )
    return table(("collection", "from", "selection", "fields"), rows)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings into one with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def training_values() -> str:
    """Show where the shipped training recipes differ from the defaults."""
    default = flat(TrainingRecipe(schema_version=1, object="").model_dump(exclude={"object"}))
    shipped = {name: flat(load_training(name).model_dump()) for name in OBJECTS}
    rows = (
        (f"`{key}`", code(value), *(code(shipped[name][key]) for name in OBJECTS))
        for key, value in default.items()
        if any(shipped[name][key] != value for name in OBJECTS)
    )
    return table(("key", "default", *(f"`{name}.yaml`" for name in OBJECTS)), rows)


def copied() -> str:
    """List the patterns that the shipped output recipe copies."""
    return ", ".join(f"`{pattern}`" for pattern in load_output().copied)


def links() -> str:
    """Show the cross references of the shipped output recipe."""
    rows = (
        (
            f"`{link.source}_{link.index}`",
            ", ".join(f"`{link.target}_{field}`" for field in (*link.back, link.count) if field),
            number(link.cone),
            f"`{link.where}`" if link.where else "",
        )
        for link in load_output().links
    )
    return table(("index", "written with it on the other side", "largest distance", "where"), rows)


def trigger_paths() -> str:
    """Show what is emulated of the trigger."""
    rows = []
    for path in load_trigger("trigger.yaml").paths:
        legs = [f"{leg.filter.replace('_', ' ')} {number(leg.pt)}" for leg in path.legs]
        values = [f"{minimum.value} {number(minimum.above)}" for minimum in path.values]
        mass = [f"mass {number(path.min_mass)}"] if path.min_mass else []
        asks = ", ".join([*legs, *values, *mass])
        rows.append((f"`{path.name}`", asks, path.years, versions(path)))
    return table(("path", "asks for, in GeV", "years", "NanoAOD"), rows)


def models() -> str:
    """Show what the shipped models were trained on, from their headers."""
    rows = []
    for path in sorted((ROOT / "flashsim" / "models").glob("*.safetensors")):
        model = ObjectModel.load(path)
        made, flow = model.provenance, model.provenance["losses"]["flow"]
        # A file in a folder is a draw or a part of the sample that the folder is named for.
        samples = dict.fromkeys(name.partition("/")[0] for name in made["files"])
        rows.append(
            (
                f"[{path.stem}](../flashsim/models/{path.stem}.md)",
                f"{', '.join(samples)} ({model.nanoaod_version})",
                " / ".join(str(made["events"][split]) for split in SPLITS),
                str(made["reconstructed"]["train"]),
                str(sum(model.parameters().values())),
                f"{flow['train']:.2f} / {flow['validation']:.2f}",
            )
        )
    head = ("model", "trained on", f"events ({' / '.join(SPLITS)})", "reconstructed objects", "parameters")
    return table((*head, "loss of the flow (train / validation)"), rows)


def fields(model: type[BaseModel]) -> str:
    """Show all keys of a recipe and of what stands in it, from the descriptions in the code."""
    schema = model.model_json_schema()
    parts = [_keys(schema)]
    for name, definition in schema.get("$defs", {}).items():
        text = " ".join(definition.get("description", "").split("\n\n")[0].split())
        parts.append(f"#### {name}\n\n{text}\n\n{_keys(definition)}")
    return "\n\n".join(parts)


def _keys(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for key, entry in schema["properties"].items():
        # The default of a nested recipe is a mapping, and stands in that recipe's own table.
        default = "" if isinstance(entry.get("default"), dict) else code(entry.get("default"))
        meaning = entry.get("description", "selects this kind" if key == "kind" else "")
        rows.append((f"`{key}`", _kind(entry), "required" if key in required else default, meaning))
    return table(("key", "value", "default", "meaning"), rows)


def _kind(entry: dict[str, Any]) -> str:
    """Say a JSON schema in a few words."""
    if "$ref" in entry:
        name = entry["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if options := entry.get("anyOf", entry.get("oneOf")):
        return " or ".join(map(_kind, options))
    if values := entry.get("enum", [entry["const"]] if "const" in entry else None):
        return ", ".join(map(code, values))
    kind = entry.get("type")
    if kind == "array":
        pair = entry.get("prefixItems", [{}])[0].get("type")
        pairs = {"number": "pair of numbers", "string": "pair of texts"}
        return pairs[pair] if pair else f"list of {_inner(entry['items'])}"
    if kind == "object":
        return f"mapping of names to {_inner(entry['additionalProperties'])}"
    limits = [f"{sign} {number(entry[key])}" for key, sign in BOUNDS.items() if key in entry]
    return " ".join((NAMES.get(str(kind), str(kind)), ", ".join(limits))).strip()


def _inner(entry: Any) -> str:
    """Say what stands in a list or a mapping, which may be anything."""
    return _kind(entry) if isinstance(entry, dict) and entry else "anything"


def tasks() -> str:
    """Show the sessions of noxfile.py."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return table(("task", "does"), ((f"`{f.name}`", ast.get_docstring(f) or "") for f in functions))


def left_out_checks() -> str:
    """Show which checks of sp-repo-review are not applied."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    reasons = project["tool"]["repo-review"]["ignore"]
    return table(("check", "not applied, as"), ((f"`{name}`", reason) for name, reason in reasons.items()))


def _blocks() -> dict[str, Callable[[], str]]:
    blocks: dict[str, Callable[[], str]] = {
        "gen view": gen_view,
        "declaration keys": partial(fields, ObjectDeclaration),
        "training keys": partial(fields, TrainingRecipe),
        "training values": training_values,
        "grid keys": partial(fields, GridRecipe),
        "output keys": partial(fields, OutputRecipe),
        "trigger keys": partial(fields, TriggerRecipe),
        "trigger paths": trigger_paths,
        "copied branches": copied,
        "cross references": links,
        "models": models,
        "refinement keys": partial(fields, RefinerRecipe),
        "validation keys": partial(fields, ValidationRecipe),
        "tasks": tasks,
        "left-out checks": left_out_checks,
    }
    for name in OBJECTS:
        declaration = load_object(name)
        blocks |= {
            f"{name} conditioning": partial(conditioning, declaration.conditioning),
            f"{name} targets": partial(targets, declaration),
            f"{name} derived": partial(derived, declaration),
            f"{name} relations": partial(relations, declaration),
            f"{name} linked": partial(linked, declaration),
            f"{name} recoils": partial(recoils, declaration),
            f"{name} unmatched": partial(unmatched, declaration),
        }
    return blocks


def renewed(text: str) -> str:
    """Make all tables of a page again.

    Raises
    ------
    KeyError
        If a marker names no table.
    """
    blocks = _blocks()

    def make(found: re.Match[str]) -> str:
        name = found["name"]
        return f"<!-- begin {name} -->\n\n{blocks[name]()}\n\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (?P<name>[^>]+?) -->.*?<!-- end (?P=name) -->", make, text, flags=re.DOTALL)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = False
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) == text:
            continue
        stale = True
        print(f"{page.relative_to(ROOT)}: {'out of date, run python docs/tables.py' if check else 'renewed'}")
        if not check:
            page.write_text(new, encoding="utf-8")
    sys.exit(check and stale)


if __name__ == "__main__":
    main()
