# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The first steps of VBF H → μμ, on four simulations
#
# Full, fast and flash simulation of the same generated events, and the generated events themselves, go
# through the same selection. Whatever an analyst would look at is drawn with its ratio to the reference.
#
# As it stands it runs on the reference simulation, with the samples that `python -m benchmarks.notebook`
# makes before it executes this notebook: detectors and FlashSim see the same gen events four times each, with
# other random numbers, so that chance in few events does not hide how far they agree. For samples of your own
# edit the next cell and nothing else.

# %%
import os

# Processes and simulations: the shipped analysis/samples.yaml, or the path of your own; and the folder that
# the paths in it are seen from.
SAMPLES = "samples"
FOLDER = os.environ.get("FLASHSIM_SAMPLES", "../runs/vbf_hmumu")
SELECTION = "vbf_hmumu"  # analysis/vbf_hmumu.yaml, or the path of your own
STEPS = []  # optional steps of the selection that are on, such as "bVeto"
WITHOUT = []  # concepts that the files do not have, such as "puId"
OBJECTS_OF = "ttbar"  # process whose jets and muons are compared one by one
CANDIDATE, THIRD = "flash", "fast"  # simulations that are compared with the reference there
OVERSAMPLED = "oversampled"  # simulation in which gen events stand several times, if there is one

# %%
from pathlib import Path

import pandas as pd
from IPython.display import SVG, display

from flashsim.analysis.analyze import analyze, cutflow_text
from flashsim.analysis.drawing import draw_histogram, draw_oversampling, draw_processes, draw_variations
from flashsim.analysis.samples import load_samples
from flashsim.analysis.validation import load_validation, validate
from flashsim.analysis.validation.comparison import Topic
from flashsim.analysis.validation.figures import draw
from flashsim.declarations.objects import load_object

# %matplotlib inline

os.chdir(FOLDER)
samples = load_samples(SAMPLES)
found = analyze(samples, selection=SELECTION, steps=STEPS, without=WITHOUT)
results = found.results
SIDE_BY_SIDE = [name for name in samples.simulations if name != OVERSAMPLED]


def histogram(observable, region):
    """Find a histogram that the selection declares."""
    return next(h for h in results.recipe.histograms if (h.observable, h.region) == (observable, region))


def show(observable, region):
    """Draw a histogram of all processes in all simulations."""
    display(draw_histogram(results, histogram(observable, region), simulations=SIDE_BY_SIDE))


# %% [markdown]
# What stands for the concepts that NanoAOD versions name differently, and which simulations are of the gen
# events of the reference:

# %%
display(pd.Series(found.selection.says(), name="branches").to_frame())
display(pd.DataFrame({name: results.shared(name) for name in samples.processes}).T)

# %% [markdown]
# ## Cutflow
#
# Efficiency of each step with all before it, in percent, and its ratio to the reference. Errors are
# statistical; where simulations share gen events they fluctuate together, so weights are summed by gen event
# first, over all its folds and passes, and the error of the ratio is that of what is left
# (`flashsim.analysis.ratios`). `SignalRegion`, `SideBand` and `ZRegion` are windows of the dimuon mass
# after all steps.

# %%
print(cutflow_text(results))

# %% [markdown]
# ## Dimuon mass
#
# Half the width of the central 68 % of the events in a window of the mass, in GeV.

# %%
masses = pd.DataFrame(results.masses())
display(masses[masses["region"] == "SignalRegion"].round(3).set_index(["process", "simulation"]))
show("mass", "PreSel")
show("mass", "SignalRegion")

# %% [markdown]
# ## Observables after preselection
#
# Ratios below always divide by the reference. The generator level has neither isolation nor quark-gluon
# score. What to look at: jets that nothing has generated (pileup, noise) are soft and matter for the second
# jet; R(pT) and the dimuon mass are what the detector makes of them, so that the generator level is far off;
# log |z*| hardly depends on the detector.

