"""Train the networks that score objects, and compare them with CMS's.

    python -m benchmarks.taggers measure FILE... --era run2    # quantiles of CMS's scores
    python -m benchmarks.taggers train all --era run2 --table run2.npz --source FOLDER
    python -m benchmarks.taggers judge FILE... --era run2 --table run2.npz

FOLDER holds ``gen.root`` and ``particles.root`` of top pairs; ``minbias.root`` is beside it, or given. A
table that is not there is made of them: features and truth of what the detector records. ``train`` writes
``reference/taggers/ERA/NAME.safetensors``, which detectors then use; train again when the detector changes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.taggers import anchors, fit, judge, tables
from benchmarks.taggers.definitions import definitions

FOLDER = Path(__file__).resolve().parents[2] / "reference" / "taggers"


def main() -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.taggers",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in (("measure", _measure), ("train", _train), ("judge", _judge)):
        own = commands.add_parser(name)
        own.set_defaults(run=run)
        own.add_argument("--era", default="run2", choices=("run2", "run3"))
        if name in {"measure", "judge"}:
            own.add_argument("files", type=Path, nargs="+", help="NanoAOD of CMS's full simulation")
        if name != "measure":
            own.add_argument("--table", type=Path, required=True, help="table of objects with truth")
            own.add_argument("--folder", type=Path, help="of networks, by default that of the era")
        if name == "train":
            own.add_argument("names", nargs="+", help="networks, or all")
            own.add_argument("--source", type=Path, help="folder with gen.root and particles.root")
            own.add_argument("--minbias", type=Path, help="default: minbias.root beside the folder")
            own.add_argument("--events", type=int, default=10_000, help="largest number of events to record")
            own.add_argument("--epochs", type=int, default=12)
            own.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.run(options)


def _measure(options: argparse.Namespace) -> None:
    used = [definition.scores for definition in definitions().values() if options.era in definition.eras]
    scores = {name: score for by_name in used for name, score in by_name.items()}
    groups = {
        name: group
        for score in scores.values()
        for name, group in score.points.items()
        if isinstance(group, str)
    }
    made = {name: score.score(name) for name, score in scores.items()}
    found = anchors.read_anchors() | {options.era: anchors.measure(options.files, made, groups)}
    lines = [
        f"{json.dumps(era)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(by_group)}" for name, by_group in by_score.items())
        + "\n}"
        for era, by_score in sorted(found.items())
    ]
    anchors.FILE.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def _train(options: argparse.Namespace) -> None:
    if not options.table.is_file():
        minbias = options.minbias or options.source.parent / "minbias.root"
        tables.record_table(options.source, minbias, options.table, era=options.era, events=options.events)
    known = {name: own for name, own in definitions().items() if options.era in own.eras}
    folder = options.folder or FOLDER / options.era
    folder.mkdir(exist_ok=True, parents=True)
    goals = anchors.read_anchors()[options.era]
    for name in known if options.names == ["all"] else options.names:
        print(f"{name}:")
        definition = known[name]
        table = tables.read_table(options.table, definition.collections[0])
        if not table:
            print("  there are no such objects in the table")
            continue
        tagger = fit.train_tagger(definition, table, goals, epochs=options.epochs, seed=options.seed)
        tagger.write(folder / f"{name}.safetensors")


def _judge(options: argparse.Namespace) -> None:
    for line in judge.judge(options.files, options.table, options.folder or FOLDER / options.era):
        print(line)


if __name__ == "__main__":
    main()
