"""Agreement of flash simulation where the cutflow leaves few events.

Of a hundred thousand events of tt sixty are left at the dijet mass, too few to tell percents. So the gen
events that can come that far, with two muons and two jets of enough mass, pass the detector `full` and flash
simulation many times each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import vector

from flashsim.analysis.analyze import analyze
from flashsim.analysis.samples import ProcessRecipe, SamplesRecipe, SimulationRecipe
from flashsim.declarations.eras import DEFAULT_ERA, load_era
from flashsim.declarations.output import load_output
from flashsim.events.identity import event_keys, identity_branches
from flashsim.gen.minbias import MinBias, minbias_library
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files
from flashsim.nanoaod.reading import NanoFile
from flashsim.nanoaod.writing import NanoWriter
from flashsim.reference.output.detect import detect

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.analysis.results import Results

__all__ = ["cutflow_tail", "pick", "promising"]

MUON_PT, MUON_ETA = 10.0, 2.6
JET_PT, JET_MASS = 12.0, 150.0
"""In GeV, well below what the selection asks of reconstructed muons and jets."""
SEED = 6
FULL, FLASH = "full", "flash"


def promising(gen: Path) -> NDArray[np.bool_]:
    """Tell which events of a gen-level file have two muons and two jets that can pass, shape (E,)."""
    jets = ("pt", "eta", "phi", "mass")
    with NanoFile(gen) as file:
        particles = file.read([f"GenPart_{name}" for name in ("pt", "eta", "pdgId", "status")])
        found = file.read([f"GenJet_{name}" for name in jets])
    is_muon = (abs(particles["GenPart_pdgId"]) == 13) & (particles["GenPart_status"] == 1)
    is_muon = is_muon & (particles["GenPart_pt"] > MUON_PT) & (abs(particles["GenPart_eta"]) < MUON_ETA)
    columns = {name: found[f"GenJet_{name}"][found["GenJet_pt"] > JET_PT] for name in jets}
    first, second = ak.unzip(ak.combinations(vector.zip(columns), 2))
    massive = ak.any((first + second).mass > JET_MASS, axis=1)
    return np.asarray((ak.sum(is_muon, axis=1) >= 2) & massive)


def pick(source: Path, output: Path, chosen: NDArray[np.bool_]) -> Path:
    """Write the chosen events of a file, and its other trees as they are."""
    with NanoFile(source) as file, NanoWriter(output) as writer:
        writer.tree("Events", list(file.branches.values()), counter_titles=file.counter_titles)
        for start, stop, arrays in file.chunks(list(file.branches), 10_000):
            writer.extend("Events", {name: array[chosen[start:stop]] for name, array in arrays.items()})
        for name in file.trees:
            branches, columns = file.read_tree(name)
            writer.tree(name, list(branches.values()))
            writer.extend(name, columns)
    return output


def cutflow_tail(folder: Path, work: Path, times: int, minbias: Path | None = None) -> dict[str, Any]:
    """Pick, simulate, compare.

    Parameters
    ----------
    folder
        Of a process, as ``flashsim reference`` makes it.
    work
        Where files may lie.
    times
        Passes through both simulations.
    minbias
        Pileup; by default that of the era.

    Returns
    -------
    JSON content: for each step the share of the process's events, as ``full*.root`` have them, that was
    picked; and the ratio of flash to full among these, with its error.
    """
    chosen = promising(folder / "gen.root")
    gen, particles = (pick(folder / name, work / name, chosen) for name in ("gen.root", "particles.root"))
    library = minbias or minbias_library(MinBias(load_era(DEFAULT_ERA).energy))
    full = [str(work / f"full_{draw}.root") for draw in range(times)]
    for draw, path in enumerate(full):
        detect(gen, particles, library, path, detector=FULL, seed=SEED, draw=draw)
    models = [ObjectModel.load(path) for path in model_files()]
    Generator(models, load_output(), seed=SEED, oversample=times).run(str(gen), work / "flash.root")
    results = _analysed({FULL: full, FLASH: [str(work / "flash.root")]})
    whole = _analysed({FULL: sorted(map(str, folder.glob("full*.root")))})
    return {
        "events": len(chosen),
        "picked": int(chosen.sum()),
        "times": times,
        "picked_share": _picked_share(whole, _identities(gen)),
        "ratio": {
            row["step"]: [round(row["ratio"], 4), round(row["ratio_error"], 4)]
            for row in results.cutflow()
            if "ratio" in row
        },
    }


def _analysed(files: dict[str, list[str]]) -> Results:
    samples = SamplesRecipe(
        schema_version=1,
        era="UL2018",
        reference=FULL,
        simulations={name: SimulationRecipe(label=name) for name in files},
        processes={"picked": ProcessRecipe(label="picked", files=files)},
    )
    return analyze(samples).results


def _identities(path: Path) -> NDArray[np.uint64]:
    with NanoFile(path) as file:
        return event_keys(file.read(identity_branches(file.branches)))


def _picked_share(whole: Results, identities: NDArray[np.uint64]) -> dict[str, float]:
    """Share of the events that pass each step which are among those of some identities."""
    found = whole.found[f"picked/{FULL}"]
    reached = found["reached"]
    inside = np.isin(reached["event"], identities)
    steps = [step for step in found["cutflow"] if step != "all"]
    return {
        step: round(float(np.mean(inside[reached["reached"] > k])), 4)
        for k, step in enumerate(steps)
        if np.any(reached["reached"] > k)
    }
