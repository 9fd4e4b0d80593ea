"""All that decides what is generated from a file, in a form that travels to other processes."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from flashsim import __version__
from flashsim.declarations.output import load_output
from flashsim.errors import FlashSimError
from flashsim.execution.threads import set_threads
from flashsim.generation.generate import DEFAULT_CHUNK, Generator
from flashsim.learning.devices import chosen_device, prepare_device
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files, with_what_they_need

__all__ = ["ONE_AT_A_TIME", "Settings"]

ONE_AT_A_TIME = threading.Lock()
"""A process has one set of threads and one set of models: threads that generate in it take turns."""


@dataclass(frozen=True)
class Settings:
    """How files are generated; small, and equal where the results are.

    Parameters
    ----------
    models
        Paths of model files and folders, to which shipped models of what they are drawn given are added; none
        for the shipped models.
    seed, oversample, chunk, flag_domain, pileup
        As `Generator` takes them.
    device
        As `Generator` takes it, or ``auto``: a GPU where a process finds one.
    keep, version, compression
        As `Generator.run` takes them.
    changes
        Values of the output recipe that differ from the shipped one, by dotted key, as JSON.
    threads
        Threads of a process; none leaves their number as it is.
    flashsim
        Version of the package, which must be the same wherever one set of files is made.
    """

    models: tuple[str, ...] | None = None
    seed: int = 1
    oversample: int = 1
    keep: tuple[str, ...] = ()
    version: str | None = None
    chunk: int = DEFAULT_CHUNK
    device: str = "cpu"
    flag_domain: bool = False
    pileup: str | None = None
    changes: str = "{}"
    threads: int | None = None
    compression: str = "zstd"
    flashsim: str = __version__

    def generator(self) -> Generator:
        """Give the generator of this process, made at the first call, with its device and threads set.

        Raises
        ------
        ModelFileError
            If a model cannot be loaded, or two simulate one collection.
        FlashSimError
            If there is no such device, or another version of flashsim is installed here.
        """
        if self.flashsim != __version__:
            msg = (
                f"a worker has flashsim {__version__}, the command line {self.flashsim}: "
                "run both in one environment"
            )
            raise FlashSimError(msg)
        # Here and not where the command was given: the workers of a cluster may have no GPU.
        settings = replace(self, device=chosen_device(self.device))
        if settings.device != "cpu":
            prepare_device(settings.device, self.threads)
        elif self.threads is not None:
            set_threads(self.threads)
        return _generator(settings)

    def options(self) -> dict[str, Any]:
        """Give the arguments of `Generator.run` that are settled."""
        return {
            "keep": self.keep,
            "version": self.version,
            "compression": self.compression,
            # One thread means one core: a batch slot has no more.
            "overlap": self.threads != 1,
        }


@lru_cache(maxsize=4)
def _generator(settings: Settings) -> Generator:
    named = None if settings.models is None else [Path(path) for path in settings.models]
    models = [ObjectModel.load(path) for path in model_files(named)]
    return Generator(
        models if named is None else with_what_they_need(models),
        load_output(changes=json.loads(settings.changes)),
        seed=settings.seed,
        device=settings.device,
        chunk=settings.chunk,
        oversample=settings.oversample,
        flag_domain=settings.flag_domain,
        pileup=settings.pileup,
    )