# %%
show("muon1_iso", "PreSel")
show("jet2_pt", "PreSel")
show("jet1_qg", "PreSel")
show("log_z_star", "PreSel")
show("r_pt", "PreSel")
show("mjj", "PreSel")
show("delta_eta_jj", "PreSel")
show("cos_theta_cs", "PreSel")

# %% [markdown]
# ## Signal and backgrounds

# %%
compared = [samples.reference, CANDIDATE]
for name in ("log_z_star", "r_pt", "mjj"):
    display(draw_processes(results, histogram(name, "PreSel"), simulations=compared))

# %% [markdown]
# ## Discriminant
#
# A small network on the 25 observables of the published one, trained on the reference alone (signal against
# all backgrounds, in folds of the gen events so that no event is scored by a network that has seen it) and
# applied unchanged to the others.

# %%
if found.discriminant["trained"]:
    show("score", "PreSel")
    show("score", "SignalRegion")
    display(draw_processes(results, histogram("score", "SignalRegion"), simulations=compared))
else:
    print(found.discriminant["reason"])

# %% [markdown]
# ## Theory variations by ratio
#
# A variation of the theory is a weight of the gen event. Flash simulation of the nominal sample predicts what
# the full simulation of a varied one would give: varied full = nominal full × varied flash / nominal flash.
# Below, the ratio of both variations, which is 1 where that holds; its error knows that all four histograms
# are of the same gen events.

# %%
for process in samples.processes:
    for observable in ("r_pt", "score"):
        if figure := draw_variations(results, histogram(observable, "PreSel"), process):
            display(figure)

# %% [markdown]
# ## Oversampling
#
# Each gen event simulated several times, for a share of its weight. The folds of a gen event are not
# independent, so the gain is less than their number: near it where the detector decides on the bin, near 1
# where the gen event does.

# %%
gains = pd.DataFrame(results.gains())
if len(gains):
    display(gains.pivot_table("gain", "histogram", ["process", "simulation", "folds"]).round(2))
for process in samples.processes:
    if f"{process}/{OVERSAMPLED}" in results.datasets:
        for observable, region in (("mass", "SignalRegion"), ("log_z_star", "PreSel"), ("score", "PreSel")):
            if figure := draw_oversampling(results, histogram(observable, region), process, OVERSAMPLED):
                display(figure)

# %% [markdown]
# ## Jets and muons one by one
#
# `flashsim validate` on one file of a process: the Wasserstein-1 distance of each simulated variable in
# standard deviations of the reference, and then the published figures: correlated pairs (contours that hold
# 50, 90 and 99 %), response against gen pT, b tagging by flavour. Everything else is in `report.html` beside
# the samples.

# %%
files = {d.simulation: d.files[0] for d in results.datasets.values() if d.process == OBJECTS_OF}
report = validate(
    files[samples.reference],
    files[CANDIDATE],
    [load_object(name) for name in ("jets", "muons")],
    Path("report.html"),
    third=files.get(THIRD),
    recipe=load_validation(),
    force=True,
)
distances = [
    {"object": row.object, "variable": row.quantity}
    | {
        f"{report.labels[role]} {what}": round(value, 4)
        for role, one in row.found.items()
        if (distance := one.differences.get("wasserstein"))
        for what, value in (("W1", distance.value), ("error", distance.error), ("floor", distance.floor))
    }
    for row in report.rows
    if row.topic == Topic.DISTRIBUTIONS
]
with pd.option_context("display.max_rows", None):
    display(pd.DataFrame(distances).set_index(["object", "variable"]))

# %%
CHOSEN = {
    Topic.CONTOURS: None,
    Topic.RESPONSE: None,
    Topic.TAGGING: None,
    Topic.DISTRIBUTIONS: {"pt", "btagDeepFlavB", "qgl", "nConstituents", "pfRelIso04_all", "sip3d"},
}
for part in report.objects:
    for section in part.sections:
        names = CHOSEN.get(section.topic, set())
        if names is None or any(section.title.endswith(f"_{name}") for name in names):
            print(f"{part.name}, {section.topic}: {section.title}")
            display(SVG(draw(section.topic, section.data, report.labels)))
