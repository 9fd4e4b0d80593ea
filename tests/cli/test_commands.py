"""What all commands have in common: help, shared options, outputs, examples."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from flashsim.cli import options
from flashsim.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "awkward",
    "coffea",
    "lightning",
    "matplotlib",
    "numba",
    "numpy",
    "pandas",
    "rich",
    "torch",
    "uproot",
}


def leaves(command, name=()):
    """All commands with their names, those of groups included."""
    for sub, inside in getattr(command, "commands", {}).items():
        yield from leaves(inside, (*name, sub))
    if not hasattr(command, "commands"):
        yield " ".join(name), command


COMMANDS = dict(leaves(get_command(app)))
OUTPUTS = {
    "generate": (["IN", "-o", "OUT.root"], "OUT.root"),
    "preprocess": (["jets", "IN", "-o", "OUT"], "OUT/tables.json"),
    "train": (["jets", "none", "-o", "OUT.safetensors"], "OUT.safetensors"),
    "monitor": (["none", "--export", "OUT.html"], "OUT.html"),
    "gen": (["ttbar.cmnd", "-o", "OUT.root"], "OUT.root"),
    "reference": (["ttbar", "-o", "OUT"], "OUT/fast.root"),
    "validate": (["IN", "IN", "-o", "OUT.html"], "OUT.html"),
    "analyze": (["samples", "-o", "OUT"], "OUT/analysis.json"),
    "refine pairs": (["IN", "IN", "-o", "OUT"], "OUT/train.parquet"),
    "refine train": (["none", "-o", "OUT.safetensors"], "OUT.safetensors"),
    "refine apply": (["IN", "-m", "none", "-o", "OUT.root"], "OUT.root"),
}
"""Arguments of the commands that write, and a file of an output that exists."""


def run(*arguments, code="from flashsim.cli.main import main; main()", **settings):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)


def parsed(line):
    """Parse a command line as click does, without running it; gives the command's name."""
    words = shlex.split(line, comments=True)
    assert words[0] == "flashsim"
    command, rest = get_command(app), words[1:]
    while hasattr(command, "commands"):
        name, rest = rest[0], rest[1:]
        assert name in command.commands, line
        command = command.commands[name]
    with command.make_context(command.name, list(rest), resilient_parsing=True) as context:
        unknown = [word for word in context.args if word.startswith("-")]
        assert unknown == [], line
    # Required parameters are looked at only where parsing is strict.
    if "--help" not in rest:
        command.make_context(command.name, list(rest)).close()


def test_every_command_with_an_output_is_looked_at():
    writing = {name for name, c in COMMANDS.items() if any("--output" in p.opts for p in c.params)}
    # A grid goes on in the folder that it has.
    assert writing - {"grid"} == OUTPUTS.keys() - {"monitor"}


def test_help_imports_nothing_heavy():
    """What makes it slow is imports."""
    look = """
import sys
from flashsim.cli.main import main
try:
    main()
except SystemExit:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""
    for arguments in (["--help"], *(f"{name} --help".split() for name in ("generate", "refine apply"))):
        done = run(*arguments, code=look)
        assert "Usage: flashsim" in done.stdout
        assert HEAVY & set(done.stderr.split()) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_help(flashsim, name):
    status, out, err = flashsim(*name.split(), "-h")
    assert (status, err) == (0, "")
    assert f"Usage: flashsim {name}" in out
    assert "Example" in out


@pytest.mark.parametrize("group", [(), ("refine",)])
def test_summaries_are_whole_on_a_narrow_terminal(flashsim, monkeypatch, group):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = flashsim(*group, "--help")
    assert "..." not in out.partition("Commands:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_parse(name):
    examples = re.findall(r"^\s+(flashsim .*)$", COMMANDS[name].help, flags=re.MULTILINE)
    assert examples
    for line in examples:
        assert line.startswith(f"flashsim {name} ")
        parsed(line)


def test_shared_options_are_the_same_everywhere():
    """By name: the same help and the same forms, whichever command has the option."""
    seen, defaults = {}, {}
    for name, command in COMMANDS.items():
        for parameter in command.params:
            if not parameter.opts[0].startswith("-"):
                continue
            for option in parameter.opts:
                seen.setdefault(option, {}).setdefault((tuple(parameter.opts), parameter.help), []).append(
                    name
                )
                defaults.setdefault(option, set()).add(str(parameter.default))
    shared = {
        "-f",
        "--seed",
        "--workers",
        "--threads",
        "--device",
        "--dask",
        "--retries",
        "--resume",
        "--set",
    }
    shared |= {"--force", "--models", "--model", "-m", "--chunk", "--runs"}
    assert shared <= seen.keys()
    assert {option: found for option, found in seen.items() if option in shared and len(found) > 1} == {}
    assert {o: d for o, d in defaults.items() if o in shared - {"--chunk"} and len(d) > 1} == {}
    # Short forms stand for one long form each.
    for option in (option for option in seen if not option.startswith("--")):
        assert len({opts[0] if len(opts) < 2 else opts[:2] for opts, _ in seen[option]}) == 1, option


def test_recipes_can_be_changed_wherever_one_is_read():
    with_recipe = {name for name, c in COMMANDS.items() if any("--recipe" in p.opts for p in c.params)}
    with_set = {name for name, c in COMMANDS.items() if any("--set" in p.opts for p in c.params)}
    assert with_set == with_recipe | {"generate", "preprocess", "grid", "analyze", "reference"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_exists_is_refused_at_once(name, tmp_path):
    """Before what it would be made of is looked at, and before anything slow is imported."""
    arguments, there = OUTPUTS[name]
    (tmp_path / "IN").write_text("no ROOT file", encoding="utf-8")
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).write_text("mine", encoding="utf-8")
    look = """
