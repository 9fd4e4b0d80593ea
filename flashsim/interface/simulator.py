"""Events in memory: gen-level content in, simulated collections out."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import awkward as ak

from flashsim.errors import InputFileError
from flashsim.events.noise import EVENT_IDS
from flashsim.generation.report import warnings_of
from flashsim.generation.settings import ONE_AT_A_TIME, Settings
from flashsim.interface.arguments import model_paths
from flashsim.nanoaod.arrays import EventArrays, records
from flashsim.nanoaod.buffer import TreeBuffer, check_entries
from flashsim.nanoaod.versions import VERSIONS, describe_version
from flashsim.transforms.phase_space import OutsideCount

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flashsim.generation.generate import Generator
    from flashsim.generation.plan import OutputPlan
    from flashsim.interface.arguments import Names
    from flashsim.nanoaod.branch import Branch

__all__ = ["Simulator"]

_log = logging.getLogger(__name__)


class Simulator:
    """Simulates events in memory: in a notebook, or as the first step of a coffea processor.

    It travels to other processes by its settings; models are loaded once in each.

    Parameters
    ----------
    models
        Model files or folders, in place of the shipped ones.
    seed
        The same seed gives the same events, bit by bit those of `flashsim.generate`, however they are cut
        into arrays.
    device
        Where the networks run: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    nano_version
        NanoAOD version of the simulated collections, such as ``"v9"``. By default the input's; of an array
        that shows no mark of any, that of the models' training (versions 5 and 6 show theirs in NanoEvents
        only).
    oversample
        How often each event is simulated, 1 to 65536, each time for a share of its weight. All copies of
        the first event come first.
    chunk
        Events simulated at a time; memory is that of the input and about twice that of the result.
    threads
        Threads of the networks; by default all cores.
    flag_domain
        Flag objects from outside of the training, as ``Jet.outsideDomain``.
    pileup
        What events are simulated with in place of their own pileup, as for `flashsim.generate`; needed where
        they have none, as those of NANOGEN.

    Attributes
    ----------
    outside_counts : dict
        Of the last call: how many gen objects and events were outside of the trainings, and by what. Where
        they are more than one in a thousand there is a warning in the log of ``flashsim``, too.

    Raises
    ------
    ModelFileError
        If a model cannot be loaded, or two simulate one collection.
    FlashSimError
        If there is no such device.

    Examples
    --------
    >>> import uproot
    >>> with uproot.open("examples/vbf_hmumu_gen.root:Events") as tree:
    ...     gen = tree.arrays(entry_stop=100)
    >>> simulated = Simulator(seed=1)(gen)
    >>> simulated.Muon.pt.ndim, len(simulated.MET.pt)
    (2, 100)
    """

    def __init__(
        self,
        models: Names | None = None,
        *,
        seed: int = 1,
        device: str = "auto",
        nano_version: str | None = None,
        oversample: int = 1,
        chunk: int = 5000,
        threads: int | None = None,
        flag_domain: bool = False,
        pileup: str | float | None = None,
    ) -> None:
        self.settings = Settings(
            models=model_paths(models),
            seed=seed,
            oversample=oversample,
            version=nano_version,
            chunk=chunk,
            device=device,
            flag_domain=flag_domain,
            pileup=None if pileup is None else str(pileup),
            threads=threads,
        )
        self.outside_counts: dict[str, OutsideCount] = {}
        self.settings.generator()  # now, so that mistakes show before any event

    def __getstate__(self) -> dict[str, Any]:
        """Travel without what was counted here."""
        return {"settings": self.settings, "outside_counts": {}}

    def __repr__(self) -> str:
        """Name what is simulated."""
        return f"<Simulator of {', '.join(self.collections)}, seed {self.settings.seed}>"

    @property
    def collections(self) -> list[str]:
        """Names of the collections that are simulated, such as ``"Jet"``; values of events apart."""
        return self.settings.generator().collections

    def __call__(self, events: ak.Array, *, gen: bool = True) -> ak.Array:
        """Simulate events.

        Parameters
        ----------
        events
            E records of gen-level content in NanoAOD layout: coffea's NanoEvents, or an awkward array with
            a field a collection (``events.GenPart.pt``) or a field a branch (``events.GenPart_pt``). Momenta
            and masses are in GeV, angles in radian. Of virtual arrays only what is needed is read.
        gen
            Whether the result has the gen-level content and the weights of the events, too.

        Returns
        -------
        ak.Array
            E records, or E times `oversample`, in the order of the events, with a field a collection
            (``.Jet.pt``, ordered by falling pT) and the simulated values of events (``.MET.pt``,
            ``.PV.npvs``): what `flashsim.generate` writes. NanoEvents if the input is such, see `events`.

        Raises
        ------
        InputFileError
            If the events lack a field that is needed, it has missing values or is no number, or the events
            were oversampled before.
        """
        if gen and _is_nano_events(events):
            return self.events(events)
        _, plan, columns = self._simulate(events)
        branches = plan.branches if gen else replace(plan, copied=[]).branches
        return records(branches, {branch.name: columns[branch.name]() for branch in branches})

    def events(self, events: ak.Array) -> Any:
        """Simulate events, and give coffea's NanoEvents, whatever the input is (needs coffea).

        Parameters
        ----------
        events
            As for a call of the simulator.

        Returns
        -------
        NanoEvents
            With the gen-level content and the weights of the events and the simulated collections, as
            coffea's ``NanoAODSchema`` makes them of a file: with behaviours and cross references
            (``events.Jet.matched_gen``) and the metadata of the input. Gen-level content is read when it is
            used.

        Raises
        ------
        InputFileError
            As for a call of the simulator.
        MissingDependencyError
            If coffea is not installed.
        """
        from flashsim.interface.nano_events import nano_events

        source, plan, columns = self._simulate(events)
        metadata = _parameter(events, "metadata")
        length = source.num_entries * self.settings.oversample
        return nano_events(plan.branches, plan.counter_titles, columns, length, metadata)

    def _simulate(self, events: ak.Array) -> tuple[EventArrays, OutputPlan, dict[str, Callable[[], Any]]]:
        """Simulate all events; give where they come from, what they have now, and what gives each branch."""
        source = _source(events)
        with ONE_AT_A_TIME:
            generator = self.settings.generator()
            plan = generator.plan(source, version=self._version(events, source, generator))
            simulated = replace(plan, copied=[])
            gathered = TreeBuffer(simulated.branches)
            self.outside_counts = dict.fromkeys(generator.phase_spaces, OutsideCount())
            for _, stop, arrays in source.chunks(plan.needed, generator.chunk, needed=plan.needed):
                piece = generator.piece(arrays, simulated, stop, origin=source.path)
                gathered.append(check_entries("Events", simulated.branches, piece.columns))
                for name, count in piece.outside_counts.items():
                    self.outside_counts[name] += count
        for text in warnings_of(self.outside_counts):
            _log.warning("%s: %s", source.path, text)
        columns: dict[str, Callable[[], Any]] = {
            name: partial(_given, column) for name, column in gathered.take().items()
        }
        columns |= {branch.name: partial(_copied, source, plan, branch) for branch in plan.copied}
        return source, plan, columns

    def _version(self, events: ak.Array, source: EventArrays, generator: Generator) -> str | None:
        """Give the NanoAOD version of the result; none for that of the input."""
        if (
            self.settings.version is not None
            or _is_nano_events(events)
            or describe_version(source.branches).version
        ):
            return self.settings.version
        return max((s.model.nanoaod_version for s in generator.simulators), key=VERSIONS.index)


def _source(events: Any) -> EventArrays:
    if not isinstance(events, ak.Array):
        msg = (
            f"expected an awkward array or NanoEvents of gen-level content, found {type(events).__name__}; "
            "compute or convert it first"
        )
        raise InputFileError(msg)
    metadata = _parameter(events, "metadata") or {}
    return EventArrays(events, str(metadata.get("filename", "events")))


def _parameter(events: Any, name: str) -> Any:
    """Give a parameter of the records, whatever was done with them; none of what is no array."""
    return events.layout.purelist_parameter(name) if isinstance(events, ak.Array) else None


def _is_nano_events(events: Any) -> bool:
    return bool(_parameter(events, "__record__") == "NanoEvents")


def _given(values: Any) -> Any:
    return values


def _copied(source: EventArrays, plan: OutputPlan, branch: Branch) -> Any:
    """Give a branch of the input, with its share of the weight where events are repeated."""
    names: Sequence[str] = [branch.name] if plan.oversampling.folds == 1 else [*EVENT_IDS, branch.name]
    arrays = {name: ak.to_packed(ak.materialize(source.column(name))) for name in names}
    return ak.to_packed(plan.oversampling.repeated(arrays, [branch])[branch.name])
