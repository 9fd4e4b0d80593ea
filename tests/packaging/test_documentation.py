"""The documentation says what the code does, and how to find out."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

MEASURED = re.compile(
    r"(?<![\w.-])\d[\d ,.]*\s?"
    r"(?:%|(?:s|ms|minutes|MB|GB|kHz|(?:events|jets|muons|objects)(?:/s| a second)|times)\b)"
)
"""A number with a unit of time, rate, size or share: something that somebody has measured."""


def read(root, path):
    return (root / path).read_text(encoding="utf-8")


def blocks(text, language="bash"):
    """Code blocks of a page."""
    return re.findall(rf"```{language}[^\n]*\n(.*?)```", text, flags=re.DOTALL)


def sections(text):
    """Parts of a page between headings."""
    return re.split(r"^#+ ", text, flags=re.MULTILINE)


@pytest.mark.parametrize("number", [0, 1], ids=["main job", "tests"])
def test_continuous_integration_runs_the_commands_of_the_readme(root, number):
    command = blocks(read(root, "README.md"))[number].strip()
    assert command in read(root, ".ci/run").splitlines()


def test_tests_come_last_in_continuous_integration(root):
    """So that their summary closes what it prints."""
    assert read(root, ".ci/run").strip().endswith("pytest")


def test_readme_starts_with_the_commands(root):
    assert read(root, "README.md").startswith("# FlashSim\n\n```bash\npip install . && flashsim generate")


def test_figures_stand_beside_a_command(root):
    bare = [
        figure.group()
        for section in sections(read(root, "README.md"))
        if not blocks(section) and not re.search(r"`(flashsim|python) ", section)
        for figure in MEASURED.finditer(section)
    ]
    assert bare == []


@pytest.mark.parametrize("text", ["takes 1.8 s", "at 1,000 jets/s", "12 % of them", "30 times faster"])
def test_figures_are_recognised(text):
    assert MEASURED.search(text)


@pytest.mark.parametrize("text", ["tt, CMS 2018, NanoAODv5", "Python 3.11 or later", "anti-kT 0.4 sums"])
def test_other_numbers_are_not(text):
    assert not MEASURED.search(text)


def test_tables_are_up_to_date(root):
    """Run `python docs/tables.py` when this fails."""
    done = subprocess.run(
        [sys.executable, root / "docs" / "tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_picture_of_the_architecture_is_up_to_date(root):
    """Run `python docs/figures/architecture.py`, with `--trace` if it names calls, when this fails."""
    script = root / "docs" / "figures" / "architecture.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


def test_commands_of_the_pages_exist(root):
    from typer.main import get_command

    from flashsim.cli.main import app

    pages = [*root.glob("*.md"), *root.glob("*/README.md"), *root.glob("docs/**/*.md")]
    named = {
        name
        for page in pages
        for block in blocks(page.read_text(encoding="utf-8"))
        for name in re.findall(r"^flashsim (\w+)", block, flags=re.MULTILINE)
    }
    assert named
    assert named <= set(get_command(app).commands)


def test_options_of_the_pages_exist(root):
    from typer.main import get_command

    from flashsim.cli.main import app

    commands = get_command(app).commands
    groups = {name: command.commands for name, command in commands.items() if hasattr(command, "commands")}
    commands = commands | {f"{name} {sub}": c for name, group in groups.items() for sub, c in group.items()}
    unknown = []
    pattern = rf"flashsim ((?:(?:{'|'.join(groups)}) )?\w+)([^\n#]*)"
    for page in [*root.glob("*.md"), *root.glob("*/README.md"), *root.glob("docs/**/*.md")]:
        for block in blocks(page.read_text(encoding="utf-8")):
            for name, rest in re.findall(pattern, block.replace("\\\n", " ")):
                known = {option for p in commands[name].params for option in p.opts} | {"--help"}
                unknown += [
                    (page.name, name, o) for o in re.findall(r"(?<=\s)--[a-z-]+", rest) if o not in known
                ]
    assert unknown == []
