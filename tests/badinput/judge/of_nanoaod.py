"""Bad NanoAOD, and bad options of the commands that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np

from judge.cases import Case, columns, copied, damaged, several, text, unique

if TYPE_CHECKING:
    from judge.columns import Columns

__all__ = ["CASES"]

_MODELS = "-m {models} --device cpu --threads 1 -o out.root"
_GENERATE = f"generate bad.root {_MODELS}"
_RIGHT = "generate {gen} -m {models} --device cpu --threads 1 -o right.root"

IDS = ("run", "luminosityBlock", "event")
PARTICLE = ("pt", "eta", "phi", "pdgId", "statusFlags", "genPartIdxMother")
JET = ("pt", "eta", "phi", "mass", "partonFlavour", "hadronFlavour")
NEEDED = (*IDS, *(f"GenPart_{n}" for n in PARTICLE), *(f"GenJet_{n}" for n in JET))
KINEMATIC = ("pt", "eta", "phi", "mass")
FLOATS = (
    *(f"GenPart_{n}" for n in KINEMATIC[:3]),
    *(f"GenJet_{n}" for n in KINEMATIC),
    "Pileup_nTrueInt",
    "Pileup_pudensity",
    "Pileup_gpudensity",
)


def without(*names: str) -> Any:
    """Take branches away."""

    def change(found: Columns) -> None:
        for name in names:
            del found[name]

    return change


def put(name: str, value: float, event: int = 7) -> Any:
    """Give the first value of an event, or that event's only one, another value."""

    def change(found: Columns) -> None:
        values = found[name]
        if not isinstance(values, ak.Array) or values.ndim == 1:
            plain = np.array(values, dtype=np.result_type(np.asarray(values), np.asarray(value).dtype))
            plain[event] = value
            found[name] = plain
            return
        counts = ak.num(values)
        flat = np.array(ak.flatten(values))
        where = int(ak.sum(counts[:event]))
        flat[where] = value
        found[name] = ak.unflatten(flat, counts)

    return change


def shorter(name: str, event: int = 7) -> Any:
    """Take the last value of an event away, or of the next one that has any."""

    def change(found: Columns) -> None:
        values = found[name]
        counts = np.asarray(ak.num(values))
        cut = np.arange(len(values)) == event + np.flatnonzero(counts[event:])[0]
        found[name] = ak.unflatten(
            ak.flatten(values[ak.local_index(values) < ak.num(values) - cut]), ak.num(values) - cut
        )

    return change


def typed(name: str, make: Any) -> Any:
    """Give a branch's values as something else."""

    def change(found: Columns) -> None:
        found[name] = make(found[name])

    return change


def _flat(values: Any) -> Any:
    return np.asarray(ak.fill_none(ak.firsts(values), 0), dtype=np.float32)


def _listed(values: Any) -> Any:
    return ak.unflatten(np.asarray(values), np.ones(len(values), dtype=np.int64))


def _as(dtype: str) -> Any:
    def make(values: Any) -> Any:
        if isinstance(values, ak.Array) and values.ndim == 2:
            return ak.unflatten(np.asarray(ak.flatten(values)).astype(dtype), ak.num(values))
        return np.asarray(values).astype(dtype)

    return make


def _mother(value: Any) -> Any:
    """Change the mother of the last particle of an event; the value may depend on how many there are."""

    def change(found: Columns) -> None:
        values = found["GenPart_genPartIdxMother"]
        counts = np.asarray(ak.num(values))
        flat = np.array(ak.flatten(values))
        last = counts[:8].sum() - 1
        flat[last] = value(counts[7]) if callable(value) else value
        found["GenPart_genPartIdxMother"] = ak.unflatten(flat, counts)

    return change


