"""Bad recipes of every kind, and bad options of the commands that take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from judge.cases import Case, columns, copied, edited, json_edited, several, text, unique, yaml_edited
from judge.of_nanoaod import put, shorter, without

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CASES", "KINDS"]

_HERE = "--device cpu --threads 1"
KINDS = {
    "preprocess": ("object", "preprocess bad.yaml {full} -o out"),
    "train": ("training", f"train muons {{tables}} -o out.safetensors --recipe bad.yaml {_HERE}"),
    "refine pairs": ("refiner_recipe", "refine pairs {fast} {full} -o out --recipe bad.yaml"),
    "refine train": (
        "refiner_recipe",
        f"refine train {{pairs}} -o out.safetensors --recipe bad.yaml {_HERE}",
    ),
    "grid": ("grid", "grid bad.yaml {pairs} -o out --device cpu"),
    "analyze": ("samples", "analyze bad.yaml -o out"),
    "analyze (selection)": ("selection", "analyze {samples} -o out --selection bad.yaml"),
    "validate": ("validation", "validate {full} {fast} -o out.html --object {object} --recipe bad.yaml"),
    "validate (object)": ("object", "validate {full} {fast} -o out.html --object bad.yaml"),
}
"""Stock's recipe and the command that reads ``bad.yaml``, by the name of the command."""

_BAD = (r"bad\.yaml",)


def _changed(source: str, change: Callable[[Any], Any]) -> Any:
    return yaml_edited(source, "bad.yaml", change)


def _everywhere() -> list[Case]:
    """What can be wrong with any recipe."""
    made = []
    for kind, (source, command) in KINDS.items():
        cases = {
            "no such recipe": (_BAD, None),
            "an empty recipe": (_BAD, text("bad.yaml", "")),
            "a recipe that is a list": (_BAD, text("bad.yaml", "- 1\n- 2\n")),
            "a date that is none": (_BAD, text("bad.yaml", "schema_version: 2026-99-99\n")),
            "an unknown key": ((*_BAD, "nonsense"), _changed(source, lambda d: d | {"nonsense": 1})),
            "another version": ((*_BAD, "schema_version"), _changed(source, lambda d: d | {"schema_version": 99})),
            "no version": ((*_BAD, "schema_version"), _changed(source, lambda d: {k: v for k, v in d.items() if k != "schema_version"})),
        }  # fmt: skip
        made += [Case(f"{kind}: {name}", command, *content) for name, content in cases.items()]
    return made


