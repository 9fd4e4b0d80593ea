"""Pythia 8 as a source of event records.

Bierlich et al., SciPost Phys. Codebases 8 (2022), arXiv:2203.11601.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import awkward as ak
import numba
import numpy as np

from flashsim.declarations.recipes import recipe_folder
from flashsim.errors import RecipeError
from flashsim.gen.command_file import CommandFile
from flashsim.gen.libraries import printed, require, stdout_captured
from flashsim.gen.pythia_messages import errors_of, refusal_of
from flashsim.gen.record import EventRecord
from flashsim.gen.status import is_hadron

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "CRASHED",
    "EVENT_NUMBER",
    "MAX_SEED",
    "CrossSection",
    "GeneratedEvents",
    "PythiaGenerator",
    "block_seed",
]

_log = logging.getLogger(__name__)

CRASHED = (
    "Pythia 8 crashed with these settings and events; look for a setting that it needs and does not find, "
    "or leave out what was added last"
)
"""What is said when a process in which Pythia runs has died."""

EVENT_NUMBER = "flashsim"
"""Attribute of an LHE event by which it is known again when Pythia has showered it."""

MAX_SEED = 900_000_000
"""Largest seed that Pythia accepts."""


def block_seed(seed: int, block: int) -> int:
    """Give Pythia's seed for a block of events."""
    digest = hashlib.blake2b(f"{seed}\0{block}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % MAX_SEED + 1


_MB_TO_PB = 1e9
# A record has some 40 kB in memory: this many events stay well below half a gigabyte.
_BATCH = 250
_ATTEMPTS_PER_EVENT = 10.0
_LHE_FRAMES = (4, 5)
_ALPGEN = 2
# Print:quiet would hide Pythia's reason for a refusal as well.
_QUIET = (
    "Print:quiet = off",
    "Print:errors = on",
    "Print:verbosity = 2",
    "Print:useErrorStream = off",
    "Init:showProcesses = off",
    "Init:showMultipartonInteractions = off",
    "Init:showChangedSettings = off",
    "Init:showAllSettings = off",
    "Init:showChangedParticleData = off",
    "Init:showAllParticleData = off",
    "Next:numberCount = 0",
    "Next:numberShowInfo = 0",
    "Next:numberShowProcess = 0",
    "Next:numberShowEvent = 0",
    "Next:numberShowLHA = 0",
)


@dataclass(frozen=True)
class CrossSection:
    """Cross section of a run.

    Parameters
    ----------
    value, error
        In pb, with its statistical error.
    tried
        How many phase-space points the estimate rests on.
    """

    value: float
    error: float
    tried: int

    @classmethod
    def combined(cls, parts: list[CrossSection]) -> CrossSection:
        """Estimate of several independent runs of one process together."""
        tried = np.array([part.tried for part in parts], dtype=np.float64)
        share = tried / tried.sum()
        return cls(
            value=float(share @ [part.value for part in parts]),
            error=float(np.sqrt(share**2 @ np.square([part.error for part in parts]))),
            tried=int(tried.sum()),
        )


@dataclass(frozen=True)
class GeneratedEvents:
    """A batch of events and what the generator says of each.

    Parameters
    ----------
    record
        The particles.
    weight
        Event weight.
    scale_pdf, pt_hat
        Factorization scale and transverse momentum of the hard process, GeV.
    id1, id2, x1, x2, xpdf1, xpdf2
        Incoming partons: PDG number, momentum fraction x, and x times the parton density.
    shower_weights
        Shape (events, variations): weights of the variations of the parton showers that the settings name,
        relative to the event's; none where they name none.
    """

    record: EventRecord
    weight: NDArray[np.float64]
    scale_pdf: NDArray[np.float64]
    pt_hat: NDArray[np.float64]
    id1: NDArray[np.int32]
    id2: NDArray[np.int32]
    x1: NDArray[np.float64]
    x2: NDArray[np.float64]
    xpdf1: NDArray[np.float64]
    xpdf2: NDArray[np.float64]
    shower_weights: NDArray[np.float64] | None = None


class PythiaGenerator:
    """One initialised Pythia 8.

    Parameters
    ----------
    command_file
        Pythia settings. ``include = NAME`` finds files in its folder and among the shipped recipes. The
        random seed, the number of events and what is printed are not taken from it.
    seed
        From 1 to `MAX_SEED`.
    lhe
        A file of LHE events to shower, which takes the place of the settings' beams and process.
    base
        Settings that are read before the command file.
    origin
        The user's file of these LHE events, for messages.
    energy
        Energy of the beams in their centre of mass, GeV, in place of the settings'.

    Attributes
    ----------
    said
        Pythia's first errors on an event that it did not shower.

    Raises
    ------
    RecipeError
        If Pythia does not accept the settings: names the file and gives Pythia's reason.
    MissingDependencyError
        If pythia8mc is not installed.
    """

    def __init__(
        self,
        command_file: Path,
        seed: int,
        *,
        lhe: Path | None = None,
        base: Path | None = None,
        origin: Path | None = None,
        energy: float | None = None,
    ) -> None:
        self._file = command_file
        self._origin = origin
        self.said = ""
        settings = CommandFile.read(command_file)
        self._matches = settings.matches
        module = require("pythia8mc")
        with stdout_captured() as sink, _include_path(command_file.parent, recipe_folder("reference")):
            self._pythia: Any = module.Pythia("", False)
            for path in (base, command_file):
                if path is not None and not self._pythia.readFile(str(path)):
                    self._fail(printed(sink))
            self._check(settings, events_are_read=lhe is not None)
            own = ("Random:setSeed = on", f"Random:seed = {seed}", *_reading(lhe), *_beams(energy))
            for setting in (*_QUIET, *own):
                self._pythia.readString(setting)
            # Pythia keeps no reference to it.
            self._hook = self._matching(module)
            if not self._pythia.init():
                self._fail(printed(sink))

    def _check(self, settings: CommandFile, *, events_are_read: bool) -> None:
        """Refuse what Pythia would pass over, or stumble over without a word."""
        frame = self._pythia.mode("Beams:frameType")
        if not events_are_read and frame in _LHE_FRAMES:
            msg = (
                f"{self._file}: Beams:frameType = {frame} reads events: give them to 'flashsim gen' with "
                "frameType 4 and Beams:LHEF = FILE"
            )
            raise RecipeError(msg)
        settings.path_of("SLHA:file")

    def _matching(self, module: Any) -> Any:
        """Set up MLM or FxFx matching, which Pythia leaves to a class beside it; none if it is off."""
        if not self._pythia.flag("JetMatching:merge"):
            return None
        alpgen = self._pythia.mode("JetMatching:scheme") == _ALPGEN
        hook = module.JetMatchingAlpgen() if alpgen else module.JetMatchingMadgraph()
        self._pythia.setUserHooksPtr(hook)
        return hook

    def showered(self, events: int) -> Iterator[tuple[NDArray[np.int64], GeneratedEvents]]:
        """Shower the events of the LHE file, each once.

        Parameters
        ----------
        events
            How many the file holds.

        Yields
        ------
        The numbers that the attribute `EVENT_NUMBER` of some LHE events has, and these events. Those that a
        matching refuses, some of them by a weight of zero, and those in which Pythia fails, are left out.

        Raises
        ------
        RecipeError
            If Pythia has not come to the end of the file after so many events.
        """
        numbers: list[int] = []
        done: list[ak.Array] = []
        for number, event in self._single(events):
            if self._matches and event["info"]["weights"][0, 0] == 0.0:
                continue
            numbers.append(number)
            done.append(event)
            if len(done) == _BATCH:
                yield np.array(numbers), _generated(ak.concatenate(done), self._variations())
                numbers, done = [], []
        if done:
            yield np.array(numbers), _generated(ak.concatenate(done), self._variations())

    def _single(self, events: int) -> Iterator[tuple[int, ak.Array]]:
        """Yield events one by one, as Pythia says only of the last one which it was."""
        # Each attempt reads one event at least; the last one finds the end of the file.
        for _ in range(events + 1):
            with stdout_captured() as sink:
                try:
                    event = self._pythia.nextBatch(1, 1.0)
                except RuntimeError:
                    event = None
                text = printed(sink)
            if text.strip():
                _log.debug("%s: %s", self._file, text.strip())
            if event is None and not self.said:
                self.said = errors_of(text)
            info = self._pythia.infoPython()
            if event is not None:
                yield int(info.getEventAttribute(EVENT_NUMBER, True)), event
            elif info.atEndOfFile():
                return
        msg = (
            f"{self._origin}: Pythia does not come to the end of these events with {self._file} "
            f"({self.said or 'no reason given'}): correct one of the files"
        )
        raise RecipeError(msg)

    def batches(self, events: int) -> Iterator[GeneratedEvents]:
        """Generate events; those in which Pythia fails are replaced by new ones.

        Parameters
        ----------
        events
            How many.

        Raises
        ------
        RecipeError
            If hardly any event succeeds.
        """
        done = 0
        while done < events:
            size = min(_BATCH, events - done)
            with stdout_captured() as sink:
                try:
                    batch = self._pythia.nextBatch(size, _ATTEMPTS_PER_EVENT)
                except RuntimeError:
                    self._fail(printed(sink))
                text = printed(sink)
            if text.strip():
                _log.debug("%s: %s", self._file, text.strip())
            done += len(batch)
            yield _generated(batch, self._variations())

    def cross_section(self) -> CrossSection:
        """Estimate from the events generated so far."""
        info = self._pythia.infoPython()
        return CrossSection(info.sigmaGen() * _MB_TO_PB, info.sigmaErr() * _MB_TO_PB, info.nTried())

    def _variations(self) -> list[int]:
        """Give the numbers of the weights of ``UncertaintyBands:List``, in its order.

        Pythia lists them after the settings that they are made of, which have names such as
        ``fsr.murfac=0.5``.
        """
        if not self._pythia.flag("UncertaintyBands:doVariations"):
            return []
        info = self._pythia.infoPython()
        names = [info.weightNameByIndex(k) for k in range(info.numberOfWeights())]
        return [k for k, name in enumerate(names) if k > 0 and "=" not in name]

    def _fail(self, text: str) -> NoReturn:
        if self._origin is None:
            msg = f"{self._file}: Pythia refuses these settings ({refusal_of(text)}): correct the file"
        else:
            msg = (
                f"{self._origin}: Pythia refuses these events with {self._file} ({refusal_of(text)}): "
                "correct one of the files"
            )
        raise RecipeError(msg)


def _reading(lhe: Path | None) -> list[str]:
    """Give settings by which Pythia reads events of a file, each one once."""
    if lhe is None:
        return []
    return ["Beams:frameType = 4", f"Beams:LHEF = {lhe}", "Check:abortIfVeto = on"]


def _beams(energy: float | None) -> list[str]:
    """Give settings of symmetric beams; none where the user's shall stand."""
    return [] if energy is None else ["Beams:frameType = 1", f"Beams:eCM = {energy!r}"]


@contextlib.contextmanager
def _include_path(*folders: Path) -> Iterator[None]:
    """Set the variable by which Pythia finds included settings files."""
    name = "PYTHIA8CMND"
    before = os.environ.get(name)
    os.environ[name] = ":".join([str(folder.resolve()) for folder in folders] + ([before] if before else []))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _generated(batch: ak.Array, variations: list[int]) -> GeneratedEvents:
    info = batch["info"]
    weights = np.asarray(ak.to_numpy(info["weights"]))
    numbers = {
        name: np.asarray(ak.to_numpy(info[name])) for name in ("id1", "id2", "x1", "x2", "pdf1", "pdf2")
    }
    return GeneratedEvents(
        record=_record(batch["prt"]),
        weight=weights[:, 0],
        scale_pdf=np.sqrt(ak.to_numpy(info["Q2Fac"])),
        pt_hat=np.sqrt(np.maximum(ak.to_numpy(info["pT2Hat"]), 0.0)),
        id1=numbers["id1"],
        id2=numbers["id2"],
        x1=numbers["x1"],
        x2=numbers["x2"],
        xpdf1=numbers["pdf1"],
        xpdf2=numbers["pdf2"],
        shower_weights=weights[:, variations] / weights[:, :1] if variations else None,
    )


def _record(particles: ak.Array) -> EventRecord:
    counts = ak.to_numpy(ak.num(particles))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    flat = ak.flatten(particles)
    columns = {
        name: np.asarray(ak.to_numpy(flat[name]))
        for name in ("id", "status", "mother1", "mother2", "daughter1", "m")
    }
    momentum = {name: np.asarray(ak.to_numpy(flat["p"][name])) for name in ("px", "py", "pz", "e")}
    # Pythia's four-vector of a position holds x, y, z in mm under the names of a momentum.
    position = {
        name: np.asarray(ak.to_numpy(ak.fill_none(flat["vProd"][name], 0.0))) for name in ("px", "py", "pz")
    }
    production, end = _vertices(offsets, columns["status"], columns["mother1"], columns["mother2"])
    decays = is_hadron(columns["id"]) | np.isin(np.abs(columns["id"]), (13, 15))
    status = _hepmc_status(offsets, columns["id"], columns["status"], columns["daughter1"], decays)
    # Entry 0 of each event stands for the event as a whole.
    real = np.ones(len(flat), dtype=np.bool_)
    real[offsets[:-1]] = False
    return EventRecord(
        offsets=offsets - np.arange(len(offsets)),
        pdg_id=columns["id"][real],
        status=status[real],
        production_vertex=production[real],
        end_vertex=end[real],
        px=momentum["px"][real],
        py=momentum["py"][real],
        pz=momentum["pz"][real],
        energy=momentum["e"][real],
        mass=columns["m"][real],
        x=position["px"][real],
        y=position["py"][real],
        z=position["pz"][real],
    )


@numba.njit(cache=True)
def _vertices(offsets, status, mother1, mother2):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """Vertices from Pythia's mothers, joined as HepMC does.

    Pythia's two mother numbers mean none (0), one (equal, or the second 0), a range (hadrons from strings)
    or two apart, see "Particle Properties" in its manual.
    """
    production = np.full(offsets[-1], -1, dtype=np.int64)
    end = np.full(offsets[-1], -1, dtype=np.int64)
    vertices = 0
    for e in range(len(offsets) - 1):
        base = offsets[e]
        for i in range(base + 1, offsets[e + 1]):
            low, high = mother1[i], mother2[i]
            if high == 0:
                high = low
            if low > high:
                low, high = high, low
            if high == 0:
                continue
            code = abs(status[i])
            step = 1 if 80 < code < 90 or 100 < code < 110 else max(high - low, 1)
            vertex = -1
            for mother in range(low, high + 1, step):
                if mother > 0 and end[base + mother] >= 0:
                    vertex = end[base + mother]
                    break
            if vertex < 0:
                vertex = vertices
                vertices += 1
            production[i] = vertex
            for mother in range(low, high + 1, step):
                if mother > 0 and end[base + mother] < 0:
                    end[base + mother] = vertex
    return production, end


@numba.njit(cache=True)
def _hepmc_status(offsets, pdg_id, status, daughter1, decays):  # type: ignore[no-untyped-def]  # numba  # noqa: ANN001, ANN202
    """HepMC status: 2 for particles of `decays` whose first daughter comes from an ordinary decay."""
    result = np.zeros(offsets[-1], dtype=np.int32)
    for e in range(len(offsets) - 1):
        base = offsets[e]
        for i in range(base, offsets[e + 1]):
            daughter = base + daughter1[i]
            if status[i] > 0:
                result[i] = 1
            elif status[i] == -12:
                result[i] = 4
            elif decays[i] and pdg_id[daughter] != pdg_id[i] and 90 < abs(status[daughter]) < 95:
                result[i] = 2
            else:
                result[i] = -status[i]
    return result
