"""Resolution, calibration and acceptance of jets."""

from __future__ import annotations

import numpy as np
import pytest

from flashsim.reference.detector.causes import JetCauses

CENTRES = {0.25: (-1.745, 0.7081, 0.0319, -0.859), 1.5: (-7.974, 3.978, 0.0640, -1.464)}


def causes(pt, eta, rho=21.0):
    size = len(pt)
    columns = {"pt": pt, "eta": np.full(size, eta)}
    return JetCauses(columns, np.zeros(size, dtype=np.int64), np.full(size, rho), 21.0, 0.0)


@pytest.mark.parametrize("eta", CENTRES)
def test_width_is_the_published_one_at_the_centre_of_a_bin(full, eta):
    noise, stochastic, constant, power = CENTRES[eta]
    pt = np.array([50.0, 100.0, 400.0])
    resolution = full.jets.kinematics.resolution
    expected = noise * abs(noise) / pt**2 + stochastic**2 * pt**power + constant**2
    np.testing.assert_allclose(
        resolution.width(causes(pt, eta)), resolution.scale * np.sqrt(expected), rtol=1e-9
    )


def test_width_is_continuous_and_rises_with_pileup(full):
    resolution = full.jets.kinematics.resolution
    pt = np.full(2000, 40.0)
    jets = JetCauses(
        {"pt": pt, "eta": np.linspace(-5.0, 5.0, 2000)},
        np.zeros(2000, dtype=np.int64),
        np.full(2000, 21.0),
        21.0,
        0.0,
    )
    width = resolution.width(jets)
    assert np.abs(np.diff(width)).max() < 0.01
    assert (resolution.width(causes(pt, 0.5, rho=40.0)) > resolution.width(causes(pt, 0.5, rho=10.0))).all()


def test_efficiency_is_zero_below_threshold_and_in_no_calorimeter(full):
    acceptance = full.jets.kinematics.acceptance
    pt = np.array([14.99, 15.01, 60.0])
    efficiency = acceptance.efficiency(causes(np.full(3, 20.0), 0.0), pt)
    assert efficiency[0] == 0.0
    assert 0.5 < efficiency[1] < efficiency[2] < 1.0
    assert acceptance.efficiency(causes(np.full(3, 60.0), 5.5), np.full(3, 60.0)).max() < 1e-3


def test_calibration_takes_off_pileup(full):
    calibration = full.jets.kinematics.calibration
    pt, area, zero = np.full(2, 30.0), np.full(2, 0.5), np.zeros(2)
    quiet, busy = (calibration.raw_factor(causes(pt, 0.5, rho), pt, area, zero) for rho in (5.0, 40.0))
    assert (busy < quiet).all()
