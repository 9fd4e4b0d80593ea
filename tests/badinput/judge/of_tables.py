"""Bad tables, pairs, checkpoints and logs, and what trainings and the monitor do with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from judge.cases import Case, copied, damaged, edited, json_edited, several, text, unique

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

__all__ = ["CASES", "write_parquet"]

_HERE = "--device cpu --threads 1"
_TRAIN = f"train muons tables -o out.safetensors --recipe {{training}} {_HERE}"
_REFINE = f"refine train pairs -o out.safetensors --recipe {{refiner_recipe}} {_HERE}"


def table(source: str, name: str, change: Callable[[pd.DataFrame], Any]) -> Any:
    """Change a Parquet file of the stock."""

    def build(stock: Any, folder: Any) -> None:
        import pandas as pd

        content = pd.read_parquet(folder / name)
        given = change(content)
        write_parquet(content if given is None else given, folder / name)

    return several(copied(source), build) if source else build


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table in which what is no number is a value, as the package writes it, and not an empty entry."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        name: pa.array(v.to_numpy() if v.dtype.kind in "biuf" else list(v)) for name, v in table.items()
    }
    pq.write_table(pa.table(columns), path)


def _put(column: str, value: Any) -> Callable[[pd.DataFrame], None]:
    def change(found: pd.DataFrame) -> None:
        if isinstance(value, float):
            found[column] = found[column].astype("float32")
        rows = np.flatnonzero(found["reconstructed"]) if "reconstructed" in found else [0]
        found.loc[rows[0], column] = value

    return change


def _as_text(column: str) -> Callable[[pd.DataFrame], None]:
    def change(found: pd.DataFrame) -> None:
        found[column] = [str(value) for value in found[column]]

    return change


def _as_lists(column: str) -> Callable[[pd.DataFrame], None]:
    def change(found: pd.DataFrame) -> None:
        found[column] = [[value] for value in found[column]]

    return change


def _kept(name: str) -> Callable[[Any], Any]:
    return lambda found: {key: value for key, value in found.items() if key != name}


def _training_tables() -> list[Case]:
    objects, unmatched, sources = (
        f"train/{name}.parquet" for name in ("objects", "unmatched/event", "sources/event")
    )
    note = "tables/tables.json"

    def of(name: str, change: Callable[[pd.DataFrame], Any]) -> Any:
        return table("tables", f"tables/{name}", change)

    def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Any:
        return several(copied("tables"), damaged("tables", f"tables/{name}", change))

    def noted(change: Callable[[Any], Any]) -> Any:
        return several(copied("tables"), json_edited("tables", note, change))

    cases = {
        "no folder": ((r"tables",), None),
        "an empty folder": ((r"tables",), lambda _, f: (f / "tables").mkdir()),
        "a file as the folder": ((r"tables",), text("tables", "")),
        **{
            f"{name} is missing": ((name,), several(copied("tables"), lambda _, f, n=name: (f / "tables" / n).unlink()))
            for name in (objects, unmatched, sources, "validation/objects.parquet", "tables.json")
        },
        "an empty table": ((objects,), bytes_of(objects, lambda _: b"")),
        "a table of text": ((objects,), bytes_of(objects, lambda _: b"text" * 500)),
        "a table that is cut off": ((objects,), bytes_of(objects, lambda b: b[: len(b) // 2])),
        "a table whose end is zeros": ((objects,), bytes_of(objects, lambda b: b[:-200] + bytes(200))),
        "a table whose pages are zeros": ((objects,), bytes_of(objects, lambda b: b[:500] + bytes(6000) + b[6500:])),
        "a column is missing": ((r"objects\.parquet", r"conditioning\.pt"), of(objects, lambda t: t.drop(columns="conditioning.pt"))),
        "a target is missing": ((r"objects\.parquet", r"target\.eta"), of(objects, lambda t: t.drop(columns="target.eta"))),
        "a gen field is missing": ((r"objects\.parquet", r"gen\.pt"), of(objects, lambda t: t.drop(columns="gen.pt"))),
        "what was found is missing": ((r"objects\.parquet", "reconstructed"), of(objects, lambda t: t.drop(columns="reconstructed"))),
        "numbers of unmatched ones are missing": ((r"sources/event\.parquet", "number"), of(sources, lambda t: t.drop(columns="number"))),
        "a column of the validation is missing": (
            (r"validation/objects\.parquet", r"conditioning\.eta"),
            of("validation/objects.parquet", lambda t: t.drop(columns="conditioning.eta")),
        ),
        "a column of text": ((r"objects\.parquet", r"conditioning\.pt"), of(objects, _as_text("conditioning.pt"))),
        "a target of text": ((r"objects\.parquet", r"target\.pt"), of(objects, _as_text("target.pt"))),
        "a column of lists": ((r"objects\.parquet", r"conditioning\.pt"), of(objects, _as_lists("conditioning.pt"))),
        "what was found is text": ((r"objects\.parquet", "reconstructed"), of(objects, _as_text("reconstructed"))),
        "a number of unmatched ones below 0": (("number",), of(sources, _put("number", -3))),
        "a table without rows": (("tables|objects",), of(objects, lambda t: t[:0])),
        "an empty description": ((r"tables\.json",), several(copied("tables"), text(note, ""))),
        "a description that is no JSON": ((r"tables\.json",), bytes_of("tables.json", lambda b: b[:500])),
        "a description that is a list": ((r"tables\.json",), noted(lambda _: [1])),
        "a description that is nested deeply": ((r"tables\.json",), several(copied("tables"), text(note, "[" * 100_000))),
        "a description of bytes": ((r"tables\.json",), several(copied("tables"), text(note, b"\xff\xfe\0" * 99))),
        "a description of another version": ((r"tables\.json", "version"), noted(lambda d: d | {"schema_version": 99})),
        **{
            f"a description without {key}": ((r"tables\.json", key), noted(_kept(key)))
            for key in ("declaration", "nanoaod_version", "events", "gen_objects")
        },
        "a description with a number of 5000 digits": (
            (r"tables\.json",),
            several(copied("tables"), edited("tables", note, ('"schema_version": 1', '"schema_version": ' + "1" * 5000))),
        ),
        "a declaration without targets": ((r"tables\.json", "targets"), noted(lambda d: d["declaration"].pop("targets") and None)),
        "tables of another object": (("jets",), noted(lambda d: d["declaration"].update(name="jets"))),
    }  # fmt: skip
    aside = {
        "conditioning that is no number": (
            r"conditioning 'pt'",
            of(objects, _put("conditioning.pt", np.nan)),
        ),
        "an infinite conditioning": (r"conditioning 'eta'", of(objects, _put("conditioning.eta", np.inf))),
        "a target that is no number": (r"targets 'pt'", of(objects, _put("target.pt", np.nan))),
        "an infinite target": (r"targets 'eta'", of(objects, _put("target.eta", -np.inf))),
        "an infinite target of unmatched ones": (r"targets 'pt'", of(unmatched, _put("target.pt", np.inf))),
    }
    return [
        *(Case(f"train: {name}", _TRAIN, *content) for name, content in cases.items()),
        *(
            Case(f"train: {name}", _TRAIN, (), build, told=(rf"1 rows set aside, not finite in {where}",))
            for name, (where, build) in aside.items()
        ),
    ]


def _pairs() -> list[Case]:
    train = "pairs/train.parquet"

    def of(change: Callable[[pd.DataFrame], Any]) -> Any:
        return table("pairs", train, change)

    def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Any:
        return several(copied("pairs"), damaged("pairs", f"pairs/{name}", change))

    def noted(change: Callable[[Any], Any]) -> Any:
        return several(copied("pairs"), json_edited("pairs", "pairs/pairs.json", change))

    cases = {
        "no folder": (("pairs",), None),
        "training tables": (("pairs",), copied("tables", "pairs")),
        "a table is missing": ((r"validation\.parquet",), several(copied("pairs"), lambda _, f: (f / "pairs/validation.parquet").unlink())),
        "a table that is cut off": ((r"train\.parquet",), bytes_of("train.parquet", lambda b: b[: len(b) // 2])),
        "an empty table": ((r"train\.parquet",), bytes_of("train.parquet", lambda _: b"")),
        "a column is missing": (("train", r"fast\.pt"), of(lambda t: t.drop(columns="fast.pt"))),
        "a column of text": ((r"train\.parquet", r"full\.pt"), of(_as_text("full.pt"))),
        "a column of lists": ((r"train\.parquet", r"gen\.eta"), of(_as_lists("gen.eta"))),
        "no rows": (("pairs",), of(lambda t: t[:0])),
        "a description that is no JSON": ((r"pairs\.json",), bytes_of("pairs.json", lambda b: b[:500])),
        "a description without its recipe": ((r"pairs\.json", "recipe"), noted(_kept("recipe"))),
        "a description of another version": ((r"pairs\.json", "version"), noted(lambda d: d | {"schema_version": 99})),
        "pairs of other branches": (("pairs",), noted(lambda d: d["recipe"].update(collection="Muon"))),
    }  # fmt: skip
    aside = {
        "a value that is no number": _put("fast.pt", np.nan),
        "an infinite value": _put("full.pt", np.inf),
        "a gen value that is no number": _put("gen.eta", np.nan),
    }
    return [
        *(Case(f"refine train: {name}", _REFINE, *content) for name, content in cases.items()),
        *(
            Case(
                f"refine train: {name}",
                _REFINE,
                (),
                of(change),
                told=("train: 1 rows set aside, not finite",),
            )
            for name, change in aside.items()
        ),
    ]


def _interrupted() -> list[Case]:
    """Trainings that are gone on with, of which something is damaged."""
    go_on = f"train muons {{tables}} -o few.safetensors --recipe {{training}} --resume {_HERE}"
    run = "few.safetensors.run"
    last = f"{run}/flow/last.ckpt"

    def of(*builds: Any) -> Any:
        return several(copied("run", run), *builds)

    def checkpoint(change: Callable[[bytes], bytes]) -> Any:
        return of(damaged("run", last, change))

    def best(change: Callable[[bytes], bytes]) -> Any:
        return of(damaged("run", f"{run}/flow/best.ckpt", change))

    log = f"{run}/run.jsonl"
    words = (r"best\.ckpt", "remove this file", "--resume")
    cases = {
        "the best checkpoint cut to half": (words, best(lambda b: b[: len(b) // 2])),
        "an empty best checkpoint": (words, best(lambda _: b"")),
        "a best checkpoint of another network": (words, of(copied("run/efficiency/best.ckpt", f"{run}/flow/best.ckpt"))),
        "a best checkpoint of a pickled command": (words, best(lambda _: _PICKLE)),
        "a note that is cut off": ((r"training\.json",), of(damaged("run", f"{run}/training.json", lambda b: b[:99]))),
        "a note that is a list": ((r"training\.json|few\.safetensors\.run",), of(text(f"{run}/training.json", "[1, 2]"))),
        "a note that is nested deeply": ((r"training\.json|few\.safetensors\.run",), of(text(f"{run}/training.json", "[" * 99_999))),
        "a note of another recipe": (("another recipe",), of(json_edited("run", f"{run}/training.json", lambda d: d["recipe"].update(seed=7)))),
    }  # fmt: skip
    made = [Case(f"train --resume: {name}", go_on, *content) for name, content in cases.items()]
    same = ("few.safetensors", "right.safetensors")
    right = f"train muons {{tables}} -o right.safetensors --recipe {{training}} {_HERE}"
    accepted = {
        "a last checkpoint cut to half": checkpoint(lambda b: b[: len(b) // 2]),
        "an empty last checkpoint": checkpoint(lambda _: b""),
        "a last checkpoint of zeros": checkpoint(lambda b: bytes(len(b))),
        "a last checkpoint of text": checkpoint(lambda _: b"text" * 200),
        "a last checkpoint of another network": of(copied("run/efficiency/last.ckpt", last)),
        "a last checkpoint of a pickled command": checkpoint(lambda _: _PICKLE),
        "a log whose last line is cut off": of(damaged("run", log, lambda b: b[:-20])),
        "a log with a line of bytes": of(damaged("run", log, lambda b: b + b"\xff\xfe\n")),
        "a log with a time beyond bounds": of(
            damaged("run", log, lambda b: b + b'{"event": "heartbeat", "time": 1e999}\n')
        ),
        "a log with a list": of(damaged("run", log, lambda b: b + b"[1]\n")),
        "a log that is nested deeply": of(damaged("run", log, lambda b: b + b"[" * 99_999 + b"\n")),
        "no log": of(lambda _, f: (f / log).unlink()),
    }
    return [
        *made,
        *(Case(f"train --resume: {name}", go_on, (), build, right, same) for name, build in accepted.items()),
        Case(
            "train: an interrupted training without --resume",
            f"train muons {{tables}} -o few.safetensors --recipe {{training}} {_HERE}",
            (r"few\.safetensors\.run", "--resume"),
            of(damaged("run", log, lambda b: b"\n".join(b.splitlines()[:-3]) + b"\n")),
        ),
    ]


class _Call:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, ("pickled",)


def _pickled() -> bytes:
    import pickle

    return pickle.dumps(_Call())


_PICKLE = _pickled()


def _line(**content: Any) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _epoch(**changes: Any) -> bytes:
    losses = {"train": 1.0, "validation": 1.0}
    content = {"event": "epoch", "time": 1e9, "network": "flow", "epoch": 3, "of": 3, "losses": losses}
    return _line(**(content | changes))


def _monitored() -> list[Case]:
    """One log with an odd line beside good ones: the page shows the others as ever."""
    odd = {
        "a line of bytes": b"\xff\xfe\0\n",
        "a line of text": b"not JSON\n",
        "a list": b"[1, 2]\n",
        "a number": b"17\n",
        "deep nesting": b"[" * 99_999 + b"\n",
        "deep nesting in a value": b'{"event": "epoch", "time": 1e9, "losses": ' + b'{"a":' * 99_999 + b"\n",
        "a time that is infinite": _epoch()[:-2].replace(b"1000000000.0", b"1e999") + b"}\n",
        "a time that is text": _epoch(time="noon"),
        "a time that is no number": _epoch(time=float("nan")),
        "a time far away": _epoch(time=1e300),
        "an epoch beyond 64 bits": _epoch(epoch=2**70),
        "an epoch of 5000 digits": b'{"event": "epoch", "time": 1e9, "network": "flow", "epoch": ' + b"9" * 5000 + b"}\n",
        "an epoch below 0": _epoch(epoch=-5),
        "an epoch that is text": _epoch(epoch="three"),
        "an epoch that is half": _epoch(epoch=2.5),
        "losses that are a list": _epoch(losses=[1.0]),
        "a loss that is text": _epoch(losses={"train": "low", "validation": 1.0}),
        "a loss that is no number": _epoch(losses={"train": float("nan"), "validation": float("inf")}),
        "a loss beyond floats": _epoch(losses={"train": 10**400, "validation": 1.0}),
        "a network that is a list": _epoch(network=[1]),
        "a parameter that is no number": _line(event="queued", time=1e9, name="x", parameters={"width": float("nan")}),
        "a parameter that is a mapping": _line(event="queued", time=1e9, name="x", parameters={"width": {"a": 1}}),
        "parameters that are a list": _line(event="queued", time=1e9, name="x", parameters=[1]),
        "a name that is a number": _line(event="queued", time=1e9, name=7, parameters={}),
        "planned epochs that are text": _line(event="start", time=1e9, name="x", parameters={}, epochs="many"),
        "an event of no kind": _line(event="explode", time=1e9),
        "an event without a time": _line(event="heartbeat"),
        "values that are a list": _line(event="finish", time=1e9, values=[1]),
        "an error that is a mapping": _line(event="fail", time=1e9, error={"a": 1}),
        "half a character": b'{"event": "queued", "time": 1e9, "name": "\\ud800", "parameters": {}}\n',
    }  # fmt: skip
    made = [
        Case(
            f"monitor: a log with {name}",
            "monitor mine --export out.html",
            (),
            several(copied("runs", "mine"), text("mine/odd/run.jsonl", line)),
            "monitor {runs} --export right.html",
            ("out.html", "right.html"),
        )
        for name, line in odd.items()
    ]
    refused = {
        "no such folder": ("monitor none --export out.html", ("none",)),
        "a file as the folder": ("monitor {training} --export out.html", (r"short\.yaml",)),
        "a page that is there": ("monitor {runs} --export out.html", (r"out\.html", "exists already"), text("out.html", "")),
        "a page in a folder that is a file": ("monitor {runs} --export file/out.html", ("file",), text("file", "")),
        "a port that is none": ("monitor {runs} --port 70000", ("--port",)),
        "events in a folder that is there": ("monitor {runs} --tensorboard out", ("out", "exists already"), text("out/x", "")),
        "a host that is none": ("monitor {runs} --host 'no host' --port 0", ("no host",)),
    }  # fmt: skip
    return [*made, *(Case(f"monitor: {name}", *content) for name, content in refused.items())]


CASES = unique([*_training_tables(), *_pairs(), *_interrupted(), *_monitored()])
