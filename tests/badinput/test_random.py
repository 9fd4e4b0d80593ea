"""Inputs damaged at random, with a seed: none crashes, and none changes the physics without a reason.

``FLASHSIM_SEED`` is the seed, 16 by default; the counts of all kinds are printed and written to the file that
``FLASHSIM_COUNTS`` names.
"""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from judge import mutations, oracle
from judge.columns import content, write_columns
from judge.of_models import joined, parts
from judge.of_tables import write_parquet
from safetensors.numpy import load_file

pytestmark = [pytest.mark.slow, pytest.mark.random, pytest.mark.weekly]

SEED = int(os.environ.get("FLASHSIM_SEED", "16"))
VERDICTS = ("refused", "harmless", "legitimate", "crashed", "silent")
"""Right are the first three: refused with a sentence; read with equal physics; read with physics that differ as
the values do that a plain reader of the format finds, which has no way to tell either."""
_HERE = ("--device", "cpu", "--threads", "1")


class Tally:
    """Counts how commands end, by kind of input, and keeps what went wrong."""

    def __init__(self):
        self.counts = {}
        self.wrong = {}

    def add(self, kind, verdict, what):
        self.counts.setdefault(kind, Counter())[verdict] += 1
        if verdict in {"crashed", "silent"}:
            self.wrong.setdefault(kind, []).append(f"{verdict}: {what}")

    def report(self):
        total = sum(self.counts.values(), Counter())
        return {"seed": SEED, "total": total.total()} | {
            name: {verdict: counts[verdict] for verdict in VERDICTS}
            for name, counts in {"all": total, **self.counts}.items()
        }


@pytest.fixture(scope="module")
def tally():
    found = Tally()
    yield found
    report = json.dumps(found.report() | {"wrong": found.wrong}, indent=1)
    if name := os.environ.get("FLASHSIM_COUNTS"):
        Path(name).write_text(f"{report}\n", encoding="utf-8")


@pytest.fixture
def judged(tally, console, tmp_path, capsys):
    """Give the function that damages an input often, runs a command on each, and counts the verdicts.

    It takes the name of the kind, how often, `damage` (a generator and a folder: says what it has done),
    the command, and `allowed` (a folder and how the command ended: whether what it gave has a reason). An output
    that `equal` finds to be that of the undamaged input is harmless.
    """

    def run(kind, times, damage, command, *, equal, allowed, output="out.root", seconds=30.0):
        rng = np.random.default_rng([SEED, *kind.encode()])
        for number in range(times):
            folder = tmp_path / f"{kind.replace(' ', '_')}_{number}"
            folder.mkdir()
            what = f"{number} {damage(rng, folder)}"
            before = {p.relative_to(folder) for p in folder.rglob("*")}
            ended = console.run(*command, folder=folder, seconds=seconds)
            verdict, why = judge(ended, folder, before, folder / output, equal, allowed)
            tally.add(kind, verdict, f"{what}: {why}")
            if verdict not in {"crashed", "silent"}:
                shutil.rmtree(folder)
        counts = tally.counts[kind]
        with capsys.disabled():
            print(f"\n{kind}: " + ", ".join(f"{counts[v]} {v}" for v in VERDICTS))  # noqa: T201
        assert tally.wrong.get(kind, []) == []

    return run


def judge(ended, folder, before, output, equal, allowed):
    """How a command on a damaged input ended, and why it is called so."""
    if ended.faults:
        return "crashed", f"{ended.faults} {ended.err[-300:]}"
    parts_left = [p.name for p in folder.rglob("*.part")]
    if parts_left:
        return "silent", f"left {parts_left}"
    if ended.status == 2:
        if len(ended.sentences) != 1:
            return "crashed", f"says {ended.err[-300:]}"
        if output.exists():
            return "silent", "refused, but there is an output"
        return "refused", ended.sentences[0]
    if not output.exists():
        return "silent", "status 0 and no output"
    if equal(output):
        return "harmless", ""
    reason = allowed(folder, ended)
    return ("silent", reason) if reason else ("legitimate", "")


