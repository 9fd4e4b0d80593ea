"""Paths of charged particles in the solenoid's field, in closed form.

The frame's origin is on the beam line, z is along it. A circle of radius rho around a centre is the path in
the transverse plane; a particle of charge q at direction phi has turned by an angle `a` when its direction is
phi - q a. Lengths are in cm.
"""

from __future__ import annotations

import math

import numba

__all__ = ["BEND", "closest_approach", "reach", "turned"]

BEND = 0.00299792458
"""GeV per (tesla cm): pT = `BEND` times field times radius of curvature."""


@numba.njit(cache=True)
def turned(pt, phi, charge, x, y, field, a):
    """Give x, y and direction of a charged particle that has turned by the angle `a`."""
    rho = pt / (BEND * field)
    now = phi - charge * a
    dx = charge * rho * (math.sin(phi) - math.sin(now))
    dy = charge * rho * (math.cos(now) - math.cos(phi))
    return x + dx, y + dy, now


@numba.njit(cache=True)
def closest_approach(pt, phi, charge, x, y, field):
    """Point of closest approach to the beam line.

    Returns
    -------
    Impact parameter in CMS's sign (``-x sin(phi) + y cos(phi)`` of a straight track), direction
    there, and the angle turned from there to the point given.
    """
    rho = pt / (BEND * field)
    centre_x, centre_y = x + charge * rho * math.sin(phi), y - charge * rho * math.cos(phi)
    distance = math.hypot(centre_x, centre_y)
    direction = math.atan2(centre_y, centre_x) + charge * 0.5 * math.pi
    angle = charge * (direction - phi)
    angle -= 2.0 * math.pi * round(angle / (2.0 * math.pi))
    direction = phi + charge * angle
    return -charge * (distance - rho), direction, angle


@numba.njit(cache=True)
def reach(momentum, charge, place, field, radius, length, most_turns):
    """Follow a particle to a cylinder around the beam line, closed at both ends.

    Parameters
    ----------
    momentum
        Its pT, pseudorapidity and azimuth where it begins.
    charge
        Its charge.
    place
        Where it begins: x, y and z.
    field
        In tesla.
    radius, length
        Of the cylinder: radius and half length.
    most_turns
        Charged particles that circle more often get lost.

    Returns
    -------
    Whether it arrives; pseudorapidity and azimuth of the point as seen from the origin; and the angle turned.
    """
    pt, eta, phi = momentum
    x, y, z = place
    slope = math.sinh(eta)
    if charge == 0:
        cosine, sine = math.cos(phi), math.sin(phi)
        along = x * cosine + y * sine
        path = -along + math.sqrt(max(along * along - x * x - y * y + radius * radius, 0.0))
        if slope != 0.0:
            path = min(path, (math.copysign(length, slope) - z) / slope)
        if path <= 0.0:
            return False, 0.0, 0.0, 0.0
        end_x, end_y = x + path * cosine, y + path * sine
        distance = max(math.hypot(end_x, end_y), 1e-3)
        return True, math.asinh((z + path * slope) / distance), math.atan2(end_y, end_x), 0.0
    rho = pt / (BEND * field)
    angle, longest = 1e9, 2.0 * math.pi * most_turns
    if slope != 0.0:
        angle = (math.copysign(length, slope) - z) / (rho * slope)
    centre_x, centre_y = x + charge * rho * math.sin(phi), y - charge * rho * math.cos(phi)
    distance = math.hypot(centre_x, centre_y)
    if distance + rho > radius and angle * rho > radius - math.hypot(x, y):  # else it misses the barrel
        azimuth = math.atan2(centre_y, centre_x)
        sine = (distance * distance + rho * rho - radius * radius) / (
            2.0 * charge * rho * max(distance, 1e-12)
        )
        if abs(sine) < 1.0:
            first = math.asin(sine)
            for direction in (azimuth + first, azimuth + math.pi - first):
                turn = charge * (phi - direction)
                angle = min(angle, turn - 2.0 * math.pi * math.floor(turn / (2.0 * math.pi)))
    if angle <= 0.0 or angle > longest:
        return False, 0.0, 0.0, 0.0
    end_x, end_y, _ = turned(pt, phi, charge, x, y, field, angle)
    distance = max(math.hypot(end_x, end_y), 1e-3)
    return True, math.asinh((z + rho * angle * slope) / distance), math.atan2(end_y, end_x), angle