def _two_mothers(found: Columns) -> None:
    """Make the last two particles of an event mothers of each other."""
    values = found["GenPart_genPartIdxMother"]
    counts = np.asarray(ak.num(values))
    flat = np.array(ak.flatten(values))
    end = counts[:8].sum()
    flat[end - 1], flat[end - 2] = counts[7] - 2, counts[7] - 1
    found["GenPart_genPartIdxMother"] = ak.unflatten(flat, counts)
    flags = np.array(ak.flatten(found["GenPart_pdgId"]))
    flags[end - 2 : end] = 13
    found["GenPart_pdgId"] = ak.unflatten(flags, counts)


def _branches() -> list[Case]:
    made = [
        Case(f"generate: no {name}", _GENERATE, (r"bad\.root", name), columns(without(name)))
        for name in NEEDED
    ]
    made += [
        Case(f"generate: {kind} in {name}", _GENERATE, (r"bad\.root", name), columns(put(name, value)))
        for name in FLOATS
        for kind, value in (("NaN", np.nan), ("infinity", np.inf))
    ]
    made += [
        Case(
            f"generate: {name} is shorter than its collection",
            _GENERATE,
            (r"bad\.root", name),
            columns(shorter(name)),
        )
        for name in (*(f"GenPart_{n}" for n in PARTICLE), *(f"GenJet_{n}" for n in JET))
    ]
    made += [
        Case(
            f"generate: {name} has one value an event",
            _GENERATE,
            (r"bad\.root", name),
            columns(typed(name, _flat)),
        )
        for name in (
            "GenPart_pt",
            "GenPart_pdgId",
            "GenPart_genPartIdxMother",
            "GenJet_eta",
            "GenJet_partonFlavour",
        )
    ]
    made += [
        Case(f"generate: {name} is a list", _GENERATE, (r"bad\.root", name), columns(typed(name, _listed)))
        for name in ("run", "event", "Pileup_nPU", "Pileup_nTrueInt")
    ]
    made += [
        Case(
            f"generate: {name} is of type {kind}",
            _GENERATE,
            (r"bad\.root", name),
            columns(typed(name, _as(kind))),
        )
        for name, kind in (
            ("GenPart_pdgId", "f4"),
            ("GenPart_genPartIdxMother", "f8"),
            ("GenPart_statusFlags", "f4"),
            ("GenPart_pt", "?"),
            ("GenPart_pdgId", "?"),
            ("GenJet_pt", "?"),
            ("event", "f8"),
            ("run", "?"),
        )
    ]
    made += [
        Case(
            f"generate: {name} as {kind}", _GENERATE, (), columns(typed(name, _as(kind))), _RIGHT, but=(name,)
        )
        for name, kind in (
            ("GenPart_pdgId", "i8"),
            ("GenPart_pt", "f8"),
            ("GenJet_pt", "f8"),
            ("GenPart_statusFlags", "i8"),
            ("GenPart_genPartIdxMother", "i8"),
            ("event", "i8"),
            ("run", "i4"),
        )
    ]
    mothers = (r"bad\.root", "GenPart_genPartIdxMother")
    return [
        *made,
        Case("generate: a mother beyond the event", _GENERATE, mothers, columns(_mother(int))),
        Case("generate: a mother far beyond", _GENERATE, mothers, columns(_mother(2_000_000_000))),
        Case("generate: a mother below -1", _GENERATE, mothers, columns(_mother(-5))),
        Case("generate: its own mother", _GENERATE, mothers, columns(_mother(lambda n: n - 1))),
        Case("generate: mothers in a circle", _GENERATE, mothers, columns(_two_mothers)),
        Case("generate: no pileup", _GENERATE, (r"bad\.root", "Pileup", "--pileup"), columns(_no_pileup)),
        Case(
            "generate: an infinity that a cut on pT would hide",
            _GENERATE,
            (r"bad\.root", "GenJet_eta"),
            columns(lambda c: (put("GenJet_pt", 0.5)(c), put("GenJet_eta", np.inf)(c), None)[-1]),
        ),
        Case("generate: a branch that no model needs is gone", _GENERATE, (), columns(without("GenVtx_t0")), _RIGHT,
             but=("GenVtx_t0",)),
    ]  # fmt: skip


def _no_pileup(found: Columns) -> Columns:
    return {name: values for name, values in found.items() if not name.startswith("Pileup_")}