def _of_yaml() -> list[Case]:
    """What YAML itself can raise, once: all recipes are read by one function."""
    _, command = KINDS["train"]
    cases = {
        "bytes": (_BAD, text("bad.yaml", b"\xff\xfe\x00\x01" * 20)),
        "a control character": (_BAD, text("bad.yaml", "object: \x07\n")),
        "tabs": (_BAD, text("bad.yaml", "object:\tmuons\n\tx: 1\n")),
        "a bracket that is open": (_BAD, text("bad.yaml", "flow: {layers: 1\n")),
        "a key twice": ((*_BAD, "min_rows"), edited("training", "bad.yaml", ("min_rows: 5", "min_rows: 5\nmin_rows: 6"))),
        "an alias of nothing": (_BAD, text("bad.yaml", "flow: *none\n")),
        "a Python object": (_BAD, text("bad.yaml", "object: !!python/object/apply:os.system ['touch x']\n")),
        "a list as a key": (_BAD, text("bad.yaml", "? [1, 2]\n: 3\n")),
        "a recipe that holds itself": (_BAD, text("bad.yaml", "schema_version: 1\nflow: &a {layers: *a}\n")),
        "aliases that grow": (
            _BAD,
            text("bad.yaml", "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12))),
        ),
        "deep nesting": (_BAD, text("bad.yaml", "flow: " + "[" * 20_000)),
        "nesting of mappings": (_BAD, text("bad.yaml", "flow: " + "{a: " * 5_000 + "}" * 5_000)),
        "a whole number of 5000 digits": (_BAD, edited("training", "bad.yaml", ("min_rows: 5", "min_rows: " + "9" * 5000))),
        "a whole number beyond 64 bits": ((*_BAD, "line 5"), edited("training", "bad.yaml", ("width: 4", "width: 99999999999999999999"))),
        "a number that is infinite": ((*_BAD, "line 5"), edited("training", "bad.yaml", ("width: 4", "width: .inf"))),
        "a number that is none": ((*_BAD, "line 5"), edited("training", "bad.yaml", ("epochs: 2", "epochs: .nan"))),
        "two documents": (_BAD, text("bad.yaml", "schema_version: 1\n---\nschema_version: 1\n")),
        "a text": (_BAD, text("bad.yaml", "just a text\n")),
    }  # fmt: skip
    return [Case(f"train: YAML with {name}", command, *content) for name, content in cases.items()]


def _of_training() -> list[Case]:
    _, command = KINDS["train"]

    def at(*keys: str) -> Callable[[Any], Callable[[Any], None]]:
        def changing(value: Any) -> Callable[[Any], None]:
            def change(found: Any) -> None:
                inner = found
                for key in keys[:-1]:
                    inner = inner[key]
                inner[keys[-1]] = value

            return change

        return changing

    cases = {
        "a width of 0": ("width", at("flow", "width")(0)),
        "a width below 0": ("width", at("flow", "width")(-4)),
        "a width that is text": ("width", at("flow", "width")("wide")),
        "a width that is a list": ("width", at("flow", "width")([4, 8])),
        "half a layer": ("layers", at("flow", "layers")(1.5)),
        "no epochs": ("epochs", at("flow", "schedule", "epochs")(0)),
        "a batch of 0": ("batch", at("flow", "schedule", "batch")(0)),
        "a learning rate of 0": ("learning_rate", at("flow", "schedule", "learning_rate")(0.0)),
        "a learning rate that is no number": ("learning_rate|line", at("flow", "schedule", "learning_rate")(float("nan"))),
        "an infinite learning rate": ("line", at("flow", "schedule", "learning_rate")(float("inf"))),
        "dropout of all": ("dropout", at("flow", "dropout")(1.0)),
        "a flow that is a text": ("flow", at("flow")("large")),
        "a flow of no kind": ("kind", at("flow", "kind")("magic")),
        "a seed that is text": ("seed", at("seed")("lucky")),
        "more rows than there are": ("min_rows|rows|objects", at("min_rows")(10**6)),
        "another object": ("jets", at("object")("jets")),
    }  # fmt: skip
    made = [
        Case(
            f"train: {name}",
            command,
            (*((word,) if name in _LATER else (*_BAD, word)),),
            _changed("training", change),
        )
        for name, (word, change) in cases.items()
    ]
    own = f"train muons {{tables}} --recipe {{training}} {_HERE}"
    options = {
        "no such object": (f"train nothing {{tables}} -o out.safetensors {_HERE}", ("nothing",)),
        "tables of another object": (f"train jets {{tables}} -o out.safetensors {_HERE}", ("muons",)),
        "an output that is there": (f"{own} -o out.safetensors", (r"out\.safetensors", "exists already"), text("out.safetensors", "")),
        "an output below a file": (f"{own} -o file/out.safetensors", ("file",), text("file", "")),
        "an output that is a folder": (f"{own} -o out.safetensors -f", (r"out\.safetensors", "folder"), text("out.safetensors/x", "")),
        "a run folder that is a file": (f"{own} -o out.safetensors --runs file", ("file",), text("file", "")),
        "no such key": (f"{own} -o out.safetensors --set flow.widht=3", (r"flow\.widht", r"flow\.width")),
        "a value of another type": (f"{own} -o out.safetensors --set flow.width=none", (r"flow\.width",)),
        "a value that is no YAML": (f"{own} -o out.safetensors --set 'flow.width=[1'", (r"flow\.width",)),
        "a value that is a date": (f"{own} -o out.safetensors --set flow.width=2026-99-99", (r"flow\.width",)),
        "a key alone": (f"{own} -o out.safetensors --set flow.width", (r"flow\.width",)),
        "no such device": ("train muons {tables} -o out.safetensors --recipe {training} --device quantum", ("quantum",)),
        "no threads": ("train muons {tables} -o out.safetensors --recipe {training} --threads 0", ("--threads",)),
        "no output": ("train muons {tables}", ("--output",)),
        "no tables": ("train muons", ("tables",)),
    }  # fmt: skip
    return [*made, *(Case(f"train: {name} (option)", *content) for name, content in options.items())]


_LATER = {"more rows than there are", "another object"}
"""What the tables tell, not the recipe."""


def _of_preprocessing() -> list[Case]:
    _, command = KINDS["preprocess"]

    def target(number: int, **changes: Any) -> Callable[[Any], None]:
        return lambda d: d["targets"][number].update(changes)

    cases = {
        "no targets": ("targets", lambda d: d.update(targets=[])),
        "targets that are a mapping": ("targets", lambda d: d.update(targets={"pt": 1})),
        "a target twice": ("pt", lambda d: d["targets"].append(d["targets"][0])),
        "a target of no relation": ("relation", target(0, relation="magic")),
        "a target with a width of 0": ("width", target(0, width=0)),
        "a range from high to low": ("range", target(1, range=[5, -5])),
        "a range of one number": ("range", target(1, range=[5])),
        "a version that is none": ("since", target(0, since="v99")),
        "conditioning of no kind": ("kind", lambda d: d["conditioning"][0].update(kind="magic")),
        "conditioning on a field that is not there": (
            "mystery",
            lambda d: d["conditioning"][0].update(field="mystery"),
        ),
        "a gen collection that is not there": ("GenTau", lambda d: d.update(gen="GenTau")),
        "no collection": ("collection", lambda d: {k: v for k, v in d.items() if k != "collection"}),
        "a split of everything": (
            "validation|split",
            lambda d: d.update(split={"validation": 0.9, "test": 0.9}),
        ),
    }
    made = [
        Case(f"preprocess: {name}", command, (*_BAD, word), _changed("object", change))
        for name, (word, change) in cases.items()
    ]
    run = "preprocess {object} bad.root -o out"
    bad = r"bad\.root"
    inputs = {
        **{
            f"no {name}": ((bad, name), columns(without(name), source="full"))
            for name in ("event", "GenPart_pdgId", "Muon_pt", "Muon_genPartIdx", "Pileup_nPU")
        },
        **{
            f"{name} is shorter than its collection": ((bad, name), columns(shorter(name), source="full"))
            for name in ("GenPart_pdgId", "Muon_eta", "Muon_genPartIdx", "GenJet_pt")
        },
        "a gen momentum that is no number": ((bad, "GenPart_pt"), columns(put("GenPart_pt", float("nan")), source="full")),
        "an infinite gen momentum": ((bad, "GenPart_eta"), columns(put("GenPart_eta", float("inf")), source="full")),
    }  # fmt: skip
    made += [Case(f"preprocess: {name}", run, *content) for name, content in inputs.items()]
    options = {
        "a view that is not there": (
            command,
            (r"none\.yaml",),
            _changed("object", lambda d: d.update(gen_view="none.yaml")),
        ),
        "no such object": ("preprocess nothing {full} -o out", ("nothing",)),
        "gen-level events": ("preprocess muons {gen} -o out", (r"gen\.root", "Muon")),
        "a folder that holds tables": (
            "preprocess {object} {full} -o out",
            ("out", "exist"),
            copied("tables", "out"),
        ),
        "a file as the folder": ("preprocess {object} {full} -o out", ("out",), text("out", "mine")),
        "no such key": ("preprocess {object} {full} -o out --set nothing=1", ("nothing",)),
        "chunks of nothing": ("preprocess {object} {full} -o out --chunk 0", ("--chunk",)),
        "no inputs": ("preprocess {object} -o out", ("input",)),
        "a glob without a match": ("preprocess {object} 'none*.root' -o out", (r"none\*",)),
    }
    return [*made, *(Case(f"preprocess: {name} (option)", *content) for name, content in options.items())]


def _of_refining() -> list[Case]:
    pairs = "refine pairs {fast} {full} -o out --recipe {refiner_recipe}"
    cases = {
        "one file": ("refine pairs {fast} -o out", ("full",)),
        "no such recipe": ("refine pairs {fast} {full} -o out --recipe nothing", ("nothing",)),
        "no such key": (f"{pairs} --set nothing=1", ("nothing",)),
        "gen-level events": (
            "refine pairs {gen} {gen} -o out --recipe {refiner_recipe}",
            (r"gen\.root", "Jet"),
        ),
        "a folder that holds pairs": (pairs, ("out", "exist"), copied("pairs", "out")),
        "chunks of nothing": (f"{pairs} --chunk 0", ("--chunk",)),
        "a distance below 0": (f"{pairs} --set pairs.distance=-1", ("distance",)),
    }
    made = [Case(f"refine pairs: {name} (option)", *content) for name, content in cases.items()]
    train = f"refine train {{pairs}} -o out.safetensors --recipe {{refiner_recipe}} {_HERE}"
    options = {
        "a batch of 0": (f"{train} --set schedule.batch=0", ("batch",)),
        "a network of width 0": (f"{train} --set network.width=0", ("width",)),
        "a loss of no kind": (f"{train} --set stages.0.primary=magic", ("magic|primary",)),
        "an output that is there": (
            train,
            (r"out\.safetensors", "exists already"),
            text("out.safetensors", ""),
        ),
        "a recipe of other pairs": (
            f"refine train {{pairs}} -o out.safetensors --recipe muons {_HERE}",
            ("pairs",),
        ),
        "training tables": (f"refine train {{tables}} -o out.safetensors {_HERE}", ("tables", "pairs")),
    }
    return [*made, *(Case(f"refine train: {name} (option)", *content) for name, content in options.items())]


def _of_grids() -> list[Case]:
    _, command = KINDS["grid"]
    cases = {
        "nothing that varies": ("vary", lambda d: d.update(vary={})),
        "a key that is none": ("seeds", lambda d: d.update(vary={"seeds": [1]})),
        "no values": ("seed", lambda d: d.update(vary={"seed": []})),
        "values that are one": ("seed|vary", lambda d: d.update(vary={"seed": 1})),
        "a value of another type": ("width", lambda d: d.update(vary={"network.width": ["wide", 4]})),
        "a range without a search": ("seed", lambda d: d.update(vary={"seed": {"low": 1, "high": 2}})),
        "a base that is not there": ("none", lambda d: d.update(base="none.yaml")),
        "no kind": ("kind", lambda d: {k: v for k, v in d.items() if k != "kind"}),
        "a kind that is none": ("kind", lambda d: d.update(kind="magic")),
        "a fixed key that is none": ("nothing", lambda d: d.update(fixed={"nothing": 1})),
        "a key that varies and is fixed": ("seed", lambda d: d.update(fixed={"seed": 1})),
    }
    made = [
        Case(f"grid: {name}", command, (word,), _changed("grid", change))
        for name, (word, change) in cases.items()
    ]
    own = "grid {grid} {pairs} -o out --device cpu"
    grid = several(copied("gridded", "out"))
    options = {
        "tables in place of pairs": ("grid {grid} {tables} -o out --device cpu", ("tables",)),
        "no tables": ("grid {grid} none -o out --device cpu", ("none",)),
        "a point that is none": (f"{own} --point 7", ("--point 7",)),
        "a point and a search": (f"{own} --point 0 --trials 2", ("--trials|--point",)),
        "a summary of nothing": (f"{own} --summary", ("out",)),
        "a file as the folder": (own, ("out",), text("out", "mine")),
        "a grid that was begun": (own, ("--resume",), grid),
        "a note that is cut off": (f"{own} --resume", (r"grid\.json",), several(grid, _cut("out/grid.json"))),
        "a note that is a list": (f"{own} --resume", (r"grid\.json|out",), several(grid, text("out/grid.json", "[1]"))),
        "a grid of another recipe": (
            f"{own} --resume",
            ("another",),
            several(grid, json_edited("gridded", "out/grid.json", lambda d: d["recipe"].update(seed=9))),
        ),
        "a summary of a note that is cut off": (f"{own} --summary", (r"grid\.json",), several(grid, _cut("out/grid.json"))),
        "no process": (f"{own} --workers 0", ("--workers",)),
        "no such key": (f"{own} --set nothing=1", ("nothing",)),
    }  # fmt: skip
    return [*made, *(Case(f"grid: {name} (option)", *content) for name, content in options.items())]


def _cut(name: str) -> Any:
    def build(_: Any, folder: Any) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[:100])

    return build