# ROOT


@pytest.fixture(scope="module")
def plain(console, stock, tmp_path_factory):
    """Give the gen-level file without compression, what is generated from it, and what is in both."""
    folder = tmp_path_factory.mktemp("plain")
    import uproot

    with uproot.recreate(folder / "gen.root", compression=None) as file:
        for tree in ("Runs", "Events"):
            with uproot.open(stock["gen"]) as source:
                arrays = source[tree].arrays(how=dict)
            jagged = {n: a for n, a in arrays.items() if a.ndim > 1}
            flat = {n: a for n, a in arrays.items() if a.ndim == 1 and not n.startswith("n")}
            write_tree(file, tree, flat, jagged)
    done = console.run(*generate("gen.root"), folder=folder)
    assert done.status == 0, done.err
    return folder / "gen.root", folder / "out.root"


def write_tree(file, name, flat, jagged):
    import awkward as ak

    collections = {}
    for branch, values in jagged.items():
        collection, _, field = branch.partition("_")
        collections.setdefault(collection, {})[field] = values
    parts_of = flat | {collection: ak.zip(fields) for collection, fields in collections.items()}
    file.mktree(
        name, {k: ak.type(v).content if v.ndim > 1 else v.to_numpy().dtype for k, v in parts_of.items()}
    )
    file[name].extend(parts_of)


def generate(source):
    models = Path(__file__).parents[1] / "data" / "muons.safetensors"
    return ("generate", source, "-m", models, "-o", "out.root", *_HERE)


@pytest.fixture(scope="module")
def root_oracle(console, plain):
    """Give the two functions that judge an output of generation: is it equal, and has a difference a reason?"""
    source, right = plain
    base = content(right)
    folder = source.parent
    read, made = (console.called("judge.oracle.by_event", path, folder=folder) for path in (source, right))
    assert read["odd"] == []

    def equal(output):
        return content(output) == base

    def allowed(here, _):
        mutated, given = (
            console.called("judge.oracle.by_event", here / name, folder=here)
            for name in ("bad.root", "out.root")
        )
        if given is None:
            return "its output cannot be read"
        if mutated is None:
            return "a plain reader finds it damaged"
        if given["events"] != mutated["events"]:
            return f"{given['events']} events of {mutated['events']}"
        if given["odd"] and set(given["odd"]) - set(made["odd"]) - set(mutated["odd"]):
            return f"values that are not finite in {given['odd']}"
        if odd := sorted(set(mutated["odd"]) & NEEDED):
            return f"{odd} are not finite, and are needed"
        changed = changed_events(mutated, read)
        runs = [
            console.called("judge.oracle.by_event", p, "Runs", folder=here)
            for p in (here / "bad.root", source)
        ]
        others = [e for e in changed_events(given, made) if e not in changed]
        if others:
            return f"events {others[:5]} are others, but their gen values are not"
        if not changed and runs[0] == runs[1]:
            return "the output is another, but no gen value is"
        return ""

    return equal, allowed


NEEDED = {
    *(f"GenPart_{n}" for n in ("pt", "eta", "phi")),
    *(f"GenJet_{n}" for n in ("pt", "eta", "phi", "mass")),
    *(f"Pileup_{n}" for n in ("nTrueInt", "pudensity", "gpudensity")),
}
"""Branches of floats that muons are simulated from."""


def changed_events(one, other):
    """Which events of two files differ in any branch, or stand in one only."""
    found = set(range(min(one["events"], other["events"]), max(one["events"], other["events"])))
    for name in {*one["branches"], *other["branches"]}:
        mine, theirs = one["branches"].get(name), other["branches"].get(name)
        if mine is None or theirs is None:
            # A branch that came or went is another in all events.
            return set(range(max(one["events"], other["events"])))
        found |= {k for k, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b}
    return found


