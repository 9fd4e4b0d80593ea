"""Files of gen-level events in, files of simulated events out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flashsim.errors import FlashSimError
from flashsim.interface.arguments import counted_by_name, model_paths, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flashsim.declarations.changes import Changes
    from flashsim.generation.campaign import Outcome
    from flashsim.generation.results import Summary
    from flashsim.interface.arguments import Names, PathLike, Progress
    from flashsim.transforms.phase_space import PhaseSpace

__all__ = ["Generated", "generate"]


@dataclass(frozen=True)
class Generated:
    """What has become of the files of a generation.

    Parameters
    ----------
    outcomes
        One for each input, in their order.
    phase_spaces
        Domains of the trainings, by what they are of: ``"GenJet for Jet"``.
    without_phase_space
        Names of the models that do not know the phase space of their training.
    """

    outcomes: Sequence[Outcome]
    phase_spaces: Mapping[str, PhaseSpace]
    without_phase_space: Sequence[str]

    @property
    def summaries(self) -> list[Summary]:
        """What was generated, of the files that did not fail."""
        return [outcome.summary for outcome in self.outcomes if outcome.summary is not None]

    def check(self) -> None:
        """See that no file has failed.

        Raises
        ------
        FlashSimError
            If one has: its own error if it is the only file.
        """
        errors = [outcome.error for outcome in self.outcomes if outcome.error is not None]
        if errors and len(self.outcomes) == 1:
            raise errors[0]
        if errors:
            msg = (
                f"{len(errors)} of {len(self.outcomes)} files failed, the others are done; "
                "mend it and add --resume"
            )
            raise FlashSimError(msg)


def generate(
    inputs: Names,
    output: PathLike | None = None,
    *,
    models: Names | None = None,
    seed: int = 1,
    keep: Sequence[str] = (),
    nano_version: str | None = None,
    oversample: int = 1,
    chunk: int = 5000,
    changes: Changes | None = None,
    device: str = "auto",
    workers: int = 1,
    threads: int | None = None,
    dask: str | None = None,
    retries: int = 1,
    resume: bool = False,
    flag_domain: bool = False,
    pileup: str | float | Path | None = None,
    compression: str = "zstd",
    force: bool = False,
    command: str = "",
    check: bool = True,
    report: Callable[[Outcome], None] | None = None,
    progress: Progress | None = None,
) -> Generated:
    """Simulate files: gen-level NanoAOD in, NanoAOD with simulated objects out.

    Parameters
    ----------
    inputs
        Gen-level NanoAOD: one path, glob, ``root://`` URL or ``@FILE`` (a list of them), or several.
    output
        ``NAME.root`` for one input, else a folder, which is made if it is not there; by default
        ``NAME_flash.root`` in the current folder.
    models
        Model files or folders, in place of the shipped ones.
    seed
        The same seed gives the same events, however the input is cut into files, chunks or workers.
    keep
        Patterns of reconstructed branches and of other trees of the input to keep, such as ``"HLT_*"``.
    nano_version
        NanoAOD version of the output, such as ``"v9"``; by default the input's.
    oversample
        How often each gen event is simulated, 1 to 65536, each time for a share of its weight.
    chunk
        Simulated events in memory at a time.
    changes
        Values of the output recipe that differ from the shipped ones, by dotted key: ``{"links": []}``.
    device
        Where the networks run: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    workers
        Processes; the result does not depend on it.
    threads
        Threads of each process; by default all cores, shared out.
    dask
        Address of the scheduler of a Dask cluster that generates in place of this machine.
    retries
        How often a file that fails is tried again.
    resume
        Leave outputs alone that are finished and made in the same way.
    flag_domain
        Flag objects from outside of the training, as ``Jet_outsideDomain``.
    pileup
        What events are simulated with in place of the input's pileup, such as ``"run2_2018"``: a shipped
        profile, a YAML file, a number of interactions, or ``"drawn"``, as in the training of the models.
        Needed where the input has no ``Pileup_nTrueInt``, as NANOGEN.
    compression
        ``"zstd"``, ``"lz4"``, ``"zlib"``, ``"lzma"`` or ``"none"``.
    force
        Replace an output that exists.
    command
        What the provenance of the output names as the command.
    check
        Raise if a file fails, once all others are done; otherwise see `Generated.outcomes`.
    report
        Called with each outcome when its file ends.
    progress
        Called with the name of the input and its gen events done, where one file is made at a time.

    Returns
    -------
    Generated
        Outcome of each file; ``summaries`` have numbers of events and objects.

    Raises
    ------
    InputFileError
        If an input does not exist, cannot be read, or lacks a branch; or a value that is needed is NaN.
    ModelFileError
        If a model cannot be loaded, or two simulate one collection.
    OutputFileError
        If an output exists and neither `force` nor `resume` is set, or it cannot be written.
    FlashSimError
        If there is no such device, or one of several files failed.

    Examples
    --------
    >>> import flashsim
    >>> made = flashsim.generate("examples/vbf_hmumu_gen.root", "flash.root")
    >>> made.summaries[0].events, sorted(made.summaries[0].objects)
    (1000, ['Electron', 'Jet', 'Muon'])
    """
    from flashsim.generation.jobs import plan_jobs

    # Before the slow imports.
    jobs = plan_jobs(names_of(inputs), None if output is None else Path(output), force=force, resume=resume)
    if workers > 1:
        from flashsim.execution.processes import prepare
        from flashsim.generation import PRELOAD

        prepare(PRELOAD)
    from flashsim.execution.threads import threads_of_process
    from flashsim.execution.whole_files import make_folder, refuse_input
    from flashsim.generation.campaign import Order, run_campaign
    from flashsim.generation.settings import Settings

    settings = Settings(
        models=model_paths(models),
        seed=seed,
        oversample=oversample,
        keep=tuple(keep),
        version=nano_version,
        chunk=chunk,
        changes=json.dumps(dict(changes or {})),
        device=device,
        flag_domain=flag_domain,
        pileup=None if pileup is None else str(pileup),
        threads=threads_of_process(threads, workers, dask),
        compression=compression,
    )
    for _, target in jobs:
        refuse_input(target, *(settings.models or ()))
    generator = settings.generator()  # now, so that mistakes show before any work
    for folder in dict.fromkeys(path.parent for _, path in jobs):
        make_folder(folder)
    outcomes = run_campaign(
        jobs,
        settings,
        order=Order(force=force, resume=resume, command=command),
        workers=workers,
        dask=dask,
        retries=retries,
        report=report or (lambda _: None),
        progress=counted_by_name(progress),
    )
    made = Generated(outcomes, generator.phase_spaces, generator.without_phase_space)
    if check:
        made.check()
    return made
