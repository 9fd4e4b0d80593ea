#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox[uv]>=2026.4"]
# ///
"""Tasks of a developer, each in an environment of its own.

    ./noxfile.py --list                                     # all of them
    ./noxfile.py                                            # lint, types and documentation
    ./noxfile.py -s tests-3.13 -- tests/flows -k inverse    # what stands behind -- goes to the tool

Without uv: ``pip install 'nox[uv]' && nox``.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import nox

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
README_JOB = ("--input", "examples/vbf_hmumu_gen.root", "--output")

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv"
# The CPU build of PyTorch where there is no GPU: Linux gets gigabytes of CUDA libraries else. Empty: as pip.
if not os.environ.setdefault("UV_TORCH_BACKEND", "auto"):
    del os.environ["UV_TORCH_BACKEND"]


@nox.session
def lint(session: nox.Session) -> None:
    """Run the hooks of .pre-commit-config.yaml on all files."""
    session.install("pre-commit>=4.3")
    # What these need is installed for the tasks "types" and "docs", which do the same.
    session.env["SKIP"] = ",".join(filter(None, (os.environ.get("SKIP"), "mypy", "tables", "architecture")))
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session(python=PYTHONS[0])
def types(session: nox.Session) -> None:
    """Check types."""
    session.install("-e", ".[test]")
    session.run("mypy", *session.posargs)


@nox.session(python=PYTHONS, default=False)
def tests(session: nox.Session) -> None:
    """Run the quick tests, or what stands behind `--`."""
    session.install("-e", ".[test]")
    session.run("pytest", *(session.posargs or ("-m", "not slow")))


@nox.session(python=PYTHONS[0], default=False)
def lowest(session: nox.Session) -> None:
    """Run the quick tests and build the site with the lowest versions that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", "-e", ".[test,docs]")
    session.run("mkdocs", "build", "--strict", "--site-dir", f"{session.create_tmp()}/site")
    session.run("pytest", *(session.posargs or ("-m", "not slow")))


@nox.session
def docs(session: nox.Session) -> None:
    """Check what is made from the code, then build the site; warnings are errors."""
    session.install("-e", ".[all,docs]")
    session.run("python", "docs/tables.py", "--check")
    session.run("python", "docs/figures/architecture.py", "--check")
    session.run("mkdocs", "build", "--strict", "--site-dir", f"{session.create_tmp()}/site")


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Measure speed briefly, to see that it can be measured."""
    session.install("-e", ".[benchmarks,reference]")
    session.run("python", "-m", "benchmarks.speed", *(session.posargs or ("--quick",)))


@nox.session(default=False)
def mutations(session: nox.Session) -> None:
    """Change central lines one at a time and see that a test notices each."""
    session.install("-e", ".[test]")
    session.run("python", ".ci/mutations.py", *session.posargs)


@nox.session(default=False)
def damage(session: nox.Session) -> None:
    """Damage inputs at random, other ones each week, and kill commands at random moments."""
    session.install("-e", ".[test]")
    seed = os.environ.get("FLASHSIM_SEED") or datetime.now(UTC).strftime("%G%V")
    counts = Path(session.create_tmp()) / "counts.json"
    env = {"FLASHSIM_SEED": seed, "FLASHSIM_COUNTS": str(counts)}
    session.run("pytest", "tests/badinput", *(session.posargs or ("-m", "slow")), env=env)
    session.log(counts.read_text(encoding="utf-8"))


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the distributions, check them, and run the README's main job with the wheel."""
    session.install("build", "check-wheel-contents", "twine")
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder))
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    session.run("check-wheel-contents", str(wheel))
    session.run("twine", "check", "--strict", str(wheel), str(source))
    session.install("--force-reinstall", str(wheel))
    output = str(folder / "flash.root")
    session.run("flashsim", "generate", *README_JOB, output, "--force")
    session.install(f"{wheel}[analysis]")  # coffea
    session.run("python", ".ci/check_output.py", README_JOB[1], output)


if __name__ == "__main__":
    nox.main()
