"""Calorimeters: cells in pseudorapidity and azimuth, what particles leave in them, and clusters of cells.

A grid covers each calorimeter: ECAL and HCAL to |eta| = 3, the forward calorimeter (HF) beyond, electromagnetic
and hadronic part apart. Showers are as wide as they are and fluctuate; hadrons leave a part of their energy in
ECAL. A cell belongs to the cluster of its most energetic neighbour, so that a cluster is a local maximum with its
slopes. A cluster's place is the energy-weighted mean of what is in it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.reference.particles.helix import reach
from flashsim.reference.particles.streams import normal, poisson, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CLUSTER",
    "Calorimeter",
    "CalorimeterRecipe",
    "Grid",
    "cell_of",
    "clear",
    "cluster",
    "deposit",
    "deposit_early",
    "grids",
]

CLUSTER = np.dtype(
    [
        ("energy", "f8"),
        ("eta", "f8"),
        ("phi", "f8"),
        ("width", "f8"),
        ("seed", "f8"),
        ("hit", "i4"),
        ("cells", "i4"),
        ("tracks", "i4"),
        ("event", "i4"),
        ("seedCell", "i4"),
    ]
)
"""`seed` is the energy of the most energetic cell, `hit` the row of the particle that left most there; eta and phi
are those of the place seen from the origin."""

_ECAL, _HCAL, _HF_EM, _HF_HAD = range(4)


class CalorimeterRecipe(Recipe):
    """Granularity, resolution and thresholds."""

    radius: float = Field(gt=0, description="of the calorimeters' face, in cm")
    length: float = Field(gt=0, description="distance of the endcaps' face from the centre, in cm")
    ecal_cell: float = Field(gt=0, description="size of ECAL cells in eta and phi")
    hcal_cell: float = Field(gt=0, description="size of HCAL cells")
    hf_cell: float = Field(gt=0, description="size of HF cells")
    eta: list[float] = Field(description="|eta| at which the thresholds are given")
    ecal_seed: list[float] = Field(description="least energy of an ECAL cluster's seed, in GeV")
    ecal_least: list[float] = Field(description="least energy of an ECAL cell, in GeV")
    hcal_seed: list[float] = Field(description="least energy of an HCAL cluster's seed, in GeV")
    hcal_least: list[float] = Field(description="least energy of an HCAL cell, in GeV")
    hf_least: float = Field(ge=0, description="least transverse energy of an HF cell, in GeV")
    em: list[float] = Field(description="ECAL resolution: stochastic, noise and constant term")
    hadronic: list[float] = Field(description="resolution of hadrons: stochastic and constant term")
    forward: list[float] = Field(description="HF resolution: stochastic and constant term")
    response_loss: float = Field(ge=0, le=1, description="share that a hadron of no energy loses")
    response_scale: float = Field(gt=0, description="energy over which that loss falls, in GeV")
    minimum_ionizing: float = Field(ge=0, le=1, description="share of hadrons that do not shower in ECAL")
    em_width: float = Field(ge=0, description="lateral spread of electromagnetic showers in eta and phi")
    hadron_position: float = Field(ge=0, description="spread of a hadron shower's core around the particle")
    satellites: float = Field(ge=0, description="mean number of a hadron shower's separate parts")
    satellite_share: float = Field(ge=0, le=1, description="mean energy share of such a part")
    satellite_width: float = Field(ge=0, description="their spread")
    noise: float = Field(ge=0, description="noisy HCAL cells above threshold per event")
    early_ecal: float = Field(ge=0, description="share of other crossings' energy that ECAL sees")
    early_hcal: float = Field(ge=0, description="the same of HCAL")
    turns: float = Field(gt=0, description="charged particles that circle more often do not arrive")

    def calorimeter(self) -> Calorimeter:
        """Numbers for kernels."""
        return Calorimeter(
            **{n: np.array(v) if isinstance(v, list) else v for n, v in self.model_dump().items()}
        )


class Calorimeter(NamedTuple):
    """A `CalorimeterRecipe` as kernels take it."""

    radius: float
    length: float
    ecal_cell: float
    hcal_cell: float
    hf_cell: float
    eta: NDArray[np.float64]
    ecal_seed: NDArray[np.float64]
    ecal_least: NDArray[np.float64]
    hcal_seed: NDArray[np.float64]
    hcal_least: NDArray[np.float64]
    hf_least: float
    em: NDArray[np.float64]
    hadronic: NDArray[np.float64]
    forward: NDArray[np.float64]
    response_loss: float
    response_scale: float
    minimum_ionizing: float
    em_width: float
    hadron_position: float
    satellites: float
    satellite_share: float
    satellite_width: float
    noise: float
    early_ecal: float
    early_hcal: float
    turns: float


class Grid(NamedTuple):
    """Cells of a calorimeter; those that hold something are listed in `touched`.

    Parameters
    ----------
    edges
        Least and largest pseudorapidity.
    rows, columns
        Cells in pseudorapidity and in azimuth.
    energy, eta, phi
        Shape (cells,): energy, and its moments in pseudorapidity and in azimuth (from the cell's centre).
    lead, hit
        Shape (cells,): the largest deposit, and the row of the particle that left it.
    label
        Shape (cells,): row of the cell's cluster, -1 without one.
    touched, number
        Which cells hold something, and how many do, shape (1,).
    """

    edges: NDArray[np.float64]
    rows: int
    columns: int
    energy: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]
    lead: NDArray[np.float64]
    hit: NDArray[np.int64]
    label: NDArray[np.int64]
    touched: NDArray[np.int64]
    number: NDArray[np.int64]


def grids(calorimeter: Calorimeter) -> tuple[Grid, ...]:
    """Empty grids of ECAL, HCAL and the two parts of HF."""
    return tuple(
        _grid(most, cell)
        for most, cell in (
            (3.0, calorimeter.ecal_cell),
            (3.0, calorimeter.hcal_cell),
            (5.2, calorimeter.hf_cell),
            (5.2, calorimeter.hf_cell),
        )
    )


def _grid(most: float, cell: float) -> Grid:
    rows, columns = round(2.0 * most / cell), round(2.0 * math.pi / cell)
    size = rows * columns
    floats = [np.zeros(size) for _ in range(4)]
    integers = [np.full(size, -1, dtype=np.int64) for _ in range(3)]
    return Grid(np.array([-most, most]), rows, columns, *floats, *integers, np.zeros(1, dtype=np.int64))


@numba.njit(cache=True)
def cell_of(grid, eta, phi):
    """Place of the cell at a direction, -1 outside."""
    row = int(math.floor((eta - grid.edges[0]) / (grid.edges[1] - grid.edges[0]) * grid.rows))
    if row < 0 or row >= grid.rows:
        return -1
    column = int(math.floor((phi + math.pi) / (2.0 * math.pi) * grid.columns)) % grid.columns
    return row * grid.columns + column


@numba.njit(cache=True)
def clear(grid):
    """Empty a grid for the next event."""
    for i in range(grid.number[0]):
        cell = grid.touched[i]
        grid.energy[cell] = grid.eta[cell] = grid.phi[cell] = grid.lead[cell] = 0.0
        grid.hit[cell] = grid.label[cell] = -1
    grid.number[0] = 0


@numba.njit(cache=True)
def _add(grid, eta, phi, energy, hit):
    """Add a deposit to the cell where it is."""
    _add_to(grid, cell_of(grid, eta, phi), eta, phi, energy, hit)


@numba.njit(cache=True)
def _add_to(grid, cell, eta, phi, energy, hit):
    """Add to a cell a part of a shower whose centre is at `eta` and `phi`."""
    if cell < 0 or energy <= 0.0:
        return
    if grid.energy[cell] == 0.0:
        grid.touched[grid.number[0]] = cell
        grid.number[0] += 1
    centre = ((cell % grid.columns) + 0.5) / grid.columns * 2.0 * math.pi - math.pi
    off = phi - centre
    off -= 2.0 * math.pi * round(off / (2.0 * math.pi))
    grid.energy[cell] += energy
    grid.eta[cell] += energy * eta
    grid.phi[cell] += energy * off
    if energy > grid.lead[cell]:
        grid.lead[cell], grid.hit[cell] = energy, hit


@numba.njit(cache=True)
def _shower(grid, eta, phi, energy, hit, width):
    """Share the energy of a shower of Gaussian width with the nearest cells on either side."""
    size_eta = (grid.edges[1] - grid.edges[0]) / grid.rows
    size_phi = 2.0 * math.pi / grid.columns
    place_eta, place_phi = (eta - grid.edges[0]) / size_eta, (phi + math.pi) / size_phi
    off_eta, off_phi = place_eta - math.floor(place_eta), place_phi - math.floor(place_phi)
    side_eta, side_phi = (1.0 if off_eta > 0.5 else -1.0), (1.0 if off_phi > 0.5 else -1.0)
    scale = width * math.sqrt(2.0)
    out_eta = 0.5 * math.erfc(min(off_eta, 1.0 - off_eta) * size_eta / scale)
    out_phi = 0.5 * math.erfc(min(off_phi, 1.0 - off_phi) * size_phi / scale)
    for step_eta, part_eta in ((0.0, 1.0 - out_eta), (side_eta, out_eta)):
        for step_phi, part_phi in ((0.0, 1.0 - out_phi), (side_phi, out_phi)):
            part = energy * part_eta * part_phi
            if part > 0.002:
                cell = cell_of(grid, eta + step_eta * size_eta, phi + step_phi * size_phi)
                _add_to(grid, cell, eta, phi, part, hit)


@numba.njit(cache=True)
def deposit(cells, first, last, hits, calo_eta, calo_phi, state, calorimeter, field):
    """Let the particles of an event, rows `first` to `last`, leave their energy.

    `calo_eta` and `calo_phi`, shape (N,), get where each arrives (nan if it does not). What electrons' superclusters
    take and muons is left out.
    """
    ecal, hcal, hf_em, hf_had = cells
    for row in range(first, last):
        hit = hits[row]
        calo_eta[row] = np.nan
        if hit.end < 125.0:
            continue
        arrives, eta, phi, _ = reach(
            hit.pt,
            hit.eta,
            hit.phi,
            hit.charge,
            hit.x,
            hit.y,
            hit.z,
            field,
            calorimeter.radius,
            calorimeter.length,
            calorimeter.turns,
        )
        if not arrives:
            continue
        calo_eta[row], calo_phi[row] = eta, phi
        code = abs(hit.pdg)
        if hit.reserved > 0 or code == 13:
            continue
        if abs(eta) > 3.0:
            _forward(hf_em, hf_had, hit, row, eta, phi, state, calorimeter)
        elif code == 22 or code == 11:
            stochastic, noise, constant = calorimeter.em
            spread = math.sqrt(stochastic**2 / hit.energy + (noise / hit.energy) ** 2 + constant**2)
            energy = hit.energy * (1.0 + spread * normal(state))
            _shower(ecal, eta, phi, energy, row, calorimeter.em_width)
        else:
            _hadron(ecal, hcal, hit, row, eta, phi, state, calorimeter)
    for _ in range(poisson(state, calorimeter.noise)):
        eta, phi = 6.0 * uniform(state) - 3.0, math.pi * (2.0 * uniform(state) - 1.0)
        least = np.interp(abs(eta), calorimeter.eta, calorimeter.hcal_seed)
        _add(hcal, eta, phi, least - math.log(uniform(state)), -1)


@numba.njit(cache=True)
def deposit_early(cells, interactions, first, last, library_offsets, library, calorimeter):
    """Add what ECAL and HCAL still see of the interactions `first` to `last`, of other crossings."""
    for i in range(first, last):
        which, angle, mirror = interactions.library[i], interactions.angle[i], interactions.mirror[i]
        for row in range(library_offsets[which], library_offsets[which + 1]):
            particle = library[row]
            if (
                abs(particle.eta) > 3.0
                or abs(particle.pdg) == 13
                or (particle.charge != 0 and particle.pt < 0.7)
            ):
                continue
            eta, phi = particle.eta * mirror, particle.phi + angle
            if particle.pdg == 22 or abs(particle.pdg) == 11:
                _add(cells[0], eta, phi, calorimeter.early_ecal * particle.energy, -1)
            else:
                _add(cells[0], eta, phi, 0.3 * calorimeter.early_ecal * particle.energy, -1)
                _add(cells[1], eta, phi, 0.7 * calorimeter.early_hcal * particle.energy, -1)


@numba.njit(cache=True)
def _hadron(ecal, hcal, hit, row, eta, phi, state, calorimeter):
    energy = hit.energy - (0.9 * hit.mass if hit.pdg > 1000 else 0.0)  # of baryons the kinetic energy
    stochastic, constant = calorimeter.hadronic
    spread = math.sqrt(stochastic**2 / max(energy, 0.5) + constant**2)
    mean = 1.0 - calorimeter.response_loss * math.exp(-energy / calorimeter.response_scale)
    seen = energy * max(mean + spread * normal(state), 0.0)
    in_ecal = min(0.25, seen)
    if uniform(state) > calorimeter.minimum_ionizing:
        in_ecal = max(in_ecal, uniform(state) * seen)
    _shower(ecal, eta, phi, in_ecal, row, 1.5 * calorimeter.em_width)
    left = seen - in_ecal
    for _ in range(poisson(state, calorimeter.satellites)):
        part = min(calorimeter.satellite_share * -math.log(uniform(state)), 0.8) * left
        angle_eta = eta + calorimeter.satellite_width * normal(state)
        angle_phi = phi + calorimeter.satellite_width * normal(state)
        _add(hcal, angle_eta, angle_phi, part, row)
        left -= part
    core_eta = eta + calorimeter.hadron_position * normal(state)
    core_phi = phi + calorimeter.hadron_position * normal(state)
    _shower(hcal, core_eta, core_phi, left, row, calorimeter.hadron_position)


@numba.njit(cache=True)
def _forward(em, had, hit, row, eta, phi, state, calorimeter):
    stochastic, constant = calorimeter.forward
    spread = math.sqrt(stochastic**2 / hit.energy + constant**2)
    seen = hit.energy * max(1.0 + spread * normal(state), 0.0)
    share = 0.9 if hit.pdg == 22 or abs(hit.pdg) == 11 else 0.5 * uniform(state)
    _add(em, eta, phi, share * seen, row)
    _add(had, eta, phi, (1.0 - share) * seen, row)


@numba.njit(cache=True)
def cluster(grid, event, seed, least, eta, out, place):
    """Make clusters of a grid's cells; gives the place after the last one in `out`.

    `seed` and `least` are the thresholds at `eta`. Cells get the row of their cluster as label.
    """
    size_eta = (grid.edges[1] - grid.edges[0]) / grid.rows
    start = place
    for i in range(grid.number[0]):
        cell = grid.touched[i]
        centre = abs(grid.edges[0] + (cell // grid.columns + 0.5) * size_eta)
        if grid.energy[cell] < np.interp(centre, eta, least):
            grid.label[cell] = -1
            continue
        best = _highest(grid, cell)
        grid.label[cell] = -2 - best
        if best == cell:
            if grid.energy[cell] < np.interp(centre, eta, seed):
                grid.label[cell] = -1
                continue
            new = out[place]
            new.energy = new.eta = new.phi = new.width = 0.0
            new.seed, new.hit, new.cells, new.tracks = grid.energy[cell], grid.hit[cell], 0, 0
            new.event, new.seedCell = event, cell
            grid.label[cell] = place
            place += 1
    for i in range(grid.number[0]):
        _gather(grid, grid.touched[i], out, size_eta)
    for row in range(start, place):
        _finish(grid, out[row], size_eta)
    return place


@numba.njit(cache=True)
def _highest(grid, cell):
    """Most energetic of a cell and its eight neighbours."""
    row, column = cell // grid.columns, cell % grid.columns
    best = cell
    for step in (-1, 0, 1):
        if row + step < 0 or row + step >= grid.rows:
            continue
        for side in (-1, 0, 1):
            other = (row + step) * grid.columns + (column + side) % grid.columns
            if grid.energy[other] > grid.energy[best]:
                best = other
    return best


@numba.njit(cache=True)
def _gather(grid, cell, out, size):
    """Follow a cell uphill to its cluster, and add its energy there."""
    top = cell
    while grid.label[top] <= -2:
        top = -2 - grid.label[top]
    label = grid.label[top]
    grid.label[cell] = label
    if label < 0:
        return
    found = out[label]
    energy = grid.energy[cell]
    centre = ((found.seedCell % grid.columns) + 0.5) / grid.columns * 2.0 * math.pi - math.pi
    own = ((cell % grid.columns) + 0.5) / grid.columns * 2.0 * math.pi - math.pi
    off = own - centre
    off -= 2.0 * math.pi * round(off / (2.0 * math.pi))
    # Sums of moments, until `_finish` makes means of them.
    found.energy += energy
    found.eta += grid.eta[cell]
    found.phi += grid.phi[cell] + energy * off
    found.width += energy * (grid.edges[0] + (cell // grid.columns + 0.5) * size) ** 2
    found.cells += 1


@numba.njit(cache=True)
def _finish(grid, found, size):
    found.eta /= found.energy
    centre = ((found.seedCell % grid.columns) + 0.5) / grid.columns * 2.0 * math.pi - math.pi
    phi = centre + found.phi / found.energy
    found.phi = phi - 2.0 * math.pi * math.floor((phi + math.pi) / (2.0 * math.pi))
    found.width = math.sqrt(max(found.width / found.energy - found.eta**2, 0.0) + (0.29 * size) ** 2 / 12.0)
