"""Imports point one way: command line, interface, stages, core."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "flashsim"
LAYERS = (
    ("errors", "text"),
    ("execution",),
    ("declarations",),
    ("events",),
    ("nanoaod",),
    ("transforms",),
    ("flows",),
    ("learning",),
    ("models",),
    ("runs",),
    (
        "preprocessing",
        "training",
        "generation",
        "refinement",
        "grid",
        "monitor",
        "analysis",
        "gen",
        "reference",
    ),
    ("interface",),
    ("cli",),
)
"""From the ground up: a part imports what stands in the rows before its own, and nothing else."""
RANK = {part: number for number, row in enumerate(LAYERS) for part in row}
STAGES = set(next(row for row in LAYERS if len(row) > 2))
MODULES = sorted(p for p in PACKAGE.rglob("*.py"))


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def imports(nodes):
    """Dotted names of all modules that some nodes import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_parts(nodes):
    """First names below flashsim that some nodes import."""
    parts = (name.split(".") for name in imports(nodes))
    return {p[1] for p in parts if len(p) > 1 and p[0] == "flashsim"}


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def when_imported(module):
    """Nodes that run when a module is imported."""
    todo = list(module.body)
    while todo:
        node = todo.pop()
        yield node
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not is_for_types and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))


def wrong_imports(path):
    """Parts of the package that a module imports and must not."""
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    found = imported_parts(ast.walk(tree(path))) & RANK.keys() - {part}
    return {other for other in found if RANK[other] >= RANK[part]}


def uses(path, package):
    return any(name.split(".")[0] == package for name in imports(ast.walk(tree(path))))


def test_every_part_has_its_layer():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert parts == RANK.keys()


def test_imports_point_down_and_no_stage_imports_a_stage():
    modules = [path for path in MODULES if path != PACKAGE / "__init__.py"]
    assert {name_of(path): wrong for path in modules if (wrong := wrong_imports(path))} == {}


def test_no_modules_import_each_other_in_a_circle():
    names = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in MODULES
    }
    graph = {}
    for name, path in names.items():
        found = set(imports(when_imported(tree(path)))) & names.keys() - {name}
        # `from package import module` names the package, but needs the module only.
        graph[name] = {one for one in found if not any(other.startswith(f"{one}.") for other in found)}
    assert list(TopologicalSorter(graph).static_order())


def test_the_command_line_imports_stages_when_it_needs_them():
    """So that `flashsim --help` is quick."""
    modules = sorted((PACKAGE / "cli").glob("*.py"))
    at_once = {part for path in modules for part in imported_parts(when_imported(tree(path)))}
    assert at_once & (STAGES | {"interface"}) == set()


def test_imports_are_absolute():
    """So that the other tests see them."""
    relative = [
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_only_flows_knows_nflows():
    users = {path.relative_to(PACKAGE).parts[0] for path in MODULES if uses(path, "nflows")}
    assert users == {"flows"}


def test_public_names_are_listed():
    def names(path):
        assignments = (node for node in tree(path).body if isinstance(node, ast.Assign))
        return {target.id for node in assignments for target in node.targets if isinstance(target, ast.Name)}

    assert [name_of(p) for p in MODULES if p.name != "__init__.py" and "__all__" not in names(p)] == []
