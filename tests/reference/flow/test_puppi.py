from __future__ import annotations

import math

import numpy as np
import pytest
from toy_events import detector

from flashsim.reference.flow.puppi import puppi_weights


def toy(size=120, seed=3):
    rng = np.random.default_rng(seed)
    charge = rng.choice([-1, 0, 0, 1], size)
    return {
        "pt": rng.exponential(2.0, size) + 0.2,
        "eta": rng.uniform(-4.5, 4.5, size) * np.where(charge != 0, 0.5, 1.0),
        "phi": rng.uniform(-np.pi, np.pi, size),
        "pdgId": np.where(charge != 0, rng.choice([211, 211, 211, 13], size), 22),
        "charge": charge,
        "fromPV": rng.integers(0, 4, size),
        "dz": rng.normal(0.0, 0.5, size),
    }


def plain_weights(columns, vertices, puppi, leptons):
    """The same in plain Python, from the definitions."""
    size = len(columns["pt"])
    charged = columns["charge"] != 0
    primary = charged & (
        (columns["fromPV"] >= 2) | ((columns["fromPV"] == 1) & (np.abs(columns["dz"]) < puppi.near))
    )
    lepton = np.isin(np.abs(columns["pdgId"]), (11, 13))
    eta = np.abs(columns["eta"])
    regions = np.where(eta < puppi.central, 0, np.where(eta < puppi.endcap, 1, 2))
    alpha = np.zeros(size)
    for i in range(size):
        total = 0.0
        for j in range(size):
            if j == i or (lepton[j] and not leptons) or (regions[i] == 0 and not primary[j]):
                continue
            if regions[j] == 0 and charged[j] and not primary[j]:
                continue
            off = math.remainder(columns["phi"][i] - columns["phi"][j], 2 * math.pi)
            distance = (columns["eta"][i] - columns["eta"][j]) ** 2 + off**2
            if distance < 0.16:
                total += columns["pt"][j] ** 2 / max(distance, 1e-4)
        alpha[i] = math.log(total) if total > 0 else 0.0
    weights = np.zeros(size)
    for region in range(3):
        here = regions == region
        pileup = here & (charged & ~primary if region == 0 else ~primary) & (alpha != 0.0)
        median, spread = 0.0, 1.0
        if pileup.sum() > 1:
            median = float(np.median(alpha[pileup]))
            below = alpha[pileup][alpha[pileup] < median] - median
            spread = max(math.sqrt((below**2).sum() / max(len(below), 1)), 0.1)
        median, spread = median * puppi.median[region], spread * puppi.spread[region]
        for i in np.flatnonzero(here):
            if charged[i]:
                weights[i] = primary[i]
            elif alpha[i] > median and alpha[i] != 0.0:
                weight = math.erf((alpha[i] - median) / spread / math.sqrt(2.0))
                least = puppi.offset[region] + puppi.slope[region] * vertices
                weights[i] = (
                    weight if weight > puppi.least_weight and weight * columns["pt"][i] > least else 0.0
                )
    return weights


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_those_of_the_definition(seed):
    columns = toy(seed=seed)
    puppi = detector().puppi.numbers()
    weights = puppi_weights(np.array([0, 120]), columns, np.array([5]), puppi)
    for found, leptons in zip(weights, (True, False), strict=True):
        expected = plain_weights(columns, 5, puppi, leptons)
        assert 0.0 < expected[columns["charge"] == 0].mean() < 1.0
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_events_do_not_see_each_other():
    puppi = detector().puppi.numbers()
    one, two = toy(seed=1), toy(seed=2)
    both = {name: np.concatenate([one[name], two[name]]) for name in one}
    weights = puppi_weights(np.array([0, 120, 240]), both, np.array([5, 9]), puppi)[0]
    np.testing.assert_array_equal(
        weights[:120], puppi_weights(np.array([0, 120]), one, np.array([5]), puppi)[0]
    )
    np.testing.assert_array_equal(
        weights[120:], puppi_weights(np.array([0, 120]), two, np.array([9]), puppi)[0]
    )
