"""AK8 jets of PUPPI candidates: soft drop, subjets, N-subjettiness, energy correlators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
from pydantic import Field

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered, kinematics, momenta_of, separation2
from flashsim.reference.objects.corrections import JetCorrections
from flashsim.reference.objects.jets import corrected, scaled, weights
from flashsim.reference.particles.kernel_recipe import KernelRecipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.jets import JetsRecipe

__all__ = ["FatJets", "FatJetsRecipe", "fat_jets"]

UNDEFINED = -99999.0
"""Value of NanoAOD for energy correlators of jets without groomed ones."""

_AXES = 4  # of N-subjettiness, at most
_STEPS, _STILL = 20, 1e-4  # of the improvement of axes
_SHAPES = ("tau1", "tau2", "tau3", "tau4", "n2b1", "n3b1")


class FatJetsRecipe(KernelRecipe):
    """AK8 jets."""

    radius: float = Field(gt=0, le=1, description="of anti-kT")
    raw_pt: float = Field(gt=0, description="least pT of jets before corrections, in GeV")
    pt: float = Field(gt=0, description="least pT of jets, in GeV")
    groomed_pt: float = Field(
        gt=0, description="least pT of jets that are groomed, before corrections, in GeV"
    )
    soft_drop: float = Field(gt=0, lt=0.5, description="least momentum share of the softer subjet (beta = 0)")
    correlator_pt: float = Field(gt=0, description="least pT of groomed jets that have n3b1, in GeV")
    hardest: int = Field(ge=4, description="energy correlators are of so many of the hardest particles")


@dataclass(frozen=True)
class FatJets:
    """AK8 jets and the subjets of their groomed ones; `subJetIdx1` and 2 are rows of `subjets`."""

    jets: Clustered
    subjets: Collection


def fat_jets(
    recorded: Recorded, recipe: FatJetsRecipe, ak4: JetsRecipe, leptons: Mapping[str, Collection]
) -> FatJets:
    """Reconstruct AK8 jets and their substructure.

    As in CMS: soft drop on the jet reclustered by Cambridge/Aachen (A. Larkoski et al., arXiv:1402.2657), its
    mass that of the two corrected subjets; N-subjettiness with axes of exclusive kT that one step of
    minimisation improves (J. Thaler and K. Van Tilburg, arXiv:1108.2701), normalised with the radius; energy
    correlators N2 and N3 with beta = 1 of the groomed jet (I. Moult et al., arXiv:1609.07483); ``lsf3``, the
    pT of the jet's lepton over that of the nearest of three exclusive kT subjets.

    Parameters
    ----------
    recorded
        The recorded events.
    recipe
        Parameters.
    ak4
        Those of AK4 jets: subjets have the same corrections, fat jets the same identification.
    leptons
        ``Muon`` and ``Electron`` by falling pT, with momentum and ``_candidate``.
    """
    limits = {"radius": recipe.radius, "raw_pt": recipe.raw_pt, "pt": recipe.raw_pt}
    found = corrected(recorded, ak4, "Puppi", "AK8PFPuppi", **limits)
    candidates, objects = recorded.candidates, found.objects
    momenta = momenta_of(candidates, weights(candidates, "Puppi"))[found.members]
    inside, lepton = _leptons(found, leptons, len(candidates), recipe.radius)
    shapes, groomed = _substructure(found.offsets, momenta, lepton, recipe.numbers())
    has = objects["pt"] * (1.0 - objects["rawFactor"]) > recipe.groomed_pt
    has &= groomed[:, 1, 3] > 0.0  # soft drop may leave a single particle
    subjets, mass = _subjets(objects, groomed, has, JetCorrections.load(ak4.corrections))
    first = np.where(has, 2 * (np.cumsum(has) - 1), -1)
    columns = dict(zip((*_SHAPES, "lsf3"), shapes.T, strict=True)) | inside
    columns |= {"subJetIdx1": first, "subJetIdx2": np.where(has, first + 1, -1), "msoftdrop": mass}
    for name in ("n2b1", "n3b1"):
        columns[name] = np.where(has, columns[name], UNDEFINED)
    return FatJets(found.with_columns(columns).select(objects["pt"] >= recipe.pt), subjets)


def _leptons(
    jets: Clustered, leptons: Mapping[str, Collection], candidates: int, radius: float
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.float64]]:
    """Rows of the muon or else the electron of each jet; its pT, eta, phi and distance, shape (N, 4).

    As in CMS (``LeptonInJetProducer``) the hardest of each kind counts, and a muon has to be harder and
    nearer to the axis than the electron.
    """
    number, objects = len(jets.objects), jets.objects
    owner = np.full(candidates + 1, -1, dtype=np.int64)
    owner[jets.members] = jets.jet_of_member
    rows, best = {}, np.zeros((number, 4))
    best[:, 3] = radius
    for name in ("Electron", "Muon"):
        own = leptons[name]
        jet, row = np.unique(owner[own["_candidate"].astype(np.int64)], return_index=True)
        jet, row = jet[jet >= 0], row[jet >= 0]
        pt, eta, phi = (own[field][row] for field in ("pt", "eta", "phi"))
        away = np.hypot(eta - objects["eta"][jet], wrap_angle(phi - objects["phi"][jet]))
        better = (pt > best[jet, 0]) & (away < best[jet, 3])
        best[jet[better]] = np.stack([pt, eta, phi, away], axis=1)[better]
        rows[name] = np.full(number, -1)
        rows[name][jet[better]] = row[better]
    electron = np.where(rows["Muon"] < 0, rows["Electron"], -1)
    return {"muonIdx3SJ": rows["Muon"], "electronIdx3SJ": electron}, best


def _subjets(
    jets: Collection, groomed: NDArray[np.float64], has: NDArray[np.bool_], payload: JetCorrections
) -> tuple[Collection, NDArray[np.float64]]:
    """Corrected subjets, two of each groomed jet, and the mass of the two together or -1."""
    rows = groomed[has].reshape(-1, groomed.shape[2])
    raw, nothing = kinematics(rows[:, :4]), np.zeros(len(rows))  # PUPPI has no offset
    _, factor = payload.factors("AK4PFPuppi", area=nothing, eta=raw["eta"], pt=raw["pt"], rho=nothing)
    columns = scaled(raw, factor) | dict(zip(_SHAPES, rows[:, 4:].T, strict=True))
    of_pair = np.full(len(has), -1.0)
    of_pair[has] = kinematics((rows[:, :4] * factor[:, None]).reshape(-1, 2, 4).sum(axis=1))["mass"]
    counts = 2 * np.bincount(jets.event_rows[has], minlength=jets.events)
    return Collection.of_counts(counts, columns), of_pair


@numba.njit(cache=True)
def _substructure(offsets, momenta, leptons, settings):
    """Shapes of each jet; momentum and shapes of the two subjets of each groomed jet, zero without."""
    jets = len(offsets) - 1
    shapes, groomed = np.zeros((jets, 7)), np.zeros((jets, 2, 10))
    for jet in range(jets):
        p = momenta[offsets[jet] : offsets[jet + 1]]
        _subjettiness(p, settings.radius, shapes[jet])
        shapes[jet, 6] = _lepton_share(p, leptons[jet]) if leptons[jet, 0] > 0.0 else -1.0
        first, second = _soft_drop(p, settings.soft_drop)
        both = np.concatenate((first, second))
        groomed_pt = math.hypot(both[:, 0].sum(), both[:, 1].sum())
        _correlators(both, settings.hardest, groomed_pt > settings.correlator_pt, shapes[jet])
        if len(first) and len(second):
            for side in range(2):
                part = first if side == 0 else second
                for k in range(4):
                    groomed[jet, side, k] = part[:, k].sum()
                _subjettiness(part, settings.radius, groomed[jet, side, 4:])
                _correlators(part, settings.hardest, True, groomed[jet, side, 4:])
    return shapes, groomed


@numba.njit(cache=True)
def _direction(p):
    """Rapidity and azimuth."""
    return 0.5 * math.log((p[3] + p[2] + 1e-12) / (p[3] - p[2] + 1e-12)), math.atan2(p[1], p[0])


@numba.njit(cache=True)
def _recombine(particles, kt):
    """Merge all by kT or Cambridge/Aachen: momenta, directions, children and parent of each node."""
    n = len(particles)
    nodes = max(2 * n - 1, 0)
    p, place = np.zeros((nodes, 4)), np.zeros((nodes, 2))
    children, parent = np.full((nodes, 2), -1, np.int64), np.full(nodes, -1, np.int64)
    nearest, least = np.full(nodes, -1, np.int64), np.full(nodes, np.inf)
    active = np.zeros(nodes, np.int64)
    p[:n] = particles
    for i in range(n):
        place[i] = _direction(p[i])
        active[i] = i
        _look_back(p, place, active, i, i, kt, nearest, least)
    alive = n
    for new in range(n, nodes):
        i = active[0]
        for k in range(1, alive):
            if least[active[k]] < least[i]:
                i = active[k]
        j = nearest[i]
        p[new] = p[i] + p[j]
        place[new] = _direction(p[new])
        children[new, 0], children[new, 1], parent[i], parent[j] = i, j, new, new
        left = 0
        for k in range(alive):
            if active[k] not in (i, j):
                active[left] = active[k]
                left += 1
        for k in range(left):
            # Who had one of the two as its nearest looks again at those before it.
            if nearest[active[k]] in (i, j):
                _look_back(p, place, active, k, active[k], kt, nearest, least)
        active[left] = new
        _look_back(p, place, active, left, new, kt, nearest, least)
        alive = left + 1
    return p, place, children, parent


@numba.njit(cache=True)
def _look_back(p, place, active, number, i, kt, nearest, least):
    """Find the nearest of the first `number` nodes: each pair belongs to the later one of the two."""
    nearest[i], least[i] = -1, np.inf
    own = p[i, 0] ** 2 + p[i, 1] ** 2
    for k in range(number):
        j = active[k]
        distance = separation2(place[i, 0], place[i, 1], place[j, 0], place[j, 1])
        if kt:
            distance *= min(own, p[j, 0] ** 2 + p[j, 1] ** 2)
        if distance < least[i]:
            nearest[i], least[i] = j, distance


@numba.njit(cache=True)
def _soft_drop(particles, least_share):
    """Particles of the two subjets, harder first; the second is empty if there is no such splitting."""
    p, _, children, parent = _recombine(particles, False)
    n = len(particles)
    node = len(p) - 1
    while node >= n:
        i, j = children[node, 0], children[node, 1]
        pt_i, pt_j = math.hypot(p[i, 0], p[i, 1]), math.hypot(p[j, 0], p[j, 1])
        if pt_j > pt_i:
            i, j, pt_i, pt_j = j, i, pt_j, pt_i
        if pt_j > least_share * (pt_i + pt_j):
            break
        node = i
    if node < n:
        return particles[node : node + 1], particles[:0]
    side = np.zeros(n, np.int64)
    for leaf in range(n):
        k = leaf
        while k not in (i, j, -1):
            k = parent[k]
        side[leaf] = 1 if k == i else 2 if k == j else 0
    return particles[side == 1], particles[side == 2]


@numba.njit(cache=True)
def _exclusive(parent, number):
    """Nodes that are left when so many are."""
    end = len(parent) + 1 - number  # nodes from here on have merged them
    return np.array([node for node in range(end) if parent[node] >= end or parent[node] < 0])


@numba.njit(cache=True)
def _subjettiness(particles, radius, row):
    """Fill tau1 to tau4."""
    _, place, _, parent = _recombine(particles, True)
    pt = np.hypot(particles[:, 0], particles[:, 1])
    for number in range(1, min(_AXES, len(particles) - 1) + 1):
        axes = place[_exclusive(parent, number)]
        row[number - 1] = _tau(pt, place, axes) / (pt.sum() * radius)


@numba.njit(cache=True)
def _lepton_share(particles, lepton):
    """PT of a lepton over that of the nearest of three exclusive kT subjets."""
    p, place, _, parent = _recombine(particles, True)
    best, share = np.inf, -1.0
    for node in _exclusive(parent, min(3, len(particles))):
        distance = separation2(place[node, 0], place[node, 1], lepton[1], lepton[2])
        if distance < best:
            best, share = distance, lepton[0] / math.hypot(p[node, 0], p[node, 1])
    return share


@numba.njit(cache=True)
def _tau(pt, place, axes):
    """Sum of pT times the distance to the nearest axis, which move to where it is least."""
    last = np.inf
    for _ in range(_STEPS):
        sums = np.zeros((len(axes), 3))
        total = 0.0
        for k in range(len(pt)):
            best, nearest = np.inf, 0
            for a in range(len(axes)):
                distance = separation2(place[k, 0], place[k, 1], axes[a, 0], axes[a, 1])
                if distance < best:
                    best, nearest = distance, a
            away = math.sqrt(best)
            total += pt[k] * away
            pull = pt[k] / max(away, 1e-4)
            turn = place[k, 1] - axes[nearest, 1]
            turn -= 2 * math.pi * round(turn / (2 * math.pi))
            sums[nearest, 0] += pull * (place[k, 0] - axes[nearest, 0])
            sums[nearest, 1] += pull * turn
            sums[nearest, 2] += pull
        if total > last * (1.0 - _STILL):
            return min(total, last)
        last = total
        for a in range(len(axes)):
            if sums[a, 2] > 0.0:
                axes[a, 0] += sums[a, 0] / sums[a, 2]
                axes[a, 1] += sums[a, 1] / sums[a, 2]
    return last


@numba.njit(cache=True)
def _correlators(particles, hardest, with_four, row):
    """Fill n2b1 and n3b1, or -1 where there are too few particles."""
    pt = np.hypot(particles[:, 0], particles[:, 1])
    order = np.argsort(-pt)[:hardest]
    n = len(order)
    share, place = pt[order] / pt.sum(), np.empty((n, 2))
    apart = np.zeros((n, n))
    e2 = e3_one = e3_two = e4 = 0.0
    for i in range(n):
        place[i] = _direction(particles[order[i]])
        for j in range(i):
            apart[i, j] = math.sqrt(separation2(place[i, 0], place[i, 1], place[j, 0], place[j, 1]))
            apart[j, i] = apart[i, j]
            pair = share[i] * share[j]
            e2 += pair * apart[i, j]
    for i in range(n):
        for j in range(i):
            for k in range(j):
                a, b, c = apart[i, j], apart[i, k], apart[j, k]
                least, most = min(a, b, c), max(a, b, c)
                three = share[i] * share[j] * share[k]
                e3_one += three * least
                e3_two += three * least * (a + b + c - least - most)
                if with_four:
                    middle = a + b + c - least - most
                    for m in range(k):
                        low, high = least, middle
                        for other in (i, j, k):
                            d = apart[other, m]
                            if d < low:
                                low, high = d, low
                            elif d < high:
                                high = d
                        e4 += three * share[m] * low * high
    row[4] = e3_two / (e2 * e2) if e3_two > 0.0 else -1.0
    row[5] = e4 / (e3_one * e3_one) if e4 > 0.0 else -1.0
