"""Valid files of every kind, each made once, when it is first asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import yaml

from judge import generators
from judge.columns import Columns, read_columns, write_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from judge.console import Console, Ended

__all__ = ["EVENTS", "Stock"]

ROOT = Path(__file__).resolve().parents[3]
EVENTS = 40
"""Of the gen-level file."""

TRAINING = """
schema_version: 1
object: muons
min_rows: 5
efficiency: {width: 4, depth: 1, schedule: &short {epochs: 2, batch: 512, min_steps: 2}}
flow: &flow {layers: 1, width: 8, depth: 1, bins: 4, schedule: *short}
unmatched:
  count: {width: 4, depth: 1, schedule: *short}
  flow: *flow
"""
_REFINER = {
    "min_rows": 4,
    "network": {"width": 8, "blocks": 1},
    "schedule": {"epochs": 2, "batch": 512, "min_steps": 2},
    "pairs": {"distance": 0.4, "isolation": 0.3},
    "validation_batch": 32,
}
_COMMANDS = """
include = vbf_hmumu.cmnd
PartonLevel:MPI = off
"""
_SAMPLES = """
schema_version: 1
era: UL2018
luminosity: 59.8
reference: full
simulations: {full: {label: full}, flash: {label: flash}}
processes:
  higgs:
    label: signal
    signal: true
    cross_section: 0.5
    files: {full: [FOLDER/full.root], flash: [FOLDER/flash.root]}
  dy:
    label: background
    cross_section: 20
    files: {full: [FOLDER/dy_full.root], flash: [FOLDER/dy_flash.root]}
"""


class Stock:
    """Files by name; ``"{name}".format_map(stock)`` puts their paths into arguments.

    Parameters
    ----------
    folder
        Where they are made.
    console
        Runs the commands that make some of them.
    process
        Folder of NanoAOD of the same made gen events: full.root, full_1.root, fast.root; other.root.
    models
        Folder of barely trained models.
    dimuons
        Folder of made samples for the analysis: full.root, flash.root, dy_full.root, dy_flash.root.
    """

    def __init__(self, folder: Path, console: Console, process: Path, models: Path, dimuons: Path) -> None:
        self.folder, self._console = folder, console
        self._given = {name: process / f"{name}.root" for name in ("full", "full_1", "fast", "other")}
        self._given |= {"models": models, "muons": models / "muons.safetensors", "dimuons": dimuons}

    def __getitem__(self, name: str) -> Path:
        if name not in self._given:
            self._given[name] = getattr(self, f"_{name}")()
        return self._given[name]

    runs: ClassVar[dict[str, Columns]] = {"Runs": {"run": [1], "genEventSumw": [0.5 * EVENTS]}}
    """The other tree of the gen-level file."""

    def columns(self) -> Columns:
        """Branches of the gen-level file."""
        return read_columns(ROOT / "examples" / "vbf_hmumu_gen.root", stop=EVENTS)

    def run(self, *arguments: str) -> Ended:
        """Run a command that has to end well."""
        filled = [a.format_map(self) for a in arguments]
        done = self._console.run(*filled, folder=self.folder, seconds=300.0)
        assert done.status == 0, done.err
        return done

    def made(self) -> Iterator[Path]:
        """Give all files that are there now."""
        return (p for p in self.folder.rglob("*") if p.is_file())

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def _gen(self) -> Path:
        path = self.folder / "gen.root"
        write_columns(path, self.columns(), self.runs)
        return path

    def _hepmc(self) -> Path:
        return self._write("events.hepmc", generators.hepmc3(generators.small_events(6)))

    def _hepmc2(self) -> Path:
        return self._write("old.hepmc", generators.hepmc2(generators.small_events(6)))

    def _lhe(self) -> Path:
        return self._write("z.lhe", generators.lhe(6))

    def _cmnd(self) -> Path:
        return self._write("short.cmnd", _COMMANDS)

    def _training(self) -> Path:
        return self._write("short.yaml", TRAINING)

    def _object(self) -> Path:
        """Give a declaration of muons with few targets."""
        from flashsim.declarations.recipes import read_yaml, recipe_path

        content = read_yaml(recipe_path("preprocessing", "muons"))
        few = content["targets"][:5]
        content["targets"] = [{k: v for k, v in target.items() if k != "scale"} for target in few]
        # Between targets that it has not.
        content |= {"relations": [], "linked": [], "placed": None}
        return self._write("few.yaml", yaml.safe_dump(content))

    def _tables(self) -> Path:
        self.run("preprocess", "{object}", "{full}", "-o", "tables")
        return self.folder / "tables"

    def _trained(self) -> Path:
        """Give a model of muons with few targets; its run folder stands beside it."""
        self.run("train", "muons", "{tables}", "-o", "few.safetensors", "--recipe", "{training}", *_HERE)
        return self.folder / "few.safetensors"

    def _run(self) -> Path:
        """Give the folder of that training: its checkpoints and its log."""
        return self["trained"].with_name("few.safetensors.run")

    def _selection(self) -> Path:
        return ROOT / "analysis" / "vbf_hmumu.yaml"

    def _validation(self) -> Path:
        return ROOT / "analysis" / "validation.yaml"

    def _refiner_recipe(self) -> Path:
        from flashsim.declarations.recipes import recipe_path

        content = yaml.safe_load(recipe_path("training", "refine_pt").read_text(encoding="utf-8"))
        return self._write("refiner.yaml", yaml.safe_dump(content | _REFINER))

    def _pairs(self) -> Path:
        self.run("refine", "pairs", "{fast}", "{full}", "-o", "pairs", "--recipe", "{refiner_recipe}")
        return self.folder / "pairs"

    def _refiner(self) -> Path:
        self.run("refine", "train", "{pairs}", "-o", "pt.safetensors", "--recipe", "{refiner_recipe}", *_HERE)
        return self.folder / "pt.safetensors"

    def _grid(self) -> Path:
        base = str(self["refiner_recipe"])
        content = {"schema_version": 1, "kind": "refiner", "base": base, "vary": {"seed": [1, 2]}}
        return self._write("grid.yaml", yaml.safe_dump(content))

    def _gridded(self) -> Path:
        self.run("grid", "{grid}", "{pairs}", "-o", "gridded", "--device", "cpu")
        return self.folder / "gridded"

    def _samples(self) -> Path:
        return self._write("samples.yaml", _SAMPLES.replace("FOLDER", str(self["dimuons"])))

    def _runs(self) -> Path:
        """Give a folder with the logs of two trainings."""
        for number, name in enumerate(("one", "two")):
            lines = [
                {"event": "start", "time": 1e9, "name": name, "parameters": {"width": 8 + number},
                 "epochs": {"flow": 3}, "resumed": False, "host": "node", "pid": 1},
                *(
                    {"event": "epoch", "time": 1e9 + k, "network": "flow", "epoch": k, "of": 3,
                     "losses": {"train": 2.0 / k + number, "validation": 2.5 / k + number}}
                    for k in (1, 2, 3)
                ),
                {"event": "finish", "time": 1e9 + 4, "values": {"flow.validation": 2.5 / 3 + number}},
            ]  # fmt: skip
            folder = self.folder / "runs" / name
            folder.mkdir(parents=True)
            text = "".join(f"{json.dumps(line)}\n" for line in lines)
            (folder / "run.jsonl").write_text(text, encoding="utf-8")
        return self.folder / "runs"


_HERE = ("--device", "cpu", "--threads", "1")
