"""Imports point one way: command line, stages, core. Files stay small."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "flashsim"
CORE_FOLDERS = {"flows", "models", "nanoaod"}
STAGES = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").is_file()} - CORE_FOLDERS
ALLOWED = {
    ("generation", "preprocessing"),
    ("analysis", "preprocessing"),
    ("grid", "training"),
    ("grid", "refinement"),
}
"""Stages that may import a stage: for the code of conditioning, and for grids of trainings."""
ABOVE_STAGES = {
    "cli",
    "cli_analysis",
    "cli_grid",
    "cli_monitor",
    "cli_reference",
    "cli_refinement",
    "inspection",
}
"""The command line, and what tells which stage can use a file."""
MODULES = sorted(p for p in PACKAGE.rglob("*.py"))
MOST_LINES = 400


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
    found = imported_parts(ast.walk(tree(path))) - {part}
    if part in ABOVE_STAGES:
        return set()
    if part in STAGES:
        found -= {other for stage, other in ALLOWED if stage == part}
    return found & (STAGES | ABOVE_STAGES)


def uses(path, package):
    return any(name.split(".")[0] == package for name in imports(ast.walk(tree(path))))


def test_the_stages_are_found():
    assert {"generation", "preprocessing", "reference", "training"} <= STAGES


def test_imports_point_one_way():
    assert {name_of(path): wrong for path in MODULES if (wrong := wrong_imports(path))} == {}


def test_the_command_line_imports_stages_when_it_needs_them():
    """So that `flashsim --help` is quick."""
    modules = sorted(PACKAGE.glob("cli*.py"))
    at_once = {part for path in modules for part in imported_parts(when_imported(tree(path)))}
    assert at_once & STAGES == set()
    assert "inspection" not in at_once


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


def test_files_stay_small():
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_public_names_are_listed():
    def names(path):
        assignments = (node for node in tree(path).body if isinstance(node, ast.Assign))
        return {target.id for node in assignments for target in node.targets if isinstance(target, ast.Name)}

    assert [name_of(p) for p in MODULES if p.name != "__init__.py" and "__all__" not in names(p)] == []
