"""The library of minimum-bias interactions, of which pileup is made: generated once and kept."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak

from flashsim import __version__
from flashsim.declarations.recipes import recipe_path
from flashsim.execution.locks import sole_maker
from flashsim.execution.whole_files import make_folder
from flashsim.gen.blocks import in_order
from flashsim.gen.command_file import CommandFile
from flashsim.gen.gen_file import EVENT_IDS
from flashsim.gen.libraries import require
from flashsim.gen.numbering import Numbering
from flashsim.gen.pythia import CRASHED, PythiaGenerator, block_seed
from flashsim.gen.stable import MAX_ETA, stable_particles
from flashsim.nanoaod.provenance import GEN
from flashsim.nanoaod.stable import STABLE_BRANCHES
from flashsim.nanoaod.writing import NanoWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["INTERACTIONS", "MinBias", "minbias_library", "write_minbias"]

INTERACTIONS = 20_000
"""Interactions of a library: enough that none is seen often, as each is turned and mirrored at random."""

# Pythia takes 9 s to get ready for diffraction, as long as for some 3000 interactions.
_PER_BLOCK = 5000
_PATIENCE = 3600.0  # seconds that another process may take to make the library


@dataclass(frozen=True)
class MinBias:
    """What a library holds.

    Parameters
    ----------
    energy
        Energy of the collisions in their centre of mass, in GeV.
    interactions
        How many, at least 1.
    seed
        Any integer.
    settings
        Pythia settings: a shipped command file by name, or the path of any.
    """

    energy: float
    interactions: int = INTERACTIONS
    seed: int = 1
    settings: str = "minbias.cmnd"

    def __post_init__(self) -> None:
        if self.interactions < 1:
            msg = f"interactions must be at least 1, found {self.interactions}"
            raise ValueError(msg)

    @property
    def file_name(self) -> str:
        """Name of its file, different for whatever has other content."""
        commands = CommandFile.read(recipe_path("reference", self.settings))
        content = (sorted(commands.settings.items()), asdict(self), MAX_ETA, __version__)
        digest = hashlib.blake2b(repr(content).encode(), digest_size=6).hexdigest()
        return f"minbias_{self.energy:g}GeV_{digest}.root"


def minbias_library(
    library: MinBias,
    *,
    folder: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Give the file of a library, which is made if it is not there.

    Parameters
    ----------
    library
        What it holds.
    folder
        Where libraries are kept; by default in the user's cache, ``$XDG_CACHE_HOME/flashsim``.
    workers, progress
        As for `write_minbias`. Of two processes that need a library, one makes it and the other waits.

    Raises
    ------
    RecipeError, MissingDependencyError
        As `write_minbias` does.
    OutputFileError
        If the folder cannot be written to, or another process takes too long.
    """
    kept = folder if folder is not None else _user_cache()
    path = kept / library.file_name
    if path.is_file():
        return path
    make_folder(kept)
    with sole_maker(path, _PATIENCE):
        if not path.is_file():
            write_minbias(library, path, workers=workers, progress=progress)
    return path


def write_minbias(
    library: MinBias,
    output: str | Path,
    *,
    workers: int = 1,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Generate minimum-bias interactions and write their stable visible particles.

    Parameters
    ----------
    library
        What to generate.
    output
        File to write, of the same form as ``particles.root``: an event an interaction.
    workers
        Processes to work in; they change no result.
    force
        Whether to replace an existing file.
    progress
        Called with the number of interactions done and to do.

    Raises
    ------
    RecipeError
        If there are no such settings, or Pythia does not accept them.
    OutputFileError
        If the output exists (without `force`), or cannot be written.
    MissingDependencyError
        If pythia8mc is not installed.
    """
    require("pythia8mc")
    settings = recipe_path("reference", library.settings)
    tasks = [
        _Block(settings, library, number, min(_PER_BLOCK, library.interactions - start))
        for number, start in enumerate(range(0, library.interactions, _PER_BLOCK))
    ]
    numbering = Numbering(luminosity_block=1)
    done = 0
    with NanoWriter(output, force=force) as writer:
        writer.tree("Events", (*EVENT_IDS, *STABLE_BRANCHES), title="Events")
        blocks = in_order(
            _generate,
            tasks,
            workers=min(workers, len(tasks)),
            preload=[__name__],
            crashed=f"{settings}: {CRASHED}",
        )
        for columns, task in zip(blocks, tasks, strict=True):
            writer.extend("Events", {**numbering.numbers(done, task.interactions), **columns})
            done += task.interactions
            if progress is not None:
                progress(done, library.interactions)
        writer.write_string(GEN, json.dumps(_provenance(library, settings)))


def _provenance(library: MinBias, settings: Path) -> dict[str, Any]:
    return {
        "flashsim": __version__,
        **asdict(library),
        "command_file": settings.name,
        "settings": settings.read_text(encoding="utf-8", errors="replace"),
    }


@dataclass(frozen=True)
class _Block:
    """A unit of work."""

    settings: Path
    library: MinBias
    number: int
    interactions: int


def _generate(block: _Block) -> Mapping[str, ak.Array]:
    seed = block_seed(block.library.seed, block.number)
    generator = PythiaGenerator(block.settings, seed, energy=block.library.energy)
    parts = [stable_particles(batch.record) for batch in generator.batches(block.interactions)]
    return {name: ak.concatenate([part[name] for part in parts]) for name in parts[0]}


def _user_cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    home = os.path.expanduser("~")  # noqa: PTH111  # Path.home fails where there is none
    return Path(named or f"{home}/.cache") / "flashsim"
