"""Which input gives which output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flashsim.errors import OutputFileError
from flashsim.execution.whole_files import check_output, refuse_input, require_parent
from flashsim.nanoaod.inputs import expand_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["plan_jobs"]


def plan_jobs(
    inputs: Sequence[str], output: Path | None, *, force: bool = False, resume: bool = False
) -> list[tuple[str, Path]]:
    """Pair inputs and outputs, one output a file, and refuse what would fail or destroy something later.

    Parameters
    ----------
    inputs
        Paths, globs, lists or URLs, see `expand_inputs`.
    output
        ``NAME.root`` for one input; anything else is a folder for files ``NAME_flash.root``; none for the
        current folder.
    force
        Whether outputs that exist are replaced.
    resume
        Whether outputs that exist are looked at later, and left alone if they are finished.

    Raises
    ------
    InputFileError
        If an input does not exist.
    OutputFileError
        If two inputs would give one output, an output is an input, or it exists and neither `force` nor
        `resume` is set.
    """
    sources = expand_inputs(inputs)
    if output is not None and output.suffix == ".root" and not output.is_dir():
        if len(sources) > 1:
            msg = f"{output}: {len(sources)} inputs give as many outputs; name a folder"
            raise OutputFileError(msg)
        require_parent(output)
        jobs = [(sources[0], output)]
    else:
        folder = output or Path()
        jobs = [(source, folder / f"{_stem(source)}_flash.root") for source in sources]
    _check_outputs(jobs, may_exist=force or resume)
    return jobs


def _stem(source: str) -> str:
    return Path(urlsplit(source).path if "://" in source else source).stem


def _check_outputs(jobs: Sequence[tuple[str, Path]], *, may_exist: bool) -> None:
    inputs = [source for source, _ in jobs]
    seen: set[Path] = set()
    for _, target in jobs:
        if target in seen:
            msg = f"{target}: several inputs would give this output; run them apart, into different folders"
            raise OutputFileError(msg)
        seen.add(target)
        refuse_input(target, *inputs)
        check_output(target, force=may_exist, mend="name another output or add --force or --resume")