def _files() -> list[Case]:
    def cut(share: float) -> Any:
        return damaged("gen", "bad.root", lambda b: b[: int(share * len(b))])

    def zeroed(start: float, stop: float) -> Any:
        def change(b: bytes) -> bytes:
            first, last = int(start * len(b)), int(stop * len(b))
            return b[:first] + bytes(last - first) + b[last:]

        return damaged("gen", "bad.root", change)

    bad = (r"bad\.root",)
    readers = {
        "generate": _GENERATE,
        "inspect": "inspect bad.root",
        "preprocess": "preprocess muons bad.root -o out",
        "refine pairs": "refine pairs bad.root {full} -o out --recipe {refiner_recipe}",
        "refine pairs (full)": "refine pairs {fast} bad.root -o out --recipe {refiner_recipe}",
        "refine apply": "refine apply bad.root -m {refiner} -o out.root",
        "validate": "validate {full} bad.root -o out.html",
        "validate (reference)": "validate bad.root {full} -o out.html",
        "validate (third)": "validate {full} {full} --third bad.root -o out.html",
    }
    made = []
    for reader, command in readers.items():
        made += [
            Case(f"{reader}: no such file", command, bad),
            Case(f"{reader}: an empty file", command, bad, text("bad.root", "")),
            Case(f"{reader}: text", command, bad, text("bad.root", "no ROOT file\n" * 50)),
            Case(f"{reader}: a file that is cut off", command, bad, cut(0.5)),
        ]
    return [
        *made,
        Case("generate: cut after a tenth", _GENERATE, bad, cut(0.1)),
        Case("generate: cut before its end", _GENERATE, bad, cut(0.99)),
        Case("generate: zeros in the middle", _GENERATE, bad, zeroed(0.3, 0.5)),
        Case("generate: zeros at the end", _GENERATE, bad, zeroed(0.9, 1.0)),
        Case("generate: the head alone", _GENERATE, bad, damaged("gen", "bad.root", lambda b: b[:300])),
        Case("generate: a folder", "generate . " + _MODELS, (r"\.",)),
        Case("generate: no tree Events", _GENERATE, (*bad, "Events"), _other_tree),
        Case("generate: a histogram in place of the tree", _GENERATE, (*bad, "Events"), _histogram),
        Case("generate: models in place of events", "generate {muons} " + _MODELS, (r"muons\.safetensors",)),
        Case("generate: data without generator level", _GENERATE, (*bad, "GenJet"), columns(_data)),
        Case(
            "generate: bytes behind the end",
            _GENERATE,
            (),
            damaged("gen", "bad.root", lambda b: b + b"\0" * 4096),
            _RIGHT,
        ),
        Case("generate: a second tree is left out", _GENERATE, (), _friend, _RIGHT),
        Case(
            "generate: another name",
            "generate 'name with blanks.root' " + _MODELS,
            (),
            copied("gen", "name with blanks.root"),
            _RIGHT,
        ),
    ]


def _data(found: Columns) -> Columns:
    return {name: values for name, values in found.items() if name in IDS}


def _other_tree(_: Any, folder: Any) -> None:
    import uproot

    with uproot.recreate(folder / "bad.root") as file:
        file["Other"] = {"x": np.arange(4.0)}


def _histogram(_: Any, folder: Any) -> None:
    import uproot

    with uproot.recreate(folder / "bad.root") as file:
        file["Events"] = np.histogram(np.arange(10.0))


def _friend(stock: Any, folder: Any) -> None:
    from judge.columns import write_columns

    runs = {"Runs": {"run": [1], "genEventSumw": [20.0]}}
    write_columns(folder / "bad.root", stock.columns(), {**runs, "Friend": {"x": np.arange(3.0)}})


