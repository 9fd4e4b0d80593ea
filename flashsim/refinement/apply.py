"""NanoAOD of a fast simulation in, the same with refined objects out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flashsim.declarations.refinement import load_gen_view
from flashsim.errors import InputFileError
from flashsim.events.gen_view import gen_view_branches
from flashsim.execution.whole_files import refuse_input
from flashsim.nanoaod.provenance import REFINEMENT
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.requirements import require_branches
from flashsim.nanoaod.schema import detect_version, load_schema, mantissa_bits
from flashsim.nanoaod.writing import NanoWriter
from flashsim.refinement.chunk import ChunkRefinement, RefinedChunk
from flashsim.refinement.matching import pair_branches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import awkward as ak

    from flashsim.nanoaod.branch import Branch
    from flashsim.refinement.model import RefinerModel

__all__ = ["DEFAULT_CHUNK", "SUFFIX", "RefinementSummary", "apply_refiner"]

DEFAULT_CHUNK = 10_000
"""Events in memory at a time."""


SUFFIX = "_unrefined"
"""Ends the names of branches with what the fast simulation had."""


@dataclass(frozen=True)
class RefinementSummary:
    """What became of the objects of a file.

    Parameters
    ----------
    events, objects
        Numbers of events and of objects.
    refined
        Objects that the network refined.
    unmatched
        Objects without a gen match, which are as they were.
    reordered
        Events in which objects changed places.
    references
        Branches with indices that followed.
    """

    events: int
    objects: int
    refined: int
    unmatched: int
    reordered: int
    references: list[str]


def apply_refiner(
    model: RefinerModel,
    source: str | Path,
    output: Path,
    *,
    seed: int = 1,
    chunk: int = DEFAULT_CHUNK,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RefinementSummary:
    """Refine the objects of one file, see `flashsim.interface.refinement.apply_refiner`.

    Refined branches have the names that they had, and what was there before stands in ``*_unrefined``.
    Objects are in order of pT again, with all of their branches; indices into them follow; missing momenta
    balance the change of pT. All else is copied.

    Parameters
    ----------
    model, source, output, seed, chunk, force
        As there.
    progress
        Called with (events done, events in all) after each chunk.
    """
    refuse_input(output, source)
    recipe = model.recipe
    with NanoFile(source) as file:
        view = load_gen_view(recipe)
        needed = pair_branches(recipe, view)
        require_branches(file, [*needed, f"{recipe.collection}_pt"], f"to refine {recipe.object}")
        work = ChunkRefinement(model, file.branches, _bits(file, model), seed=seed)
        kept = _kept(file, work.changed, recipe.collection)
        total = RefinementSummary(0, 0, 0, 0, 0, sorted(work.references))
        with NanoWriter(output, force=force, version=detect_version(file.branches)) as writer:
            branches = [*file.branches.values(), *kept.values()]
            writer.tree("Events", branches, "Events", counter_titles=file.counter_titles)
            for _, stop, arrays in file.chunks(list(file.branches), chunk, needed=gen_view_branches(view)):
                refined = work.refine(arrays)
                writer.extend("Events", refined.arrays | _named(kept, refined.originals))
                total = _added(total, refined)
                if progress is not None:
                    progress(stop, file.num_entries)
            for name in file.trees:
                tree_branches, arrays = file.read_tree(name)
                writer.tree(name, list(tree_branches.values()))
                writer.extend(name, arrays)
            writer.write_string(REFINEMENT, json.dumps(_provenance(model, file, total, seed)))
    return total


def _kept(file: NanoFile, changed: Sequence[str], collection: str) -> dict[str, Branch]:
    """Branches for what the changed ones were, by their names; those of an earlier refinement stay."""
    kept = {name: _original(file.branches[name]) for name in changed}
    present = [name for name, branch in kept.items() if file.has(branch.name)]
    for name in present:
        if file.branches[name].collection == collection:
            msg = (
                f"{file.path}: has {kept[name].name}, so it was refined before; refine what it was made from"
            )
            raise InputFileError(msg)
    return {name: branch for name, branch in kept.items() if name not in present}


def _named(kept: Mapping[str, Branch], originals: Mapping[str, ak.Array]) -> dict[str, ak.Array]:
    return {branch.name: originals[name] for name, branch in kept.items()}


def _added(total: RefinementSummary, chunk: RefinedChunk) -> RefinementSummary:
    return replace(
        total,
        events=total.events + chunk.events,
        objects=total.objects + chunk.objects,
        refined=total.refined + chunk.refined,
        unmatched=total.unmatched + chunk.objects - chunk.refined,
        reordered=total.reordered + chunk.reordered,
    )


def _original(branch: Branch) -> Branch:
    return replace(branch, name=f"{branch.name}{SUFFIX}", title=f"{branch.title} (before refinement)".strip())


def _bits(file: NanoFile, model: RefinerModel) -> dict[str, int]:
    """Mantissa bits of the branches that are rewritten, where the version's schema knows them."""
    version = detect_version(file.branches)
    schema = load_schema(version)
    recipe = model.recipe
    names = [f"{recipe.collection}_{f}" for f in (*recipe.branches, *recipe.application.scaled)]
    names += [f"{met}_{f}" for met in recipe.application.met for f in ("pt", "phi")]
    if recipe.deepjet is not None:
        names.append(f"{recipe.collection}_{recipe.deepjet.c}")
    found = {name: mantissa_bits(version, name) for name in names if name in schema}
    return {name: bits for name, bits in found.items() if bits is not None}


def _provenance(model: RefinerModel, file: NanoFile, total: RefinementSummary, seed: int) -> dict[str, Any]:
    return {
        "flashsim": package_version("flashsim"),
        "input": Path(file.path).name,
        "input_uuid": file.uuid,
        "object": model.recipe.object,
        "model": model.digest,
        "seed": seed,
        "summary": asdict(total),
    }
