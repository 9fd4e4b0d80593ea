"""Made samples of one object whose differences are known, and a small report of files."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.analysis.validation import load_validation, validate
from flashsim.analysis.validation.comparison import CANDIDATE, REFERENCE, Comparison
from flashsim.analysis.validation.samples import Sample, Selected
from flashsim.declarations.objects import load_object

TARGETS = ("pt", "eta", "phi", "mass", "btagDeepFlavB", "nConstituents")
FLAVOURS = ("hadronFlavour_b", "hadronFlavour_c")


@pytest.fixture(scope="session")
def declaration():
    """Jets with few targets."""
    return load_object("jets").with_targets(TARGETS)


@pytest.fixture(scope="session")
def recipe():
    """Look at few objects, for speed."""
    return load_validation().model_copy(update={"classified_objects": 1500, "correlated_objects": 3000})


@pytest.fixture(scope="session")
def make_sample():
    """Make samples: the gen objects follow from the number of events, what is found from the seed."""

    def make(seed, *, events=1500, efficiency=0.9, width=0.1, scale=1.0, tag=2.0):
        gen_rng, rng = np.random.default_rng(1), np.random.default_rng([2, seed])
        gen_event = np.repeat(np.arange(events), 2)
        n = len(gen_event)
        gen = {
            "pt": gen_rng.exponential(40.0, n) + 20.0,
            "eta": gen_rng.normal(0.0, 1.2, n),
            "phi": gen_rng.uniform(-3.0, 3.0, n),
            "mass": gen_rng.exponential(5.0, n) + 1.0,
        }
        flavour = gen_rng.choice(3, n)
        found = rng.random(n) < efficiency
        rows = np.where(found, np.cumsum(found) - 1, -1)
        unmatched = np.flatnonzero(rng.random(events) < 0.2)
        reco = {
            "pt": gen["pt"] * rng.normal(scale, width, n),
            "eta": gen["eta"] + rng.normal(0.0, 0.01, n),
            "phi": gen["phi"] + rng.normal(0.0, 0.01, n),
            "mass": gen["mass"] * rng.normal(1.0, 0.2, n),
            "btagDeepFlavB": 1.0 / (1.0 + np.exp(rng.normal(0.0, 1.0, n) - tag * (flavour == 0))),
            "nConstituents": rng.poisson(20.0, n).astype(np.float64),
        }
        other = {name: rng.choice(values, len(unmatched)) for name, values in reco.items()}
        conditioning = {name: (flavour == k).astype(np.float64) for k, name in enumerate(FLAVOURS)}
        return Sample(
            events=np.arange(events),
            hashes=np.arange(events).astype(np.uint64),
            contents=np.bincount(gen_event, weights=gen["pt"]),
            gen_event=gen_event,
            reco_event=np.concatenate((gen_event[found], unmatched)),
            conditioning=conditioning | {"pt": gen["pt"]},
            gen=gen,
            reco={name: np.concatenate((values[found], other[name])) for name, values in reco.items()},
            rows=rows,
        )

    return make


@pytest.fixture(scope="session")
def compare(declaration, recipe):
    """Compare made samples."""
    names = {"pt", "hadronFlavour"}
    conditioning = [entry for entry in declaration.conditioning if entry.name in names]
    selected = Selected(declaration, conditioning, declaration.targets)

    def run(reference, candidate):
        return Comparison.of(selected, recipe, {REFERENCE: reference, CANDIDATE: candidate})

    return run


@pytest.fixture(scope="session")
def report_page(declaration, recipe, made_process, tmp_path_factory):
    """Write a report of three files of the same gen events."""
    output = tmp_path_factory.mktemp("report") / "report.html"
    full, fast, other = (str(made_process / f"{name}.root") for name in ("full", "fast", "full_1"))
    validate(full, other, [declaration], output, third=fast, recipe=recipe)
    return output