def _options() -> list[Case]:
    gen = "generate {gen} -m {models} --device cpu --threads 1"
    taken = text("out.root", "mine")
    cases = {
        "no input": (f"generate {_MODELS}", ("input",)),
        "an output that is there": (f"{gen} -o out.root", (r"out\.root", "exists already"), taken),
        "an output in no folder": (f"{gen} -o none/out.root", ("none",)),
        "an output below a file": (f"{gen} -o file/out.root", ("file",), text("file", "")),
        "the input as the output": (
            f"generate in.root {_MODELS.replace('out.root', 'in.root')} -f",
            (r"in\.root", "input"),
            copied("gen", "in.root"),
        ),
        "the input behind a link as the output": (
            f"generate in.root {_MODELS.replace('out.root', 'link.root')} -f",
            (r"link\.root", "input"),
            several(copied("gen", "in.root"), lambda _, f: (f / "link.root").symlink_to("in.root")),
        ),
        "two inputs and one file": ("generate {gen} {full} -m {models} -o out.root", (r"out\.root",)),
        "a glob without a match": (f"generate 'none*.root' {_MODELS}", (r"none\*\.root",)),
        "a list that is not there": (f"generate @none.txt {_MODELS}", (r"none\.txt",)),
        "an empty list": (f"generate @list.txt {_MODELS}", (r"list\.txt",), text("list.txt", "\n# none\n")),
        "a list that names no file": (f"generate @list.txt {_MODELS}", (r"none\.root",), text("list.txt", "none.root\n")),
        "a list of bytes": (f"generate @list.txt {_MODELS}", (r"list\.txt",), text("list.txt", b"\xff\xfe\0\1")),
        "no such version": (f"{gen} -o out.root --nano-version v99", ("v99",)),
        "a version that is none": (f"{gen} -o out.root --nano-version nine", ("nine",)),
        "nothing to keep": (f"{gen} -o out.root --keep 'HLT_*'", (r"HLT_\*",)),
        "oversampled by 0": (f"{gen} -o out.root --oversample 0", ("--oversample",)),
        "oversampled too often": (f"{gen} -o out.root --oversample 70000", ("--oversample",)),
        "chunks of nothing": (f"{gen} -o out.root --chunk 0", ("--chunk",)),
        "a chunk that is a word": (f"{gen} -o out.root --chunk many", ("--chunk",)),
        "no such compression": (f"{gen} -o out.root --compression rar", ("rar",)),
        "no such key": (f"{gen} -o out.root --set nothing=1", ("nothing",)),
        "a change without a value": (f"{gen} -o out.root --set nothing", ("nothing",)),
        "no such device": (f"{gen.replace('--device cpu', '--device tpu')} -o out.root", ("tpu",)),
        "no GPU": (f"{gen.replace('--device cpu', '--device cuda:77')} -o out.root", ("cuda:77",)),
        "no process": (f"{gen} -o out.root --workers 0", ("--workers",)),
        "retries below 0": (f"{gen} -o out.root --retries -1", ("--retries",)),
        "a seed below 0": (f"{gen} -o out.root --seed -1", ("--seed",)),
        "workers and a cluster": (f"{gen} -o out.root --workers 2 --dask tcp://127.0.0.1:1", ("--dask",)),
        "a cluster's address that is none": (f"{gen} -o out.root --dask nowhere", ("nowhere",)),
        "no such model": ("generate {gen} -m none.safetensors -o out.root", (r"none\.safetensors",)),
        "a folder without models": ("generate {gen} -m empty -o out.root", ("empty",), lambda _, f: (f / "empty").mkdir()),
        "a model twice": ("generate {gen} -m {muons} -m {muons} -o out.root", ("Muon",)),
        "a refiner as a model": ("generate {gen} -m {refiner} -o out.root", (r"pt\.safetensors",)),
        "no such option": (f"{gen} -o out.root --sed 3", ("--sed",)),
        "no such URL": (f"generate root://127.0.0.1:1//none.root {_MODELS}", ("root://127",)),
        "an output at a URL": (f"{gen} -o root://127.0.0.1:1//out.root", ("root:/",)),
    }  # fmt: skip
    return [Case(f"generate: {name}", *content) for name, content in cases.items()]


CASES = unique([*_branches(), *_files(), *_options()])