import sys
from flashsim.cli.main import main
try:
    main()
finally:
    print(*({"torch", "uproot", "numba", "awkward", "pandas", "coffea"} & set(sys.modules)))
"""
    done = run(*name.split(), *arguments, code=look, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "\n")
    sentence = r"OUT\S*: exists already; name another output or add --force( or --resume)?"
    assert re.fullmatch(f"flashsim: error: {sentence}\n", done.stderr)
    assert (tmp_path / there).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_cannot_be_written_is_refused_at_once(flashsim, name, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    arguments, _ = OUTPUTS[name]
    Path("IN").write_text("no ROOT file", encoding="utf-8")
    Path("OUT").write_text("no folder", encoding="utf-8")
    below = [word.replace("OUT", "OUT/x") for word in arguments]
    result = flashsim(*name.split(), *below)
    refused(result, "OUT/x")
    assert len(result[2].splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["IN", "OUT"]


def test_a_refusal_takes_less_than_half_a_second(tmp_path):
    """Of a processor, the best of some tries: other things run on the machine."""
    (tmp_path / "OUT.root").touch()
    (tmp_path / "IN").touch()
    look = """
import atexit, sys, time
from flashsim.cli.main import main
atexit.register(lambda: print(time.process_time()))
main()
"""
    tries = [run("generate", "IN", "-o", "OUT.root", code=look, cwd=tmp_path) for _ in range(3)]
    assert {done.returncode for done in tries} == {2}
    assert min(float(done.stdout) for done in tries) < 0.5


@pytest.mark.parametrize("name", [n for n in OUTPUTS if any("--set" in p.opts for p in COMMANDS[n].params)])
def test_wrong_changes_are_refused_at_once(flashsim, name, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    Path("IN").touch()
    refused(flashsim(*name.split(), *OUTPUTS[name][0], "--set", "layers"), "--set layers: expected KEY=VALUE")
    assert [path.name for path in tmp_path.iterdir()] == ["IN"]


def pages():
    return [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("docs/*.md")]


def documented():
    """Command lines of the documentation and of the scripts for batch systems."""
    for page in pages():
        for block in re.findall(
            r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            for line in block.replace("\\\n", " ").splitlines():
                yield from (
                    (page.name, found) for found in re.findall(r"(?:^|&& |cluster )(flashsim .*)", line)
                )
    scripts = [*ROOT.glob("*/*.sh"), *ROOT.glob("*/*.sub"), *ROOT.glob("*/*.yaml")]
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        text = re.sub(r"\$\(\w+\)|\"\$\w+\"", "0", text)
        for found in re.findall(r"(?:^|= |: )(flashsim \w+ .*)$", text, flags=re.MULTILINE):
            yield script.name, found


@pytest.mark.parametrize(("page", "line"), sorted(set(documented())))
def test_documented_command_lines_parse(page, line):
    parsed(line)


def test_enough_command_lines_are_documented():
    assert len(list(documented())) > 40


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("flashsim preprocess j", {"jets"}),
        ("flashsim preprocess ", {"electrons", "event", "jets", "muons", "vertices"}),
        ("flashsim grid grid_r", {"grid_refine_jets"}),
        ("flashsim reference ttb", {"ttbar"}),
        ("flashsim refine train --recipe m", {"muons"}),
        ("flashsim train jets --recipe jets_", {"jets_small"}),
        ("flashsim train jets --recipe ref", set()),
        ("flashsim ref", {"refine", "reference"}),
    ],
)
def test_shells_complete_names(words, found, monkeypatch):
    settings = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    for name, value in ({"_FLASHSIM_COMPLETE": "complete_bash"} | settings).items():
        monkeypatch.setenv(name, value)
    assert set(run().stdout.split()) == found


def test_options_are_defined_once():
    """No command spells an option out that stands in `flashsim.cli.options`."""
    names = set(re.findall(r'"(--[a-z]+)"', inspect.getsource(options)))
    assert "--force" in names
    for path in sorted((ROOT / "flashsim" / "cli").glob("*.py")):
        if path.name in {"options.py", "generation.py"}:  # generation has an output that may be left out
            continue
        assert names & set(re.findall(r'"(--[a-z]+)"', path.read_text(encoding="utf-8"))) == set(), path.name
