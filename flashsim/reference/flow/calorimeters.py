"""Calorimeters: cells in pseudorapidity and azimuth, what particles leave in them, and clusters of cells.

A grid covers each calorimeter: ECAL and HCAL to |eta| = 3, the forward calorimeter (HF) beyond, whose short
fibres, behind what photons leave, are a grid of their own. Showers are
as wide as they are and fluctuate; hadrons leave a part of their energy in ECAL. A cell belongs to the cluster
of its most energetic neighbour, so that a cluster is a local maximum with its slopes. A cluster stands at the
energy-weighted mean of what is in it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.reference.particles.helix import reach
from flashsim.reference.particles.kernel_recipe import KernelRecipe, borrowing, eta_bin
from flashsim.reference.particles.streams import normal, poisson, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CLUSTER",
    "CalorimeterRecipe",
    "Grid",
    "cell_of",
    "clear",
    "cluster",
    "deposit",
    "deposit_early",
    "em_spread",
    "eta_of",
    "grids",
    "phi_of",
]

CLUSTER = np.dtype(
    [(name, "f8") for name in ("energy", "eta", "phi", "width", "seed", "hcal")]
    + [(name, "i4") for name in ("hit", "cells", "tracks", "event", "seedCell")]
)
"""`seed` is the energy of the most energetic cell, `hcal` that of the HCAL cell behind, `hit` the row of the
particle that left most there; eta and phi are those of the place seen from the origin."""

_CELL = np.dtype(
    [(name, "f4") for name in ("energy", "eta", "phi", "lead")] + [("hit", "i4"), ("label", "i4")]
)
_ENDS, _ENDS_HF = 3.0, 5.2
_LEAST_PART, _LEAST_ENERGY = 0.03, 0.1  # GeV: parts of showers and particles that are not followed
_LEAST_SHOWER = 2.0  # GeV: softer hadrons have no separate parts
_TWO_PI = 2.0 * math.pi


class CalorimeterRecipe(KernelRecipe):
    """Granularity, resolution and thresholds."""

    radius: float = Field(gt=0, description="of the calorimeters' face, in cm")
    length: float = Field(gt=0, description="distance of the endcaps' face from the centre, in cm")
    turns: float = Field(gt=0, description="charged particles that circle more often do not arrive")
    ecal_cell: float = Field(gt=0, description="size of ECAL cells in eta and phi")
    hcal_cell: float = Field(gt=0, description="size of HCAL cells")
    hcal_coarse: float = Field(gt=0, description="|eta| beyond which HCAL cells are twice as large")
    hf_cell: float = Field(gt=0, description="size of HF cells")
    eta: list[float] = Field(description="|eta| at which the thresholds are given")
    ecal_seed: list[float] = Field(description="least energy of an ECAL cluster's seed, in GeV")
    ecal_least: list[float] = Field(description="least energy of an ECAL cell, in GeV")
    hcal_seed: list[float] = Field(description="least energy of an HCAL cluster's seed, in GeV")
    hcal_least: list[float] = Field(description="least energy of an HCAL cell, in GeV")
    hf_least: float = Field(ge=0, description="least energy of an HF cell, in GeV")
    em: list[float] = Field(description="ECAL resolution: stochastic, noise and constant term")
    hadronic: float = Field(ge=0, description="resolution of hadrons, stochastic term")
    hadronic_constant: list[float] = Field(description="the same, constant term")
    forward: list[float] = Field(description="HF resolution of photons: stochastic and constant term")
    forward_hadronic: list[float] = Field(description="the same of hadrons")
    forward_power: float = Field(description="with which power of energy over 100 GeV HF responds to hadrons")
    short: list[float] = Field(description="least and largest share of a hadron that short fibres see")
    response: list[float] = Field(description="share of hadron showers that is seen, beyond 3 that of HF")
    em_response: list[float] = Field(description="the same of photons in ECAL")
    response_loss: list[float] = Field(description="share that a hadron of no energy loses")
    response_scale: float = Field(gt=0, description="energy over which that loss falls, in GeV")
    minimum_ionizing: float = Field(ge=0, le=1, description="share of hadrons that do not shower in ECAL")
    em_width: float = Field(gt=0, description="lateral spread of electromagnetic showers in eta and phi")
    em_position: float = Field(ge=0, description="spread of a hadron shower's ECAL part around the particle")
    hadron_position: float = Field(gt=0, description="the same of its HCAL part")
    satellites: float = Field(
        ge=0, description="mean number of a hadron shower's separate parts over log(1 + E), at most 2"
    )
    satellite_ecal: float = Field(ge=0, le=1, description="share of them that are in ECAL")
    satellite_share: list[float] = Field(description="mean energy share of such a part in ECAL, in HCAL")
    satellite_width: float = Field(ge=0, description="their spread")
    tower_scale: float = Field(gt=0, description="HCAL energy in towers, without the calibration of clusters")
    noise: float = Field(ge=0, description="noisy HCAL cells above threshold per event")
    early_ecal: float = Field(ge=0, description="share of other crossings' energy that ECAL sees")
    early_hcal: list[float] = Field(description="the same of HCAL")


class Grid(NamedTuple):
    """Cells of a calorimeter; those that hold something are listed in `touched`.

    Parameters
    ----------
    most
        Largest |eta|.
    size_eta, size_phi
        Size of a cell.
    rows, columns
        Cells in pseudorapidity and in azimuth.
    cross
        Whether a cluster's seed exceeds the four cells at its sides only, as in CMS's HCAL.
    seed, least
        Shape (rows,): thresholds of clusters and of cells.
    steps
        Shape (rows,): 2 where cells are twice as large; then only every other one is used.
    cells
        Shape (rows * columns,): energy; its moments in eta and phi from the cell's centre; the largest
        deposit and the row of the particle that left it; row of the cell's cluster, -1 without one.
    touched, number
        Which cells hold something, and how many do, shape (1,).
    """

    most: float
    size_eta: float
    size_phi: float
    rows: int
    columns: int
    cross: bool
    seed: NDArray[np.float64]
    least: NDArray[np.float64]
    steps: NDArray[np.int64]
    cells: NDArray[Any]
    touched: NDArray[np.int64]
    number: NDArray[np.int64]


def grids(recipe: CalorimeterRecipe) -> tuple[Grid, ...]:
    """Empty grids of ECAL, HCAL, HF, and the short fibres of HF."""
    none = [0.0] * len(recipe.eta)
    parts = (
        (_ENDS, recipe.ecal_cell, recipe.ecal_seed, recipe.ecal_least, _ENDS, False),
        (_ENDS, recipe.hcal_cell, recipe.hcal_seed, recipe.hcal_least, recipe.hcal_coarse, True),
        *((_ENDS_HF, recipe.hf_cell, none, none, _ENDS_HF, False),) * 2,
    )
    made = []
    for most, cell, seed, least, coarse, cross in parts:
        rows, columns = 2 * round(most / cell), 2 * round(math.pi / cell)
        eta = np.abs((np.arange(rows) + 0.5) / rows * 2.0 * most - most)
        cells = np.zeros(rows * columns, dtype=_CELL)
        cells["hit"] = cells["label"] = -1
        made.append(
            Grid(
                *(most, 2.0 * most / rows, _TWO_PI / columns, rows, columns, cross),
                *(
                    np.interp(eta, recipe.eta, seed),
                    np.interp(eta, recipe.eta, least),
                    1 + (eta > coarse),
                    cells,
                ),
                *(np.empty(rows * columns, dtype=np.int64), np.zeros(1, dtype=np.int64)),
            )
        )
    return tuple(made)


@borrowing
def _row_column(grid, eta, phi):
    """Row and column of the cell at a direction, row -1 outside; phi is within three pi."""
    row = math.floor((eta + grid.most) / grid.size_eta)
    if row < 0 or row >= grid.rows:
        return -1, 0
    column = math.floor((phi + math.pi) / grid.size_phi)
    if column < 0:
        column += grid.columns
    elif column >= grid.columns:
        column -= grid.columns
    step = grid.steps[row]
    return row & -step, column & -step


@borrowing
def cell_of(grid, eta, phi):
    """Place of the cell at a direction, -1 outside."""
    row, column = _row_column(grid, eta, phi)
    return row * grid.columns + column if row >= 0 else -1


@borrowing
def eta_of(grid, cell):
    """Pseudorapidity of a cell's centre."""
    return (cell // grid.columns + 0.5) * grid.size_eta - grid.most


@borrowing
def phi_of(grid, cell):
    """Azimuth of a cell's centre."""
    return (cell % grid.columns + 0.5) * grid.size_phi - math.pi


@borrowing
def _turn(angle):
    """Bring an angle between -pi and pi."""
    return angle - _TWO_PI * math.floor((angle + math.pi) / _TWO_PI)


@borrowing
def clear(grid):
    """Empty a grid for the next event."""
    for i in range(grid.number[0]):
        cell = grid.cells[grid.touched[i]]
        cell.energy = cell.eta = cell.phi = cell.lead = 0.0
        cell.hit = cell.label = -1
    grid.number[0] = 0


@borrowing
def _add(grid, at_eta, at_phi, energy, hit, eta, phi):
    """Add to the cell at a direction a part of a shower whose centre is at `eta` and `phi`."""
    row, column = _row_column(grid, at_eta, at_phi)
    if row < 0 or energy <= 0.0:
        return
    place = row * grid.columns + column
    cell = grid.cells[place]
    if cell.energy == 0.0:
        grid.touched[grid.number[0]] = place
        grid.number[0] += 1
    cell.energy += energy
    cell.eta += energy * (eta - ((row + 0.5) * grid.size_eta - grid.most))
    cell.phi += energy * _turn(phi - ((column + 0.5) * grid.size_phi - math.pi))
    if energy > cell.lead:
        cell.lead, cell.hit = energy, hit


@borrowing
def _shower(grid, eta, phi, energy, hit, width):
    """Share the energy of a shower of Gaussian width with the nearest cells on either side."""
    place_eta, place_phi = (eta + grid.most) / grid.size_eta, (phi + math.pi) / grid.size_phi
    off_eta, off_phi = place_eta - math.floor(place_eta), place_phi - math.floor(place_phi)
    side_eta = grid.size_eta if off_eta > 0.5 else -grid.size_eta
    side_phi = grid.size_phi if off_phi > 0.5 else -grid.size_phi
    out_eta = 0.5 * math.erfc(min(off_eta, 1.0 - off_eta) * grid.size_eta / width / math.sqrt(2.0))
    out_phi = 0.5 * math.erfc(min(off_phi, 1.0 - off_phi) * grid.size_phi / width / math.sqrt(2.0))
    left = energy
    for step_eta, step_phi, share in (
        (side_eta, 0.0, out_eta * (1.0 - out_phi)),
        (0.0, side_phi, (1.0 - out_eta) * out_phi),
        (side_eta, side_phi, out_eta * out_phi),
    ):
        if energy * share > _LEAST_PART:
            _add(grid, eta + step_eta, phi + step_phi, energy * share, hit, eta, phi)
            left -= energy * share
    _add(grid, eta, phi, left, hit, eta, phi)


@borrowing
def em_spread(energy, em):
    """Relative resolution of ECAL at an energy."""
    return math.sqrt(em[0] ** 2 / energy + (em[1] / energy) ** 2 + em[2] ** 2)


@borrowing
def deposit(grids, first, last, hits, place, state, calorimeter, field):
    """Let the particles of an event, rows `first` to `last`, leave their energy.

    `place`, shape (N, 2), gets eta and phi where each arrives (nan if it does not). What electrons'
    superclusters take and muons is left out.
    """
    ecal, hcal, forward, short = grids
    radius, length = calorimeter.radius, calorimeter.length
    for row in range(first, last):
        hit = hits[row]
        place[row, 0] = np.nan
        if hit.end < radius or hit.energy < _LEAST_ENERGY or abs(hit.eta) > _ENDS_HF + 0.3:
            continue
        momentum, start = (hit.pt, hit.eta, hit.phi), (hit.x, hit.y, hit.z)
        arrives, eta, phi, _ = reach(momentum, hit.charge, start, field, radius, length, calorimeter.turns)
        if not arrives:
            continue
        place[row, 0], place[row, 1] = eta, phi
        code = abs(hit.pdg)
        if hit.reserved > 0 or code == 13:
            continue
        if abs(eta) > _ENDS:
            hadron = code != 22 and code != 11
            stochastic, constant = calorimeter.forward_hadronic if hadron else calorimeter.forward
            spread = math.sqrt(stochastic**2 / hit.energy + constant**2)
            response = calorimeter.response[eta_bin(eta)]
            energy = hit.energy * response * max(1.0 + spread * normal(state), 0.0)
            if hadron:
                energy *= (hit.energy / 100.0) ** calorimeter.forward_power
                least, most = calorimeter.short
                seen = energy * (least + (most - least) * uniform(state))
                _shower(short, eta, phi, seen, row, calorimeter.hadron_position)
                _shower(forward, eta, phi, energy, row, calorimeter.hadron_position)
            else:
                _add(forward, eta, phi, energy, row, eta, phi)
        elif code == 22 or code == 11:
            response = calorimeter.em_response[eta_bin(eta)]
            energy = hit.energy * (response + em_spread(hit.energy, calorimeter.em) * normal(state))
            _shower(ecal, eta, phi, energy, row, calorimeter.em_width)
        else:
            _hadron(ecal, hcal, hit, row, eta, phi, state, calorimeter)
    for _ in range(poisson(state, calorimeter.noise)):
        eta, phi = _ENDS * (2.0 * uniform(state) - 1.0), math.pi * (2.0 * uniform(state) - 1.0)
        energy = calorimeter.hcal_seed[eta_bin(eta)] - math.log(uniform(state))
        _add(hcal, eta, phi, energy, -1, eta, phi)


@borrowing
def deposit_early(grids, interactions, event, library, calorimeter):
    """Add what ECAL and HCAL still see of the interactions of other crossings."""
    ecal, hcal = grids[0], grids[1]
    first = interactions.offsets[event] + interactions.in_time[event]
    for i in range(first, interactions.offsets[event + 1]):
        which, angle, mirror = interactions.library[i], interactions.angle[i], interactions.mirror[i]
        for row in range(library.offsets[which], library.offsets[which + 1]):
            particle = library.rows[row]
            code = abs(particle.pdg)
            least = 0.3 if particle.charge == 0 else 0.7
            if abs(particle.eta) > _ENDS or code == 13 or particle.pt < least:
                continue
            eta, phi = particle.eta * mirror, particle.phi + angle
            share = 1.0 if code == 22 or code == 11 else 0.3
            energy = share * calorimeter.early_ecal * particle.energy
            _add(ecal, eta, phi, energy, -1, eta, phi)
            energy = (1.0 - share) * calorimeter.early_hcal[eta_bin(eta)] * particle.energy
            _add(hcal, eta, phi, energy, -1, eta, phi)


@borrowing
def _hadron(ecal, hcal, hit, row, eta, phi, state, calorimeter):
    energy = hit.energy - (0.9 * hit.mass if hit.pdg > 1000 else 0.0)  # of baryons the kinetic energy
    at = eta_bin(eta)
    spread = math.hypot(calorimeter.hadronic / math.sqrt(max(energy, 0.5)), calorimeter.hadronic_constant[at])
    mean = 1.0 - calorimeter.response_loss[at] * math.exp(-energy / calorimeter.response_scale)
    seen = energy * calorimeter.response[at] * max(mean + spread * normal(state), 0.0)
    in_ecal = min(0.25, seen)
    if uniform(state) > calorimeter.minimum_ionizing:
        in_ecal = max(in_ecal, uniform(state) * seen)
        off_eta, off_phi = calorimeter.em_position * normal(state), calorimeter.em_position * normal(state)
        _shower(ecal, eta + off_eta, phi + off_phi, in_ecal, row, 1.5 * calorimeter.em_width)
    else:
        _add(ecal, eta, phi, in_ecal, row, eta, phi)
    left = seen - in_ecal
    if left < 0.2:
        return
    mean = calorimeter.satellites * min(math.log(1.0 + energy), 2.0) if energy > _LEAST_SHOWER else 0.0
    for _ in range(poisson(state, mean)):
        angle_eta = eta + calorimeter.satellite_width * normal(state)
        angle_phi = phi + calorimeter.satellite_width * normal(state)
        grid, share = ecal, calorimeter.satellite_share[0]
        if uniform(state) > calorimeter.satellite_ecal:
            grid, share = hcal, calorimeter.satellite_share[1]
        part = min(-share * math.log(uniform(state)) * seen, 0.8 * left)
        _add(grid, angle_eta, angle_phi, part, row, angle_eta, angle_phi)
        left -= part
    eta += calorimeter.hadron_position * normal(state)
    phi += calorimeter.hadron_position * normal(state)
    _shower(hcal, eta, phi, left, row, calorimeter.hadron_position)


@numba.njit(cache=True)
def cluster(grid, event, out):
    """Make clusters of a grid's cells in `out`; gives their number. Cells are labelled by their cluster."""
    number = kept = 0
    above = np.empty(grid.number[0], dtype=np.int64)
    for i in range(grid.number[0]):
        place = grid.touched[i]
        cell = grid.cells[place]
        row = place // grid.columns
        if cell.energy < grid.least[row]:
            continue
        above[kept] = place
        kept += 1
        best = _highest(grid, place)
        cell.label = -2 - best
        if best == place:
            cell.label = -1
            if cell.energy >= grid.seed[row]:
                new = out[number]
                new.energy = new.eta = new.phi = new.width = new.hcal = 0.0
                new.seed, new.hit, new.cells, new.tracks = cell.energy, cell.hit, 0, 0
                new.event, new.seedCell = event, place
                cell.label = number
                number += 1
    for i in range(kept):
        _gather(grid, above[i], out)
    for row in range(number):
        found = out[row]
        eta = found.eta / found.energy
        found.width = math.sqrt(
            max(found.width / found.energy - eta * eta, 0.0) + (0.29 * grid.size_eta) ** 2 / 12.0
        )
        found.eta = eta_of(grid, found.seedCell) + eta
        found.phi = _turn(phi_of(grid, found.seedCell) + found.phi / found.energy)
    return number


@borrowing
def _highest(grid, cell):
    """Most energetic of a cell and its neighbours: eight, or the four that share a side with it."""
    row, column = cell // grid.columns, cell % grid.columns
    best, most = cell, grid.cells[cell].energy
    far = grid.steps[row]
    for step in range(max(row - far, row % far), min(row + far + 1, grid.rows), far):
        for side in (-far, 0, far):
            if grid.cross and step != row and side != 0:
                continue
            beside = column + side
            beside += grid.columns if beside < 0 else (-grid.columns if beside >= grid.columns else 0)
            other = step * grid.columns + beside
            energy = grid.cells[other].energy
            if energy > most or (energy == most and other < best):
                best, most = other, energy
    return best


@borrowing
def _gather(grid, place, out):
    """Follow a cell uphill to its cluster, and add its energy and moments there, from the seed's centre."""
    top = place
    while grid.cells[top].label <= -2:
        top = -2 - grid.cells[top].label
    label = grid.cells[top].label
    cell = grid.cells[place]
    cell.label = label
    if label < 0:
        return
    found = out[label]
    energy = cell.energy
    off = eta_of(grid, place) - eta_of(grid, found.seedCell)
    found.energy += energy
    found.eta += cell.eta + energy * off
    found.phi += cell.phi + energy * _turn(phi_of(grid, place) - phi_of(grid, found.seedCell))
    found.width += energy * off * off
    found.cells += 1
