"""Change central lines of the package one at a time, and see that a test notices each.

    python .ci/mutations.py                             # all of tests/mutations.yaml
    python .ci/mutations.py --only sampler --only noise # those whose name holds one of the texts
    python .ci/mutations.py --table docs/mutations.md   # and write the page that lists all

Every mutation is applied to a copy of the checkout in a temporary folder, where only the named test runs. It
has to pass in an unchanged copy and to fail, by an assertion or an error of its own, in the changed one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import yaml

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "mutations.yaml"
COPIED = ("flashsim", "tests", "preprocessing", "training", "generation", "analysis", "reference")
_LEFT_OUT = shutil.ignore_patterns("*.part", ".hypothesis")
_LONGEST = 600
_COMPILED = ("numba", "_kernels")
_BROKEN = (
    "SyntaxError",
    "IndentationError",
    "NameError",
    "ImportError",
    "ModuleNotFoundError",
    "Typing",
)
"""What a change that is no Python, or none that numba compiles, raises: it shows nothing about a test."""


_PLUGIN = """
from hypothesis import Phase, settings

def pytest_configure():
    settings.register_profile("first", settings(phases=[Phase.explicit, Phase.generate]))
    settings.load_profile("first")
"""
# One failure is enough: a simpler one is not looked for, which would take minutes.


class StaleMutationError(ValueError):
    """A mutation names a line or a test that is not there any more."""


@dataclass(frozen=True)
class Mutation:
    """A line, what it becomes, and the test that has to notice.

    Parameters
    ----------
    name
        What the line does.
    file
        Path from the top of the checkout.
    line, mutated
        The line before and after, without its indentation.
    test
        Node of pytest.
    after
        Text that stands somewhere above the line: of equal lines the first one below it is meant.
    """

    name: str
    file: str
    line: str
    mutated: str
    test: str
    after: str = ""

    def applied(self, text: str) -> str:
        """Give the text of the file with the line changed.

        Raises
        ------
        StaleMutationError
            If the line is not in it, or more than once.
        """
        lines = text.splitlines(keepends=True)
        start = 0
        if self.after:
            start = next((k + 1 for k, line in enumerate(lines) if self.after in line), len(lines))
        found = [k for k in range(start, len(lines)) if lines[k].strip() == self.line]
        if not found or (len(found) > 1 and not self.after):
            where = f" below '{self.after}'" if self.after else ""
            times = (
                f"stands there {len(found)} times; add the key 'after'" if found else "is not found any more"
            )
            msg = f"{self.name}: {self.file}{where}: '{self.line}' {times}; mend {LIST.name}"
            raise StaleMutationError(msg)
        indent = lines[found[0]][: -len(lines[found[0]].lstrip())]
        lines[found[0]] = f"{indent}{self.mutated}\n"
        return "".join(lines)

    def check(self) -> None:
        """Check against the checkout.

        Raises
        ------
        StaleMutationError
            If the file, the line or the test is not there.
        """
        path, test = ROOT / self.file, self.test.split("::")
        if not path.is_file():
            msg = f"{self.name}: there is no file {self.file} any more; mend {LIST.name}"
            raise StaleMutationError(msg)
        self.applied(path.read_text(encoding="utf-8"))
        module = ROOT / test[0]
        if not module.is_file() or f"def {test[1].partition('[')[0]}(" not in module.read_text(
            encoding="utf-8"
        ):
            msg = f"{self.name}: there is no test {self.test} any more; mend {LIST.name}"
            raise StaleMutationError(msg)


@dataclass(frozen=True)
class Outcome:
    """What a test made of a copy: how many cases passed, failed and broke, and the first reason."""

    passed: int
    failed: int
    broken: int
    reason: str
    seconds: float


def load() -> list[Mutation]:
    """Give all mutations of the list."""
    content: list[dict[str, Any]] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return [Mutation(**entry) for entry in content]


def run(tests: list[str], folder: Path, mutation: Mutation | None = None) -> Outcome:
    """Run tests in a copy of the checkout, changed by a mutation."""
    _copy(folder)
    if mutation is not None:
        _apply(mutation, folder)
    report = folder / "report.xml"
    options = f"-q -n0 -p no:cacheprovider -p first_failure --junitxml={report}".split()
    command = [sys.executable, "-m", "pytest", *options, *tests]
    # The same examples each time, and the shared files where the checkout would have looked for them.
    data = os.environ.get("FLASHSIM_NANOAOD", str(ROOT.parent / "shared" / "nanoaod"))
    environment = os.environ | {"PYTHONPATH": str(folder), "CI": "true", "FLASHSIM_NANOAOD": data}
    # Threads of runs side by side would wait for each other.
    environment |= {"OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    try:
        subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=_LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome(0, 0, 1, f"took longer than {_LONGEST} s", _LONGEST)
    return _outcome(report, time.monotonic() - started)


def _copy(folder: Path) -> None:
    """Copy with the times of files, by which compiled code knows its source."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=_LEFT_OUT)
    (folder / "first_failure.py").write_text(_PLUGIN, encoding="utf-8")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(ROOT / name, folder / name)


