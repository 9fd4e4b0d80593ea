"""Differences that were put in are found, where they are and as large as they are; others are not."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from flashsim.analysis.validation import distributions, multivariate, reconstruction
from flashsim.analysis.validation.comparison import CANDIDATE, bins_of

PARTS = (
    distributions.distributions,
    reconstruction.efficiencies,
    reconstruction.unmatched,
    reconstruction.numbers,
    reconstruction.response,
    multivariate.tagging,
    multivariate.correlations,
    multivariate.contours,
)


@pytest.fixture(scope="module")
def reference(make_sample):
    return make_sample(0)


def rows(comparison, *parts):
    sections = chain.from_iterable(part(comparison) for part in parts)
    return {(str(row.topic), row.quantity): row.found[CANDIDATE] for s in sections for row in s.rows}


def test_a_sample_does_not_differ_from_itself(compare, reference):
    found = rows(compare(reference, reference), *PARTS)
    assert len(found) > 12
    # Contours are those of one half of the reference, so the whole may differ from the other half.
    assert {one.light for (topic, _), one in found.items() if topic != "Contours"} == {"green"}
    distances = [
        d.value for (topic, _), one in found.items() if topic != "Contours" for d in one.differences.values()
    ]
    assert distances == pytest.approx([0.0] * len(distances), abs=1e-9)


def test_another_draw_is_green(compare, reference, make_sample):
    found = rows(compare(reference, make_sample(1)), *PARTS)
    assert [key for key, one in found.items() if one.light != "green"] == []


def test_a_wider_response_is_found(compare, reference, make_sample):
    comparison = compare(reference, make_sample(1, width=0.2))
    found = rows(comparison, distributions.distributions, reconstruction.response)
    response = found["Response", "Jet_pt response"]
    assert response.light == "red"
    assert response.differences["width"].value == pytest.approx(1.0, abs=0.4)
    assert found["Distributions", "Jet_pt relative to gen"].light == "red"
    assert found["Distributions", "Jet_mass relative to gen"].light == "green"


def test_a_shift_is_found_in_widths(compare, reference, make_sample):
    found = rows(compare(reference, make_sample(1, scale=1.1)), reconstruction.response)
    assert found["Response", "Jet_pt response"].differences["median"].value == pytest.approx(1.0, abs=0.5)


def test_lost_objects_are_found(compare, reference, make_sample):
    comparison = compare(reference, make_sample(1, efficiency=0.8))
    found = rows(comparison, reconstruction.efficiencies, reconstruction.numbers)
    assert found["Efficiency", "Efficiency"].light == "red"
    (section,) = reconstruction.efficiencies(comparison)
    panel = section.data["panels"][1]
    assert panel["rates"]["candidate"]["value"][0] == pytest.approx(0.8, abs=0.04)
    assert panel["rates"]["reference"]["value"][0] == pytest.approx(0.9, abs=0.04)
    number = found["Numbers per event", "Numbers per event"].differences["number"]
    assert number.value == pytest.approx(0.1, abs=0.05)


def test_a_worse_tag_is_found(compare, reference, make_sample):
    comparison = compare(reference, make_sample(1, tag=1.0))
    found = rows(comparison, multivariate.tagging)
    assert {one.light for one in found.values()} == {"red"}
    areas = [
        [s["area"] for s in section.data["samples"].values()] for section in multivariate.tagging(comparison)
    ]
    assert all(candidate < reference - 0.1 for reference, candidate in areas)


def test_a_correlation_is_found(compare, reference):
    """The energy of the jets decides on their number of constituents, and single distributions stay."""
    reco = dict(reference.reco)
    order = np.argsort(np.argsort(reco["mass"] / np.repeat(1.0, len(reco["mass"]))))
    tied = replace(reference, reco=reco | {"nConstituents": np.sort(reco["nConstituents"])[order]})
    found = rows(compare(reference, tied), multivariate.correlations, distributions.distributions)
    one = found["Correlations", "largest difference of rank correlations"]
    assert one.light == "red"
    assert "nConstituents" in one.differences["correlation"].where
    assert found["Distributions", "Jet_nConstituents"].light == "green"


def test_the_classifier_tells_by_which_target(compare, reference, make_sample):
    comparison = compare(reference, make_sample(1, width=0.3))
    (section,) = multivariate.classifier(comparison)
    test = section.data["tests"]["candidate"]
    assert test["auc"] > 0.65
    assert max(test["importance"], key=test["importance"].get) == "pt"
    assert section.rows[0].found[CANDIDATE].light == "red"


def test_few_objects_have_no_light(compare, make_sample):
    few = make_sample(0, events=20)
    found = rows(compare(few, few), distributions.distributions)
    assert {one.light for one in found.values()} == {"none"}


def test_a_response_without_enough_objects_is_not_drawn(compare, make_sample):
    few = make_sample(0, events=20)
    assert list(reconstruction.response(compare(few, few))) == []


def test_values_that_are_no_numbers_are_set_aside(compare, reference, make_sample):
    broken = make_sample(1)
    broken.reco["mass"][::7] = np.nan
    found = rows(compare(reference, broken), distributions.distributions, multivariate.correlations)
    assert found["Distributions", "Jet_mass"].light == "green"


def test_bins():
    assert bins_of(np.array([-1.0, 0.0, 1.5, 2.0, np.inf]), [0.0, 1.0, 2.0]).tolist() == [-1, 0, 1, -1, -1]
