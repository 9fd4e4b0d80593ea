"""Draw the dimuon mass of a generated file: python docs/figures/dimuon.py flash.root dimuon.svg."""

from __future__ import annotations

import sys
import warnings

import awkward as ak
import hist
import matplotlib as mpl
import matplotlib.pyplot as plt
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

__all__ = ["draw", "masses"]


def masses(path: str) -> tuple[ak.Array, ak.Array]:
    """Masses in GeV of the muon pairs of a file, generated and simulated.

    Parameters
    ----------
    path
        NanoAOD of H → μμ.

    Returns
    -------
    Of the two muons from the Higgs boson, in every event; of the two selected muons, where there are two of
    opposite charge.
    """
    with warnings.catch_warnings():
        # Collections that a generated file does not have (electrons, photons) cannot be cross-referenced.
        warnings.filterwarnings("ignore", "Missing cross-reference", RuntimeWarning)
        events = NanoEventsFactory.from_root({path: "Events"}, schemaclass=NanoAODSchema).events()
    gen = events.GenPart
    gen = gen[(abs(gen.pdgId) == 13) & gen.hasFlags("isLastCopy", "fromHardProcess")]

    muon = events.Muon
    muon = muon[(muon.pt > 20) & (abs(muon.eta) < 2.4) & muon.mediumId & (muon.pfRelIso04_all < 0.25)]
    muon = muon[ak.num(muon) == 2]
    muon = muon[muon[:, 0].charge != muon[:, 1].charge]
    return (gen[:, 0] + gen[:, 1]).mass, (muon[:, 0] + muon[:, 1]).mass


def draw(path: str, picture: str) -> None:
    """Draw both spectra and write the picture."""
    mpl.rcParams["svg.hashsalt"] = "flashsim"  # the same file every time
    generated, simulated = masses(path)
    axis = hist.axis.Regular(60, 110, 140, name="mass", label=r"$m_{\mu\mu}$ [GeV]")
    figure, axes = plt.subplots(figsize=(5.6, 3.6))
    for name, values, style in (
        ("gen", generated, {"color": "#8896a5", "histtype": "fill", "alpha": 0.5}),
        ("FlashSim, two selected muons", simulated, {"color": "#b4472e"}),
    ):
        hist.Hist(axis).fill(ak.to_numpy(values)).plot1d(
            ax=axes, label=name, flow="none", yerr=False, **style
        )
    axes.set_yscale("log")
    axes.set(ylabel="events / 0.5 GeV", ylim=(0.6, None), xlim=(110, 140))
    axes.legend(frameon=False, fontsize=9)
    axes.set_title(f"{len(generated)} events, {len(simulated)} selected", fontsize=9, loc="left")
    figure.savefig(picture, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    draw(*sys.argv[1:])
