"""Whole events with what is known of each object at generator level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.analysis.whole_events.reading import WholeEvents, read_whole_events
from flashsim.events.collection import Collection
from flashsim.events.copies import copy_branches, of_last_copies
from flashsim.events.gen_view import build_gen_view, gen_view_branches
from flashsim.events.matching import match
from flashsim.events.noise import event_hash
from flashsim.nanoaod.reading import NanoFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.declarations.objects import ObjectDeclaration

__all__ = ["GEN", "comparable", "event_numbers", "is_matched", "read_judged_events"]

GEN = "gen."
"""Beginning of the names of columns that hold the fields of an object's gen object; NaN if it has none."""

_GIVEN = ("run", "luminosityBlock", "event", "GenMET_pt", "GenMET_phi", "Pileup_nTrueInt", "Pileup_nPU")


def read_judged_events(
    path: str | Path, declarations: Sequence[ObjectDeclaration], *, stop: int | None = None
) -> WholeEvents:
    """Read the declared collections and the gen jets of a file.

    Parameters
    ----------
    path
        NanoAOD, simulated in whatever way.
    declarations
        Of objects and of events. Objects get columns ``gen.FIELD`` of the gen object that they belong to by
        their declaration: an index that points elsewhere, as at a photon, is none.
    stop
        Event after the last; by default all are read.

    Raises
    ------
    InputFileError
        If the file is damaged, or lacks what gen objects are found by.
    """
    objects = [d for d in declarations if d.per == "object"]
    found = read_whole_events(path, [*dict.fromkeys(d.collection for d in objects), "GenJet"], stop=stop)
    with NanoFile(path) as file:
        for declaration in objects:
            if (name := declaration.collection) in found.collections:
                needed = {*gen_view_branches(declaration.gen_view), *copy_branches(declaration)}
                arrays = file.read(sorted(needed), stop=stop)
                gen = build_gen_view(declaration.gen_view, arrays)[declaration.gen]
                named = of_last_copies(declaration, arrays, found[name])
                found.collections[name] = _with_gen(named, gen, declaration.match)
    return found


def _with_gen(objects: Collection, gen: Collection, field: str) -> Collection:
    rows = match(gen, objects, field)
    there = rows >= 0
    columns: dict[str, NDArray[Any]] = {}
    for name, values in gen.columns.items():
        column = np.full(len(objects), np.nan)
        column[rows[there]] = values[there]
        columns[f"{GEN}{name}"] = column
    return objects.with_columns(columns)


def is_matched(objects: Collection) -> NDArray[np.bool_]:
    """Tell which objects have a gen object, shape (N,)."""
    found: NDArray[np.bool_] = np.isfinite(objects[f"{GEN}pt"])
    return found


def comparable(
    declarations: Iterable[ObjectDeclaration], samples: Sequence[WholeEvents]
) -> tuple[dict[str, list[str]], list[WholeEvents]]:
    """Find what is declared to be simulated and all samples have, and leave out all else.

    Returns
    -------
    Names of fields by collection, those of one value an event under ``Event``; and the samples with
    these fields, those of gen objects, and what the generator gives of whole events.
    """
    fields = _common_fields(declarations, samples)
    return fields, [_only(sample, fields) for sample in samples]


def _only(sample: WholeEvents, fields: Mapping[str, Sequence[str]]) -> WholeEvents:
    collections = {"GenJet": sample["GenJet"]}
    for name in (name for name in fields if name != "Event"):
        columns = sample[name].columns
        kept = {n: c for n, c in columns.items() if n in fields[name] or n.startswith(GEN)}
        collections[name] = Collection(sample[name].offsets, kept)
    branches = (*_GIVEN, *fields.get("Event", ()))
    values = {name: sample.values[name] for name in branches if name in sample.values}
    return WholeEvents(sample.events, collections, values)


def event_numbers(samples: Mapping[str, WholeEvents]) -> dict[str, NDArray[np.int64]]:
    """Give events of one run, luminosityBlock and event one number in all samples, shape (E,) of each."""
    hashes = [
        event_hash(*(sample.values[name] for name in ("run", "luminosityBlock", "event")))
        for sample in samples.values()
    ]
    number = np.unique(np.concatenate(hashes), return_inverse=True)[1].astype(np.int64)
    parts = np.split(number, np.cumsum([len(one) for one in hashes])[:-1])
    return dict(zip(samples, parts, strict=True))


def _common_fields(
    declarations: Iterable[ObjectDeclaration], samples: Sequence[WholeEvents]
) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for declaration in declarations:
        if declaration.per == "event":
            wanted = [b for recoil in declaration.recoils for b in recoil.branches]
            wanted += [target.branch for target in declaration.targets]
            found = [name for name in wanted if all(name in sample.values for sample in samples)]
            fields["Event"] = [*fields.get("Event", []), *found]
        elif columns := _shared_columns(declaration.collection, samples):
            wanted = [target.branch for target in declaration.targets]
            fields[declaration.collection] = [name for name in wanted if name in columns]
    return fields


def _shared_columns(name: str, samples: Sequence[WholeEvents]) -> set[str]:
    columns: list[Mapping[str, Any]] = [sample[name].columns for sample in samples]
    return set(columns[0]).intersection(*columns[1:])