@pytest.mark.parametrize(("kind", "times"), [("ROOT, bytes", 70), ("ROOT without compression, bytes", 90)])
def test_bytes_of_root(kind, times, judged, stock, plain, root_oracle):
    before = (plain[0] if "without" in kind else stock["gen"]).read_bytes()

    def damage(rng, folder):
        what, after = mutations.of_bytes(before, rng)
        (folder / "bad.root").write_bytes(after)
        return what

    equal, allowed = root_oracle
    judged(kind, times, damage, generate("bad.root"), equal=equal, allowed=allowed)


def test_columns_of_root(judged, stock, root_oracle):
    columns = stock.columns()

    def damage(rng, folder):
        what, after = mutations.of_columns(columns, rng)
        write_columns(folder / "bad.root", after, stock.runs)
        return what

    equal, allowed = root_oracle
    judged("ROOT, columns", 140, damage, generate("bad.root"), equal=equal, allowed=allowed)


# Generators


_WEIGHTS = ("weight", "sumw", "xwgtup")
_PLACED = ("run", "luminosityBlock", "event", "Pileup_")


def by_weight(name):
    return any(word in name.lower() for word in _WEIGHTS)


@pytest.fixture(scope="module")
def hepmc_oracle(console, stock, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hepmc")
    done = console.run("gen", stock["hepmc"], "-o", "out.root", folder=folder)
    assert done.status == 0, done.err
    base = physics(content(folder / "out.root"))
    made = console.called("judge.oracle.by_event", folder / "out.root", folder=folder)
    head, *blocks = oracle.hepmc_blocks(stock["hepmc"].read_bytes())

    def equal(output):
        return physics(content(output)) == base

    def allowed(here, ended):
        given = console.called("judge.oracle.by_event", here / "out.root", folder=here)
        if given is None or given["odd"]:
            return f"the output cannot be read or is not finite: {given and given['odd']}"
        mutated = (here / "bad.hepmc").read_bytes()
        other_head, *others = oracle.hepmc_blocks(mutated)
        if given["events"] != len(others):
            said = f"{ended.out} {ended.err}".lower()
            told = any(
                word in said for word in ("skip", "left out", "without particles", "incomplete", "cut off")
            )
            return "" if told else f"{given['events']} events of {len(others)}, and nothing is said of it"
        broken = [k for k, block in enumerate(others) if block not in blocks and not oracle.is_sound(block)]
        if broken:
            return f"events {broken} do not hold together"
        for k, block in enumerate(others):
            if block not in blocks:
                continue
            i = k if k < len(blocks) and blocks[k] == block else blocks.index(block)
            differ = [
                name
                for name in given["branches"]
                if not name.startswith(_PLACED)
                and not (other_head != head and by_weight(name))
                and name in made["branches"]
                and given["branches"][name][k] != made["branches"][name][i]
            ]
            if differ:
                return f"event {k} is another in {differ[:4]}, but its text is not"
        if others == blocks and other_head == head:
            return "the output is another, but no text of an event is"
        return ""

    return equal, allowed


def physics(found):
    """What of a gen-level file does not follow from the name and place of its source."""
    return {name: values for name, values in found.items() if not name.endswith("/luminosityBlock")}


def test_hepmc(judged, stock, hepmc_oracle):
    before = stock["hepmc"].read_bytes()

    def damage(rng, folder):
        what, after = mutations.of_text(before, rng)
        (folder / "bad.hepmc").write_bytes(after)
        return what

    equal, allowed = hepmc_oracle
    command = ("gen", "bad.hepmc", "-o", "out.root")
    judged("HepMC", 130, damage, command, equal=equal, allowed=allowed)


def test_lhe(judged, console, stock, tmp_path):
    """Pythia's random numbers run on through a file: what comes before a damaged event has to be as it was."""
    before = stock["lhe"].read_bytes()
    command = ("gen", "short.cmnd", "-o", "out.root")
    settings = "Beams:frameType = 4\nBeams:LHEF = bad.lhe\nPartonLevel:MPI = off\nHadronLevel:all = off\n"
    good = tmp_path / "good"
    good.mkdir()
    (good / "bad.lhe").write_bytes(before)
    (good / "short.cmnd").write_text(settings, encoding="utf-8")
    done = console.run(*command, folder=good)
    assert done.status == 0, done.err
    base = physics(content(good / "out.root"))
    made = console.called("judge.oracle.by_event", good / "out.root", folder=good)
    blocks = before.split(b"<event>")

    def damage(rng, folder):
        what, after = mutations.of_text(before, rng)
        (folder / "bad.lhe").write_bytes(after)
        (folder / "short.cmnd").write_text(settings, encoding="utf-8")
        return what

    def equal(output):
        return physics(content(output)) == base

    def allowed(folder, ended):
        given = console.called("judge.oracle.by_event", folder / "out.root", folder=folder)
        if given is None or given["odd"]:
            return f"the output cannot be read or is not finite: {given and given['odd']}"
        others = (folder / "bad.lhe").read_bytes().split(b"<event>")
        if others == blocks:
            return "the output is another, but no text is"
        first = next(
            (k for k, (a, b) in enumerate(zip(others, blocks, strict=False)) if a != b), len(blocks) - 1
        )
        if first == 0:
            return ""  # the run's own values: beams, cross section, names of weights
        for k in range(min(first - 1, given["events"])):
            differ = [
                n for n, v in given["branches"].items()
                if not n.startswith(_PLACED) and not by_weight(n) and v[k] != made["branches"].get(n, v)[k]
            ]  # fmt: skip
            if differ:
                return f"event {k} is another in {differ[:4]}, before the damage in {first - 1}"
        if given["events"] != len(others) - 1 and not any(
            word in f"{ended.out} {ended.err}".lower() for word in ("not written", "left out")
        ):
            return f"{given['events']} events of {len(others) - 1}, and nothing is said of it"
        return ""

    judged("LHE", 40, damage, command, equal=equal, allowed=allowed)


# Models


def model_damage(before):
    """Damage a safetensors file: its bytes, or a value of its description."""

    def damage(rng, folder):
        if rng.random() < 0.5:
            what, after = mutations.of_bytes(before, rng)
        else:
            header, tensors = parts(before)
            key, text = next(iter(header["__metadata__"].items()))
            what, described = mutations.of_values(json.loads(text), rng)
            header["__metadata__"][key] = json.dumps(described)
            after = joined(header, tensors)
        (folder / "bad.safetensors").write_bytes(after)
        return what

    return damage


def model_reason(console, before):
    """Why another output may come of a damaged model: its values are others, and finite."""
    sound = parts(before)

    def reason(folder, name="out.root"):
        path = folder / "bad.safetensors"
        if (finite := console.called("judge.oracle.finite_tensors", path, folder=folder)) is not True:
            return f"a plain reader finds {'no finite weights' if finite is False else 'it damaged'}"
        given = console.called("judge.oracle.by_event", folder / name, folder=folder)
        if given is None or given["odd"]:
            return f"the output cannot be read or is not finite: {given and given['odd']}"
        return (
            "" if parts(path.read_bytes()) != sound else "the output is another, but no value of the model is"
        )

    return reason


def test_models(judged, console, stock, tmp_path):
    before = stock["muons"].read_bytes()
    (tmp_path / "right").mkdir()
    done = console.run(*generate(stock["gen"]), folder=tmp_path / "right")
    assert done.status == 0, done.err
    base = content(tmp_path / "right" / "out.root")
    command = ("generate", stock["gen"], "-m", "bad.safetensors", "-o", "out.root", *_HERE)
    reason = model_reason(console, before)
    judged(
        "models", 80, model_damage(before), command,
        equal=lambda output: content(output) == base, allowed=lambda folder, _: reason(folder),
    )  # fmt: skip


def test_refiners(judged, console, stock, tmp_path):
    before = stock["refiner"].read_bytes()
    (tmp_path / "right").mkdir()
    options = ("refine", "apply", stock["fast"], "-o", "out.root", "-m")
    done = console.run(*options, stock["refiner"], folder=tmp_path / "right")
    assert done.status == 0, done.err
    base = content(tmp_path / "right" / "out.root")
    reason = model_reason(console, before)
    judged(
        "refiners", 40, model_damage(before), (*options, "bad.safetensors"),
        equal=lambda output: content(output) == base, allowed=lambda folder, _: reason(folder),
    )  # fmt: skip


# Tables, notes, checkpoints


def trained_equal(right):
    """Whether a trained model has the weights of another."""
    base = load_file(right)

    def equal(output):
        mine = load_file(output)
        return mine.keys() == base.keys() and all(mine[k].tobytes() == base[k].tobytes() for k in base)

    return equal


def finite_model(folder, name="out.safetensors"):
    values = load_file(folder / name).values()
    return all(np.isfinite(v).all() for v in values if v.dtype.kind == "f")


@pytest.fixture
def right_training(console, stock, tmp_path):
    """Give the folder and model of a training of refiners on undamaged pairs."""
    folder = tmp_path / "right"
    folder.mkdir()
    shutil.copytree(stock["pairs"], folder / "pairs")
    done = console.run(*REFINE, stock["refiner_recipe"], folder=folder)
    assert done.status == 0, done.err
    return folder / "out.safetensors"


REFINE = ("refine", "train", "pairs", "-o", "out.safetensors", *_HERE, "--recipe")


def test_parquet(judged, console, stock, right_training):
    name = "pairs/train.parquet"
    before = (stock["pairs"] / "train.parquet").read_bytes()
    sound = console.called(
        "judge.oracle.table_digest", stock["pairs"] / "train.parquet", folder=right_training.parent
    )

    def damage(rng, folder):
        import pandas as pd

        shutil.copytree(stock["pairs"], folder / "pairs")
        if rng.random() < 0.7:
            what, after = mutations.of_bytes(before, rng)
            (folder / name).write_bytes(after)
            return what
        table = pd.read_parquet(folder / name)
        what, columns = mutations.of_columns({c: table[c].to_numpy() for c in table}, rng)
        write_parquet(pd.DataFrame(columns), folder / name)
        return what

    def allowed(folder, ended):
        found = console.called("judge.oracle.table_digest", folder / name, folder=folder)
        if found is None:
            return "a plain reader finds it damaged"
        if "rows set aside, not finite" not in ended.err and (
            odd := [c for c in found["odd"] if c.startswith(("gen.", "fast.", "full."))]
        ):
            return f"{odd} are not finite"
        if found == sound:
            return "the model is another, but no value of the table is"
        return "" if finite_model(folder) else "the model is not finite"

    judged(
        "Parquet", 50, damage, (*REFINE, stock["refiner_recipe"]),
        equal=trained_equal(right_training), allowed=allowed, output="out.safetensors",
    )  # fmt: skip


def test_json(judged, stock, right_training):
    before = (stock["pairs"] / "pairs.json").read_bytes()

    def damage(rng, folder):
        shutil.copytree(stock["pairs"], folder / "pairs")
        what, after = value_or_text(before, rng)
        (folder / "pairs" / "pairs.json").write_bytes(after)
        return what

    def allowed(folder, _):
        found = json.loads((folder / "pairs" / "pairs.json").read_bytes())
        if found == json.loads(before):
            return "the model is another, but nothing that JSON holds is"
        return "" if finite_model(folder) else "the model is not finite"

    judged(
        "JSON", 50, damage, (*REFINE, stock["refiner_recipe"]),
        equal=trained_equal(right_training), allowed=allowed, output="out.safetensors",
    )  # fmt: skip


def value_or_text(before, rng):
    """Damage JSON in a value, or in its text."""
    if rng.random() < 0.6:
        what, after = mutations.of_values(json.loads(before), rng)
        return what, json.dumps(after).encode()
    return mutations.of_text(before, rng)


def test_yaml(judged, console, stock, tmp_path):
    before = stock["object"].read_bytes()
    command = ("preprocess", "bad.yaml", stock["full"], "-o", "out")
    (tmp_path / "right").mkdir()
    (tmp_path / "right" / "bad.yaml").write_bytes(before)
    assert console.run(*command, folder=tmp_path / "right").status == 0

    def tables(folder):
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.parquet")}

    base = tables(tmp_path / "right" / "out")

    def damage(rng, folder):
        if rng.random() < 0.5:
            what, found = mutations.of_values(yaml.safe_load(before), rng)
            (folder / "bad.yaml").write_text(yaml.safe_dump(found, sort_keys=False), encoding="utf-8")
            return what
        what, after = mutations.of_text(before, rng)
        (folder / "bad.yaml").write_bytes(after)
        return what

    def allowed(folder, _):
        found = yaml.safe_load((folder / "bad.yaml").read_bytes())
        return (
            "the tables are others, but nothing that YAML holds is" if found == yaml.safe_load(before) else ""
        )

    judged(
        "YAML",
        70,
        damage,
        command,
        equal=lambda output: tables(output) == base,
        allowed=allowed,
        output="out",
    )


def test_logs(judged, stock):
    """Whatever one log holds, the page shows the other training as ever."""
    before = (stock["runs"] / "one" / "run.jsonl").read_bytes()
    right = []

    def damage(rng, folder):
        shutil.copytree(stock["runs"], folder / "runs")
        if rng.random() < 0.5:
            lines = before.splitlines()
            row = int(rng.integers(0, len(lines)))
            what, lines[row] = value_or_text(lines[row], rng)
            after = b"\n".join(lines)
        else:
            what, after = mutations.of_text(before, rng)
        (folder / "runs" / "one" / "run.jsonl").write_bytes(after)
        return what

    def allowed(folder, _):
        page = (folder / "out.html").read_text(encoding="utf-8")
        data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
        other = next((run for run in data["trainings"] if run["id"] == "two"), None)
        if other is None:
            return "the other training is not shown"
        right.append(copy.deepcopy(other))
        return "" if other == right[0] else "the other training is shown otherwise"

    judged(
        "run.jsonl", 90, damage, ("monitor", "runs", "--export", "out.html"),
        equal=lambda _: False, allowed=allowed, output="out.html",
    )  # fmt: skip
    assert right
    assert right[0]["done"] == 3


def test_checkpoints(judged, console, stock, right_training, tmp_path):
    """A training that was interrupted after its last epoch goes on from a damaged checkpoint."""
    run = right_training.with_name("out.safetensors.run")
    names = sorted(p.name for p in run.iterdir() if p.suffix == ".ckpt") + ["training.json"]

    def damage(rng, folder):
        shutil.copytree(stock["pairs"], folder / "pairs")
        shutil.copytree(run, folder / run.name)
        path = folder / run.name / str(rng.choice(names))
        change = value_or_text if path.suffix == ".json" else mutations.of_bytes
        what, after = change(path.read_bytes(), rng)
        path.write_bytes(after)
        return f"{path.name} {what}"

    def allowed(folder, _):
        return "the model is another than that of the training without an interruption"

    judged(
        "checkpoints", 50, damage, (*REFINE, stock["refiner_recipe"], "--resume"),
        equal=trained_equal(right_training), allowed=allowed, output="out.safetensors",
    )  # fmt: skip


def test_enough(tally):
    """Runs last, where the others have run: at least 500, of which some end in each right way."""
    total = sum(tally.counts.values(), Counter())
    if len(tally.counts) < 11:
        pytest.skip("the other kinds have not run")
    assert total.total() >= 500
    assert all(total[verdict] > 0 for verdict in ("refused", "harmless", "legitimate"))
    assert math.isclose(sum(total.values()), total.total())
