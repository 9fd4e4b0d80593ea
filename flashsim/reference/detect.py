"""From gen-level events and their hidden variables to the file that a detector gives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim import __version__
from flashsim.declarations.objects import load_object
from flashsim.declarations.output import Link
from flashsim.declarations.recipes import parse_recipe, read_yaml, recipe_path
from flashsim.errors import InputFileError
from flashsim.events.noise import EVENT_IDS
from flashsim.nanoaod.provenance import GEN, REFERENCE, read_provenance
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches
from flashsim.nanoaod.schema import counter_titles, load_schema
from flashsim.nanoaod.writing import NanoWriter
from flashsim.reference.detector.parameters import DetectorRecipe, load_detector
from flashsim.reference.detector.reconstruction import VERSION, reconstruct, reconstructed_branches
from flashsim.reference.detector.truth import GEN_BRANCHES, HIDDEN_BRANCHES, Noise, read_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import awkward as ak

    from flashsim.declarations.changes import Changes
    from flashsim.declarations.objects import Target

__all__ = ["DEFAULT_CHUNK", "Detection", "detect"]

DEFAULT_CHUNK = 5_000
"""Events in memory at a time."""

_OBJECTS = {"Jet": "jets", "Muon": "muons", "Electron": "electrons"}


@dataclass(frozen=True)
class Detection:
    """What a detector gave.

    Parameters
    ----------
    output
        Path of the file.
    events
        Number of events.
    objects
        Number of reconstructed objects by collection.
    """

    output: str
    events: int
    objects: dict[str, int]


def detect(
    gen: str | Path,
    hidden: str | Path,
    output: str | Path,
    *,
    detector: str = "full",
    parameters: str | Path | None = None,
    changes: Changes | None = None,
    seed: int = 1,
    draw: int = 0,
    chunk: int = DEFAULT_CHUNK,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Detection:
    """Let a detector see gen-level events and write what it finds as NanoAOD v9.

    The same seed gives the same output however it is cut into chunks. Detectors of other names and other
    draws have random numbers of their own; detectors share the pileup density of a draw.

    Parameters
    ----------
    gen, hidden
        The two files that `flashsim.gen.pythia_events.generate_gen` writes, of the same events.
    output
        NanoAOD file to write; it appears when it is complete.
    detector
        Name of the detector, which its random numbers depend on.
    parameters
        Its parameters: a shipped file by name, or the path of any; by default that of the detector's name.
    changes
        Values of the parameters that differ from the file's, by dotted key.
    seed
        Any integer.
    draw
        Number of the independent draw, from 0.
    chunk
        Events in memory at a time.
    force
        Whether to replace an existing output.
    progress
        Called with the number of events done and to do, after each chunk.

    Raises
    ------
    RecipeError
        If the parameters are not there or not valid.
    InputFileError
        If an input cannot be read, lacks a branch, or the two are not of the same events.
    OutputFileError
        If the output exists (without `force`) or cannot be written.
    """
    recipe = load_detector(detector if parameters is None else parameters, changes)
    noise = Noise(seed, detector, draw)
    with (
        NanoFile(gen) as source,
        NanoFile(hidden) as beside,
        NanoWriter(output, force=force, version=VERSION) as writer,
    ):
        objects = _write_events(source, beside, writer, recipe, noise, chunk=chunk, progress=progress)
        for name in source.trees:
            branches, arrays = source.read_tree(name)
            writer.tree(name, list(branches.values()), title=name)
            writer.extend(name, arrays)
        writer.write_string(REFERENCE, json.dumps(_provenance(source.path, noise, recipe)))
        return Detection(str(output), source.num_entries, objects)


def _provenance(gen: str, noise: Noise, recipe: DetectorRecipe) -> dict[str, Any]:
    return {
        "flashsim": __version__,
        "detector": noise.detector,
        "seed": noise.seed,
        "draw": noise.draw,
        "parameters": recipe.model_dump(mode="json"),
        "gen": read_provenance(gen, GEN),
    }


def _write_events(
    source: NanoFile,
    beside: NanoFile,
    writer: NanoWriter,
    recipe: DetectorRecipe,
    noise: Noise,
    *,
    chunk: int,
    progress: Callable[[int, int], None] | None,
) -> dict[str, int]:
    """Write all events; gives the number of objects by collection."""
    targets: dict[str, Sequence[Target]] = {
        name: load_object(declaration).targets for name, declaration in _OBJECTS.items()
    }
    links = _links()
    objects = dict.fromkeys(_OBJECTS, 0)
    declared = False
    for done, arrays, unseen in _chunks(source, beside, chunk):
        collections, values = reconstruct(read_truth(arrays, unseen), noise, recipe)
        found = reconstructed_branches(collections, values, targets, links)
        if not declared:
            _declare(source, writer, list(found))
            declared = True
        writer.extend("Events", arrays | found)
        for name, collection in collections.items():
            objects[name] += len(collection)
        if progress is not None:
            progress(done, source.num_entries)
    if not declared:
        msg = f"{source.path}: holds no events; generate at least one"
        raise InputFileError(msg)
    return objects


def _chunks(
    source: NanoFile, beside: NanoFile, size: int
) -> Iterator[tuple[int, dict[str, ak.Array], dict[str, ak.Array]]]:
    """Yield the number of events done, gen-level and hidden branches of each chunk."""
    missing = [name for name in GEN_BRANCHES if not source.has(name)]
    if missing:
        msg = (
            f"{source.path}: lacks {', '.join(missing)}; make it with 'flashsim gen' or 'flashsim reference'"
        )
        raise InputFileError(msg)
    require_branches(source, GEN_BRANCHES, "to simulate a detector")
    if beside.num_entries != source.num_entries:
        msg = (
            f"{beside.path}: has {beside.num_entries} events, expected the {source.num_entries} of "
            f"{source.path}; make the two files together"
        )
        raise InputFileError(msg)
    pairs = zip(
        source.chunks(list(source.branches), size, needed=GEN_BRANCHES),
        beside.chunks([*EVENT_IDS, *HIDDEN_BRANCHES], size, needed=HIDDEN_BRANCHES),
        strict=True,
    )
    for (_, stop, arrays), (_, _, unseen) in pairs:
        for name in EVENT_IDS:
            if not np.array_equal(np.asarray(arrays[name]), np.asarray(unseen[name])):
                msg = (
                    f"{beside.path}: '{name}' differs from that of {source.path}; make the two files together"
                )
                raise InputFileError(msg)
        yield stop, arrays, unseen


def _declare(source: NanoFile, writer: NanoWriter, found: list[str]) -> None:
    schema = load_schema(VERSION)
    branches = [*source.branches.values(), *(schema[name] for name in found)]
    titles = source.counter_titles | {name: counter_titles(VERSION)[name] for name in _OBJECTS}
    writer.tree("Events", branches, title="Events", counter_titles=titles)


def _links() -> list[Link]:
    """Read the cross references between simulated collections, which every output of the project has."""
    path = recipe_path("generation", "output")
    declared = read_yaml(path)["links"]
    if not isinstance(declared, list):
        return []
    return [parse_recipe(Link, content, origin=str(path)) for content in declared]
