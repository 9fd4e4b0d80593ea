from __future__ import annotations

import math

import numpy as np
import pytest

from flashsim.reference.particles.helix import BEND, closest_approach, reach, turned

FIELD, RADIUS, LENGTH = 3.8, 129.0, 317.0


@pytest.mark.parametrize("charge", [-1, 1])
@pytest.mark.parametrize("pt", [1.0, 3.0, 50.0])
def test_particle_from_the_beam_line_turns_by_the_angle_of_its_chord(pt, charge):
    arrives, eta, phi, angle = reach((pt, 0.2, 0.7), charge, (0.0, 0.0, 0.0), FIELD, RADIUS, LENGTH, 1.5)
    radius = pt / (BEND * FIELD)
    assert arrives
    assert angle == pytest.approx(2.0 * math.asin(RADIUS / (2.0 * radius)))
    assert phi == pytest.approx(0.7 - charge * angle / 2.0)
    assert math.sinh(eta) * RADIUS == pytest.approx(radius * angle * math.sinh(0.2))


def test_negative_charge_turns_to_larger_azimuth():
    _, _, phi = turned(2.0, 0.0, -1, 0.0, 0.0, FIELD, 0.1)
    assert phi > 0.0


def test_photon_flies_straight_to_the_barrel_and_to_the_endcap():
    arrives, eta, phi, angle = reach((5.0, 0.5, -2.0), 0, (0.0, 0.0, 0.0), FIELD, RADIUS, LENGTH, 1.5)
    assert (arrives, angle) == (True, 0.0)
    assert (eta, phi) == pytest.approx((0.5, -2.0))
    _, eta, _, _ = reach((5.0, 2.0, 0.0), 0, (0.0, 0.0, 10.0), FIELD, RADIUS, LENGTH, 1.5)
    assert LENGTH / math.sinh(eta) == pytest.approx((LENGTH - 10.0) / math.sinh(2.0))


def test_soft_particle_curls_up():
    assert not reach((0.5, 0.1, 0.0), 1, (0.0, 0.0, 0.0), FIELD, RADIUS, LENGTH, 1.5)[0]
    assert reach((0.5, 1.9, 0.0), 1, (0.0, 0.0, 0.0), FIELD, RADIUS, LENGTH, 1.5)[0]


@pytest.mark.parametrize("charge", [-1, 1])
@pytest.mark.parametrize("angle", [0.05, 0.4, 1.0])
def test_closest_approach_is_found_again_from_any_point_of_the_path(charge, angle):
    first = closest_approach(2.0, 0.3, charge, 0.1, 0.4, FIELD)
    x, y, phi = turned(2.0, 0.3, charge, 0.1, 0.4, FIELD, angle)
    later = closest_approach(2.0, phi, charge, x, y, FIELD)
    assert later[0] == pytest.approx(first[0], abs=1e-9)
    assert later[2] == pytest.approx(first[2] + angle) or later[2] == pytest.approx(first[2] - angle)


@pytest.mark.parametrize("charge", [-1, 1])
def test_impact_parameter_has_cms_sign(charge):
    d0, _, _ = closest_approach(1000.0, 0.0, charge, 0.0, 0.02, FIELD)
    assert d0 == pytest.approx(0.02, rel=1e-3)  # -x sin(phi) + y cos(phi)
    assert np.sign(closest_approach(1000.0, math.pi, charge, 0.0, 0.02, FIELD)[0]) == -1
