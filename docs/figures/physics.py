"""Draw what the shipped models do, on held-out events of the reference simulation.

    python docs/figures/physics.py runs/ship/test

reads ``ttbar`` and ``vbf_hmumu`` there (``gen.root``, ``full.root``, ``fast.root``, as ``flashsim reference``
writes them), simulates their events with the shipped models, and writes ``response.svg``, ``btag.svg`` and
``dimuon.svg`` beside this file.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import hist
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from flashsim.declarations.output import load_output
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["draw", "main"]

HERE = Path(__file__).resolve().parent
SEED = 20
PT_BINS = ((20.0, 30.0), (30.0, 50.0), (50.0, 100.0), (100.0, 500.0))


@dataclass(frozen=True)
class Simulation:
    """How one simulation is drawn."""

    label: str
    style: dict[str, Any]


SIMULATIONS = {
    "full": Simulation("full (reference)", {"color": "#30404f", "linewidth": 1.2}),
    "flash": Simulation("FlashSim", {"color": "#b4472e", "linewidth": 1.2}),
    "fast": Simulation("fast (reference)", {"color": "#5b8db8", "linewidth": 1.0, "linestyle": "--"}),
}


def read(path: Path) -> ak.Array:
    """Open a NanoAOD file as analyses do."""
    with warnings.catch_warnings():
        # Collections that a file does not have (electrons, photons) cannot be cross-referenced.
        warnings.filterwarnings("ignore", "Missing cross-reference", RuntimeWarning)
        return NanoEventsFactory.from_root({str(path): "Events"}, schemaclass=NanoAODSchema).events()


def simulated(process: Path, scratch: Path) -> dict[str, ak.Array]:
    """Events of one process in all simulations."""
    flash = scratch / f"{process.name}.root"
    models = [ObjectModel.load(path) for path in model_files()]
    Generator(models, load_output(), seed=SEED).run(str(process / "gen.root"), flash)
    paths = {"full": process / "full.root", "flash": flash, "fast": process / "fast.root"}
    return {name: read(path) for name, path in paths.items()}


def draw_response(events: dict[str, ak.Array], figure: mpl.figure.Figure) -> None:
    """Jet pT response in four bins of gen pT."""
    axis = hist.axis.Regular(60, 0.4, 1.6, label=r"$p_T$ / gen $p_T$")
    for axes, (low, high) in zip(figure.subplots(1, 4, sharey=True), PT_BINS, strict=True):
        for name, simulation in SIMULATIONS.items():
            jet = events[name].Jet
            jet = ak.drop_none(jet[jet.genJetIdx >= 0], axis=1)
            gen = jet.matched_gen
            chosen = (gen.pt > low) & (gen.pt < high) & (abs(gen.eta) < 2.5)
            filled = hist.Hist(axis).fill(ak.to_numpy(ak.flatten((jet.pt / gen.pt)[chosen])))
            plot(filled / filled.sum(), axes, simulation)
        axes.set_title(f"gen $p_T$ {low:.0f} to {high:.0f} GeV", fontsize=9, loc="left")
        axes.set(xlim=(0.4, 1.6), ylabel="")
    first = figure.axes[0]
    first.set_ylabel("share of jets / 0.02")
    first.legend(frameon=False, fontsize=8, loc="upper left")


def draw_btag(events: dict[str, ak.Array], figure: mpl.figure.Figure) -> None:
    """Mistag rates of the DeepJet b tag against its efficiency."""
    axes = figure.subplots()
    for name, simulation in SIMULATIONS.items():
        jet = events[name].Jet
        jet = ak.flatten(jet[(jet.genJetIdx >= 0) & (jet.pt > 30) & (abs(jet.eta) < 2.5)])
        score, flavour = (ak.to_numpy(column) for column in (jet.btagDeepFlavB, jet.hadronFlavour))
        cuts = np.quantile(score[flavour == 5], 1.0 - np.linspace(0.3, 0.99, 70))
        efficiency = passing(score[flavour == 5], cuts)
        for other, marker in ((0, "-"), (4, ":")):
            kind = "light" if other == 0 else "c"
            style = simulation.style | {"linestyle": marker}
            label = f"{simulation.label}, {kind}"
            axes.plot(efficiency, passing(score[flavour == other], cuts), label=label, **style)
    axes.set_yscale("log")
    axes.set(
        xlabel="efficiency of b jets", ylabel="efficiency of other jets", xlim=(0.3, 1.0), ylim=(1e-4, 1)
    )
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(r"jets in t$\bar{\rm t}$, $p_T$ > 30 GeV, |η| < 2.5", fontsize=9, loc="left")


def passing(score: NDArray[np.floating], cuts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Share of scores above each cut."""
    return 1.0 - np.searchsorted(np.sort(score), cuts) / len(score)


def draw_dimuon(events: dict[str, ak.Array], figure: mpl.figure.Figure) -> None:
    """Dimuon mass of H → μμ, generated and simulated."""
    axes = figure.subplots()
    axis = hist.axis.Regular(80, 110, 140, label=r"$m_{\mu\mu}$ [GeV]")
    gen = events["full"].GenPart
    gen = gen[(abs(gen.pdgId) == 13) & gen.hasFlags("isLastCopy", "fromHardProcess")]
    generated = hist.Hist(axis).fill(ak.to_numpy((gen[:, 0] + gen[:, 1]).mass))
    style = {"color": "#c3ccd4", "histtype": "fill"}
    plot(generated, axes, Simulation("generated", style))
    for name, simulation in SIMULATIONS.items():
        muon = events[name].Muon
        muon = muon[(muon.pt > 20) & (abs(muon.eta) < 2.4) & muon.mediumId & (muon.pfRelIso04_all < 0.25)]
        muon = muon[ak.num(muon) == 2]
        muon = muon[muon[:, 0].charge != muon[:, 1].charge]
        plot(hist.Hist(axis).fill(ak.to_numpy((muon[:, 0] + muon[:, 1]).mass)), axes, simulation)
    axes.set_yscale("log")
    axes.set(ylabel="events / 0.375 GeV", ylim=(1, None), xlim=(110, 140))
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(f"VBF H → μμ, {len(gen)} events, two selected muons", fontsize=9, loc="left")


def plot(filled: hist.Hist, axes: Axes, simulation: Simulation) -> None:
    """Draw one histogram."""
    filled.plot1d(ax=axes, label=simulation.label, flow="none", yerr=False, **simulation.style)


def draw(samples: Path, folder: Path) -> None:
    """Draw all pictures into a folder."""
    mpl.rcParams["svg.hashsalt"] = "flashsim"  # the same file every time
    pictures: dict[str, tuple[str, Callable[..., None], tuple[float, float]]] = {
        "response.svg": ("ttbar", draw_response, (11.0, 2.9)),
        "btag.svg": ("ttbar", draw_btag, (5.2, 3.6)),
        "dimuon.svg": ("vbf_hmumu", draw_dimuon, (5.2, 3.6)),
    }
    with tempfile.TemporaryDirectory() as scratch:
        events = {
            name: simulated(samples / name, Path(scratch)) for name in {p for p, *_ in pictures.values()}
        }
        for picture, (process, function, size) in pictures.items():
            figure = plt.figure(figsize=size, layout="constrained")
            function(events[process], figure)
            figure.savefig(folder / picture, metadata={"Date": None})


def main() -> None:
    """Command line."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} SAMPLES")
    draw(Path(sys.argv[1]), HERE)


if __name__ == "__main__":
    main()