def _apply(mutation: Mutation, folder: Path) -> None:
    path = folder / mutation.file
    before = path.read_text(encoding="utf-8")
    path.write_text(mutation.applied(before), encoding="utf-8")
    if any(text in before for text in _COMPILED):
        # Numba looks at the file of the function that is called, not at those of what it inlines.
        for kept in path.parent.rglob("*.nb[ic]"):
            kept.unlink()


def _outcome(report: Path, seconds: float) -> Outcome:
    if not report.is_file():
        return Outcome(0, 0, 1, "pytest gave no report", seconds)
    passed = failed = broken = 0
    reason = ""
    for case in ET.parse(report).getroot().iter("testcase"):
        failure, error = case.find("failure"), case.find("error")
        found = error if failure is None else failure
        if found is None:
            passed += case.find("skipped") is None
            continue
        message = (found.get("message") or "").strip().splitlines() or [""]
        is_broken = failure is None or message[0].startswith(_BROKEN)
        failed, broken = failed + (not is_broken), broken + is_broken
        reason = reason or message[0][:160]
    return Outcome(passed, failed, broken, reason, seconds)


def _verdict(mutation: Mutation, folder: Path) -> tuple[Mutation, bool]:
    """Say whether the test notices, and print it."""
    outcome = run([mutation.test], folder, mutation)
    shutil.rmtree(folder)
    killed = outcome.failed > 0
    word = "killed" if killed else "BROKEN" if outcome.broken else "SURVIVED"
    print(f"{word:8} {outcome.seconds:5.1f} s  {mutation.name}: {outcome.reason}", flush=True)
    return mutation, killed


def page(mutations: list[Mutation]) -> str:
    """Give the page that lists mutations, all of them killed."""
    rows = [
        f"| {' | '.join((m.name, _code(m.file), _code(m.line), _code(m.mutated), _code(m.test)))} |"
        for m in mutations
    ]
    return "\n".join(
        (
            "# Mutations",
            "",
            "Each of these lines is changed in a copy of the package. The test in its last column fails,",
            "and passes with the line as it is.",
            "",
            "```bash",
            "python .ci/mutations.py --table docs/mutations.md",
            "```",
            "",
            f"{len(mutations)} of {len(mutations)} are noticed. The list is `tests/mutations.yaml`.",
            "",
            "| What the line does | File | Line | Changed to | Test that fails |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        )
    )


def _code(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`"


def main() -> int:
    """Run the list; exit with 1 if a mutation survives and with 2 if the list is out of date."""
    parser = argparse.ArgumentParser(description="See that tests notice changes of central lines.")
    parser.add_argument("--only", action="append", metavar="TEXT", help="mutations whose name holds the text")
    parser.add_argument("--table", type=Path, metavar="PAGE", help="write the list here if all are noticed")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="mutations at the same time"
    )
    arguments = parser.parse_args()
    mutations = load()
    if arguments.only:
        mutations = [m for m in mutations if any(text in m.name for text in arguments.only)]
    try:
        for mutation in mutations:
            mutation.check()
    except StaleMutationError as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        tests = list(dict.fromkeys(m.test for m in mutations))
        unchanged = run(tests, Path(scratch) / "unchanged")
        print(
            f"{unchanged.passed} cases of {len(tests)} tests pass unchanged, {unchanged.seconds:.0f} s",
            flush=True,
        )
        if unchanged.failed or unchanged.broken or not unchanged.passed:
            print(f"a named test fails without any change: {unchanged.reason}", file=sys.stderr)
            return 2
        with ThreadPoolExecutor(arguments.processes) as pool:
            folders = [Path(scratch) / str(number) for number in range(len(mutations))]
            verdicts = list(pool.map(_verdict, mutations, folders))
    survived = [mutation.name for mutation, killed in verdicts if not killed]
    print(f"{len(verdicts) - len(survived)} of {len(verdicts)} mutations are noticed")
    if survived:
        print(f"not noticed: {', '.join(survived)}", file=sys.stderr)
        return 1
    if arguments.table:
        arguments.table.write_text(page(load()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
