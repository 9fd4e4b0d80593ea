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
        "pt": rng.exponential(2.0, size) + 0.2 + 60.0 * (rng.uniform(size=size) < 0.05),
        "eta": rng.uniform(-4.5, 4.5, size) * np.where(charge != 0, 0.6, 1.0),
        "phi": rng.uniform(-np.pi, np.pi, size),
        "pdgId": np.where(charge != 0, rng.choice([211, 211, 211, 13], size), 22),
        "charge": charge,
        "fromPV": rng.integers(0, 4, size),
        "dz": rng.normal(0.0, 0.5, size),
        "rank": rng.integers(0, 6, size),
    }


def plain_kinds(columns, puppi, leptons):
    """1 primary, 2 pileup, 0 undecided or neutral, 3 a lepton that is left out."""
    kinds = []
    for pt, eta, code, charge, association, dz, rank in zip(
        *(columns[name] for name in ("pt", "eta", "pdgId", "charge", "fromPV", "dz", "rank")), strict=True
    ):
        if abs(code) in (11, 13) and not leptons:
            kinds.append(3)
        elif charge == 0:
            kinds.append(0)
        elif association == 0:
            kinds.append(1 if rank <= puppi.split[0] and abs(dz) < puppi.split[1] else 2)
        else:
            hard = pt > puppi.charged_pt or (association == 2 and pt > puppi.tight_pt)
            near = abs(eta) >= puppi.near[0] and abs(dz) < puppi.near[1]
            kinds.append(1 if association == 3 or hard or near else 0)
    return np.array(kinds)


def plain_weights(columns, vertices, puppi, leptons):
    """The same in plain Python, from the definitions."""
    size = len(columns["pt"])
    kinds = plain_kinds(columns, puppi, leptons)
    eta, pt = np.abs(columns["eta"]), columns["pt"]
    regions = np.where(eta < puppi.central, 0, np.where(eta < puppi.endcap, 1, 2))

    def alpha(i, of_all):
        total = 0.0
        for j in range(size):
            off = math.remainder(columns["phi"][i] - columns["phi"][j], 2 * math.pi)
            distance = (columns["eta"][i] - columns["eta"][j]) ** 2 + off**2
            if kinds[j] != 3 and (of_all or kinds[j] == 1) and 1e-4 <= distance < 0.16:
                total += pt[j] ** 2 / distance
        return math.log(total) if total > 0 else 0.0

    weights = np.zeros(size)
    for region in range(3):
        of_all = region > 0
        tells = (eta < puppi.pileup_eta) & (pt > puppi.pileup_pt[int(of_all)])
        pileup = np.array([alpha(i, of_all) for i in np.flatnonzero(tells & (kinds == 2))])
        found = pileup[pileup != 0.0]
        median, spread = 0.0, 1.0
        if len(found):
            median = float(np.median(found))
            below = found[found <= median] - median
            spread = max(math.sqrt((below**2).mean()), 0.1)
            wrong = sum(alpha(i, of_all) <= median for i in np.flatnonzero(tells & (kinds == 1)))
            shift = wrong / (wrong + 0.5 * len(pileup)) * math.sqrt(0.5 * math.pi * spread)
            median, spread = median - shift, max(spread - shift, 0.1)
        median, spread = median * puppi.median[region], spread * puppi.spread[region]
        for i in np.flatnonzero(regions == region):
            value = alpha(i, of_all)
            if kinds[i] != 0:
                weights[i] = kinds[i] != 2
                continue
            weight = math.erf((value - median) / spread / math.sqrt(2.0)) if value > median and value else 0.0
            least = puppi.offset[region] + puppi.slope[region] * vertices
            weight = weight if weight > puppi.least_weight and weight * pt[i] > least else 0.0
            low, high = puppi.hard_pt
            weights[i] = max(weight, min(max((pt[i] - low) / (high - low), 0.0), 1.0))
            if columns["pdgId"][i] == 22 and region == 0 and pt[i] > low:
                weights[i] = 1.0
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
