"""Which input gives which output, and where the networks run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from flashsim.errors import FlashSimError, OutputFileError
from flashsim.nanoaod.inputs import expand_inputs

__all__ = ["plan_jobs", "prepare_device"]


def plan_jobs(inputs: Sequence[str], output: Path | None) -> list[tuple[str, Path]]:
    """Pairs of input and output: one output a file.

    Parameters
    ----------
    inputs
        Paths, globs, lists or URLs.
    output
        A file for one input; a folder, which is made, for several; none for ``NAME_flash.root`` here.

    Raises
    ------
    InputFileError
        If an input does not exist.
    OutputFileError
        If several inputs would give one output.
    """
    sources = expand_inputs(inputs)
    if len(sources) == 1 and output is not None and not output.is_dir():
        return [(sources[0], output)]
    folder = output or Path()
    if len(sources) > 1 and output is not None and output.suffix == ".root":
        msg = f"{output}: {len(sources)} inputs give as many outputs; name a folder"
        raise OutputFileError(msg)
    jobs = [(source, folder / f"{Path(source).stem}_flash.root") for source in sources]
    outputs = [target for _, target in jobs]
    if twice := sorted({str(target) for target in outputs if outputs.count(target) > 1}):
        msg = f"{twice[0]}: several inputs of this name; run them apart, into different folders"
        raise OutputFileError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    return jobs


def prepare_device(device: str, threads: int | None) -> None:
    """Check that torch has the device, and set its threads on the CPU.

    Raises
    ------
    FlashSimError
        If torch has no such device.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        msg = f"--device {device}: torch cannot use it here ({str(error).splitlines()[0]}); try cpu"
        raise FlashSimError(msg) from error