def _of_analyses() -> list[Case]:
    _, command = KINDS["analyze"]

    def files(change: Callable[[dict[str, Any]], None]) -> Callable[[Any], None]:
        return lambda d: change(d["processes"]["higgs"]["files"])

    cases = {
        "no processes": ("processes", lambda d: d.update(processes={})),
        "processes that are a list": ("processes", lambda d: d.update(processes=[1])),
        "a cross section below 0": ("cross_section", lambda d: d["processes"]["dy"].update(cross_section=-1)),
        "a cross section that is no number": ("line", lambda d: d["processes"]["dy"].update(cross_section=float("nan"))),
        "a luminosity that is text": ("luminosity", lambda d: d.update(luminosity="much")),
        "an era that is none": ("era", lambda d: d.update(era=[2018])),
        "a reference that is none": ("reference|delphes", lambda d: d.update(reference="delphes")),
        "a simulation without files": ("flash", files(lambda f: f.pop("flash"))),
        "a file that is missing": (r"none\.root", files(lambda f: f.update(flash=["none.root"]))),
        "a glob without a match": (r"none\*", files(lambda f: f.update(flash=["none*.root"]))),
        "a view that is none": ("view", lambda d: d["simulations"]["flash"].update(view="magic")),
    }  # fmt: skip
    made = [
        Case(f"analyze: {name}", command, (word,), _changed("samples", change))
        for name, (word, change) in cases.items()
    ]
    own = "analyze {samples} -o out"
    options = {
        "a step that is none": (f"{own} --with nothing", ("nothing",)),
        "a concept that is none": (f"{own} --without nothing", ("nothing",)),
        "figures of no format": (f"{own} --figures bmp", ("bmp",)),
        "no such key": (f"{own} --set nothing=1", ("nothing",)),
        "chunks of nothing": (f"{own} --chunk 0", ("--chunk",)),
        "a folder that holds something": (own, ("out", "exists"), text("out/analysis.json", "{}")),
        "a file as the folder": (own, ("out",), text("out", "")),
        "no process": (f"{own} --workers 0", ("--workers",)),
    }
    made += [Case(f"analyze: {name} (option)", *content) for name, content in options.items()]
    compare = "validate {full} {fast} --object {object} -o out.html"
    validation = {
        "no such object": ("validate {full} {fast} --object nothing -o out.html", ("nothing",)),
        "gen-level events": ("validate {full} {gen} --object {object} -o out.html", (r"gen\.root",)),
        "a light that is none": (f"{compare} --fail-above red", ("red",)),
        "a page that is there": (compare, (r"out\.html", "exists already"), text("out.html", "")),
        "a page in no folder": (
            f"{compare.replace('out.html', 'file/out.html')}",
            ("file",),
            text("file", ""),
        ),
        "the reference as the page": (
            "validate in.root {fast} -o in.root -f",
            (r"in\.root",),
            copied("full", "in.root"),
        ),
        "no such key": (f"{compare} --set nothing=1", ("nothing",)),
    }
    return [*made, *(Case(f"validate: {name} (option)", *content) for name, content in validation.items())]


CASES = unique(
    [
        *_everywhere(),
        *_of_yaml(),
        *_of_training(),
        *_of_preprocessing(),
        *_of_refining(),
        *_of_grids(),
        *_of_analyses(),
    ]
)
