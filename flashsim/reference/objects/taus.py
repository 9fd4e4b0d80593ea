"""Hadronic taus from jets: hadrons plus strips (HPS).

The algorithm is CMS's (JINST 13 (2018) P10005, arXiv:1809.02816). Strips are photons and electrons near
each other, in windows that shrink with their pT. One to three charged candidates of a jet and up to two
strips make a tau if their mass is that of an intermediate resonance and all lie in the signal cone; the
hardest is taken.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.objects.secondary_vertices import common_vertices
from flashsim.reference.particles.kernel_recipe import KernelRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.secondary_vertices import SecondaryVerticesRecipe

__all__ = ["TauRecipe", "taus"]

_HADRONS, _STRIPS = 5, 3  # of a jet that are tried
_PION = 0.13957
_MODES = {
    (1, 0): (0, 0),
    (1, 1): (1, 1),
    (1, 2): (1, 2),
    (2, 0): (5, 3),
    (2, 1): (6, 4),
    (3, 0): (10, 5),
    (3, 1): (11, 6),
}
"""Decay mode and place of its masses by number of hadrons and strips."""
_TRIED = np.array(
    [
        (*(*hadrons, -1, -1)[:3], *(*strips, -1, -1)[:2], *mode)
        for (prongs, neutral), mode in _MODES.items()
        for hadrons in combinations(range(_HADRONS), prongs)
        for strips in combinations(range(_HADRONS, _HADRONS + _STRIPS), neutral)
    ]
)


class TauRecipe(KernelRecipe):
    """How taus are built; pT in GeV, lengths in cm."""

    jet: list[float] = Field(description="least pT and largest |eta| of jets")
    pt: float = Field(gt=0, description="least pT of taus")
    hadron: list[float] = Field(description="least pT of charged candidates, largest dxy and dz")
    photon_pt: float = Field(gt=0, description="least pT of what makes strips, and of strips")
    strip_eta: list[float] = Field(description="factor and power of pT in a strip's window, least, largest")
    strip_phi: list[float] = Field(description="the same in azimuth")
    cone: list[float] = Field(description="signal cone: its radius times pT, least and largest")
    masses: list[float] = Field(
        description="least and largest mass of decay modes 0, 1, 2, 5, 6, 10, 11: pairs; the largest grows "
        "with the square root of pT over 100 GeV for one hadron"
    )
    isolation: list[float] = Field(description="radii of both isolation cones, and of the one of pileup")
    around: list[float] = Field(description="in these: largest dxy and dz, least pT of photons")
    pileup: list[float] = Field(description="what of pileup is taken from the photons' sums")
    loose: list[float] = Field(description="isolation sums that are good enough: in GeV, over pT")
    anti_muon: list[int] = Field(description="idAntiMu by muon segments: more than one, one, none")
    dead: list[float] = Field(description="eta and phi of dead ECAL towers: pairs")
    dead_reach: float = Field(gt=0, description="distance to them that is too near")


class _Candidates(NamedTuple):
    """What kernels take of candidates, each of shape (N,)."""

    pt: Any
    eta: Any
    phi: Any
    dxy: Any
    dz: Any
    pdgId: Any  # noqa: N815
    charge: Any


_COLUMNS = (
    "pt", "eta", "phi", "mass", "charge", "decayMode", "_candidate", "photonsOutsideSignalCone", "puCorr",
    "chargedIso", "neutralIso", "_chargedIsoR03", "_neutralIsoR03",
)  # fmt: skip


def taus(
    recorded: Recorded,
    jets: Clustered,
    recipe: TauRecipe,
    vertexing: SecondaryVerticesRecipe | None = None,
) -> Clustered:
    """Build taus of jets.

    Parameters
    ----------
    recorded
        The recorded events.
    jets
        AK4 jets.
    recipe
        Parameters.
    vertexing
        Those of the fit of a tau's decay (``refitSV``, NanoAOD v15).

    Returns
    -------
    Taus by falling pT with ``Tau`` fields of NanoAOD, and the candidates that they are made of. Private:
    ``_candidate`` (the leading charged one), ``_jet`` (row of the jet).
    """
    objects, events = jets.objects, jets.objects.event_rows
    good = np.flatnonzero((objects["pt"] > recipe.jet[0]) & (np.abs(objects["eta"]) < recipe.jet[1]))
    table = _Candidates(*(recorded.candidates[name] for name in _Candidates._fields))
    rows, found, sizes, members = _build(
        good, jets.offsets, jets.members, events, recorded.candidates.offsets, table, recipe.numbers()
    )
    fields: dict[str, NDArray[Any]] = dict(zip(_COLUMNS, found.T.copy(), strict=True)) | {"_jet": rows}
    for name in ("_candidate", "charge", "decayMode"):
        fields[name] = fields[name].astype(np.int64)
    for name, charged, neutral, share in zip(
        ("rawIso", "rawIsodR03"), _COLUMNS[9::2], _COLUMNS[10::2], recipe.pileup, strict=True
    ):
        fields[name] = fields[charged] + np.maximum(fields[neutral] - share * fields["puCorr"], 0.0)
    least, over_pt = recipe.loose
    kept = (fields["rawIso"] < np.maximum(least, over_pt * fields["pt"])) | (fields["rawIsodR03"] < least)
    fields |= _of_track(fields, recorded, recipe)
    offsets = np.searchsorted(events[rows], np.arange(objects.events + 1))
    built = Clustered(Collection(offsets, fields), np.concatenate(([0], np.cumsum(sizes))), members).select(
        kept
    )
    built = built.take(np.lexsort((-built.objects["pt"], built.objects.event_rows)))
    if vertexing is None:
        return built
    decays = built.objects.columns | _decays(built, recorded, vertexing)
    return Clustered(Collection(built.objects.offsets, decays), built.offsets, built.members)


def _decays(taus: Clustered, recorded: Recorded, recipe: SecondaryVerticesRecipe) -> dict[str, NDArray[Any]]:
    """Impact parameter of the leading track in space, and the vertex of a tau's charged candidates."""
    lead = {n: recorded.candidates[n][taus.objects["_candidate"]] for n in ("eta", "phi", "dxy", "dz")}
    cosine, sine, slope = np.cos(lead["phi"]), np.sin(lead["phi"]), np.sinh(lead["eta"])
    along = lead["dz"] * slope / (1.0 + slope**2)
    nearest = np.stack([-lead["dxy"] * sine - along * cosine, lead["dxy"] * cosine - along * sine])
    nearest = np.vstack([nearest, lead["dz"] - along * slope])
    good, places, covariances = common_vertices(recorded, taus, recipe)
    columns: dict[str, NDArray[Any]] = {f"IP{axis}": nearest[k] for k, axis in enumerate("xyz")}
    columns |= {"hasRefitSV": good, "refitSVchi2": np.where(good, places[:, 3] * places[:, 4], 0.0)}
    first = np.repeat(recorded.vertices.offsets[:-1], taus.objects.counts)
    for k, axis in enumerate("xyz"):
        columns[f"refitSV{axis}"] = np.where(good, places[:, k] + recorded.vertices[axis][first], 0.0)
        for other in range(k + 1):
            columns[f"refitSVcov{k}{other}"] = np.where(good, covariances[:, k, other], 0.0)
    columns["ipLengthSig"] = _signed_significance(nearest, taus.objects, recorded)
    return columns


def _signed_significance(
    nearest: NDArray[np.float64], taus: Collection, recorded: Recorded
) -> NDArray[np.float64]:
    """Length of vectors over its error, with the sign of their component along the tau, shape (N,)."""
    lead = {n: recorded.candidates[n][taus["_candidate"]] for n in ("eta", "dxyErr", "dzErr")}
    across, up = np.hypot(nearest[0], nearest[1]), nearest[2]
    error = np.hypot(across * lead["dxyErr"], up * lead["dzErr"] / np.cosh(lead["eta"]))
    ahead = nearest[0] * np.cos(taus["phi"]) + nearest[1] * np.sin(taus["phi"]) + up * np.sinh(taus["eta"])
    return np.asarray(np.where(ahead < 0.0, -1.0, 1.0) * (across**2 + up**2) / np.maximum(error, 1e-12))


def _of_track(
    taus: dict[str, NDArray[Any]], recorded: Recorded, recipe: TauRecipe
) -> dict[str, NDArray[Any]]:
    """Give what follows from the leading charged candidate."""
    lead = {name: column[taus["_candidate"]] for name, column in recorded.candidates.columns.items()}
    chambers = recorded.tracks["chambers"][lead["track"]]
    eta, phi = np.array(recipe.dead).reshape(-1, 2).T
    away = np.hypot(taus["eta"][:, None] - eta, wrap_angle(taus["phi"][:, None] - phi))
    muon = np.abs(lead["pdgId"]) == 13
    return {
        "dxy": lead["dxy"],
        "dz": lead["dz"],
        "leadTkPtOverTauPt": lead["pt"] / taus["pt"],
        "leadTkDeltaEta": lead["eta"] - taus["eta"],
        "leadTkDeltaPhi": wrap_angle(lead["phi"] - taus["phi"]),
        "idAntiEleDeadECal": (away > recipe.dead_reach).all(axis=1),
        "idAntiMu": np.array(recipe.anti_muon)[np.where(muon, 0, 2 - np.minimum(chambers, 2))],
        "idDecayModeOldDMs": np.isin(taus["decayMode"], (0, 1, 10)),
        "idDecayModeNewDMs": np.ones(len(muon), dtype=np.bool_),
    }


@numba.njit(cache=True)
def _build(jets, offsets, members, events, candidate_offsets, candidates, recipe):
    """Taus of jets: rows of the jets, `_COLUMNS`, number of candidates of each, and their rows."""
    rows, sizes = np.empty(len(jets), dtype=np.int64), np.zeros(len(jets), dtype=np.int64)
    table = np.zeros((len(jets), len(_COLUMNS)))
    out = np.empty(len(members), dtype=np.int64)
    signal = np.zeros(len(candidates.pt), dtype=np.bool_)
    made = placed = 0
    for jet in jets:
        inside = members[offsets[jet] : offsets[jet + 1]]
        inside = inside[np.argsort(-candidates.pt[inside])]
        vectors = np.zeros((_HADRONS + _STRIPS, 5))
        owner = _hadrons(inside, candidates, vectors, recipe)
        _strips(inside, owner, candidates, vectors, recipe)
        tau = table[made]
        best = _best(vectors, tau, recipe)
        if best < 0:
            continue
        rows[made] = jet
        for k in range(len(inside)):
            if owner[k] >= 0 and np.any(_TRIED[best, :5] == owner[k]):
                if owner[k] < _HADRONS:
                    tau[4] += candidates.charge[inside[k]]
                if owner[k] == _TRIED[best, 0]:
                    tau[6] = inside[k]
                signal[inside[k]] = True
                out[placed] = inside[k]
                placed += 1
                sizes[made] += 1
        if abs(tau[4]) != 1.0:  # of two hadrons: the harder one says
            tau[4] = candidates.charge[int(tau[6])]
        first, last = candidate_offsets[events[jet]], candidate_offsets[events[jet] + 1]
        _isolate(first, last, candidates, signal, tau, recipe)
        signal[inside] = False
        made += 1
    return rows[:made], table[:made], sizes[:made], out[:placed]


@numba.njit(cache=True)
def _add(vector, candidates, row, mass):
    """Add a candidate to px, py, pz, E and pT."""
    pt, pz = candidates.pt[row], candidates.pt[row] * math.sinh(candidates.eta[row])
    vector[0] += pt * math.cos(candidates.phi[row])
    vector[1] += pt * math.sin(candidates.phi[row])
    vector[2] += pz
    vector[3] += math.sqrt(pt * pt + pz * pz + mass * mass)
    vector[4] = math.hypot(vector[0], vector[1])


@numba.njit(cache=True)
def _hadrons(inside, candidates, vectors, recipe):
    """Find the hardest charged candidates, electrons only as the first; gives whose each candidate is."""
    owner = np.full(len(inside), -1, dtype=np.int64)
    number = 0
    for k in range(len(inside)):
        row = inside[k]
        good = candidates.charge[row] != 0 and candidates.pt[row] > recipe.hadron[0]
        good &= abs(candidates.dxy[row]) < recipe.hadron[1] and abs(candidates.dz[row]) < recipe.hadron[2]
        if good and number < _HADRONS and (number == 0 or abs(candidates.pdgId[row]) != 11):
            _add(vectors[number], candidates, row, _PION)
            vectors[number, 4] *= candidates.charge[row]
            owner[k] = number
            number += 1
    return owner


@numba.njit(cache=True)
def _strips(inside, owner, candidates, vectors, recipe):
    """Find the hardest strips; `owner` learns which candidates are theirs."""
    number = _HADRONS
    for seed in range(len(inside)):
        strip = vectors[min(number, len(vectors) - 1)]
        for k in range(seed, len(inside)):
            row, pt = inside[k], candidates.pt[inside[k]]
            code = abs(candidates.pdgId[row])
            if (
                number == len(vectors)
                or owner[k] >= 0
                or (code != 22 and code != 11)
                or pt < recipe.photon_pt
            ):
                continue
            if k > seed:
                if owner[seed] != number:
                    break
                deta, dphi = _away(candidates.eta[row], candidates.phi[row], strip)
                if deta > _window(recipe.strip_eta, pt, strip[4]) or dphi > _window(
                    recipe.strip_phi, pt, strip[4]
                ):
                    continue
            _add(strip, candidates, row, 0.0)
            owner[k] = number
        number += owner[seed] == number


@numba.njit(cache=True)
def _window(numbers, pt, strip_pt):
    """Half width of a strip, for a photon of some pT."""
    width = numbers[0] * (pt ** numbers[1] + strip_pt ** numbers[1])
    return min(max(width, numbers[2]), numbers[3])


@numba.njit(cache=True)
def _away(eta, phi, vector):
    """Distances in eta and azimuth to a vector's direction."""
    turn = phi - math.atan2(vector[1], vector[0])
    turn -= 2.0 * math.pi * round(turn / (2.0 * math.pi))
    return abs(eta - math.asinh(vector[2] / math.hypot(vector[0], vector[1]))), abs(turn)


@numba.njit(cache=True)
def _best(vectors, tau, recipe):
    """Find the hardest combination that is like a tau, by row of `_TRIED`; `tau` gets momentum and mode."""
    best, total = -1, np.empty(5)
    tau[0] = recipe.pt
    for row in range(len(_TRIED)):
        parts, mode = _TRIED[row, :5], _TRIED[row, 6]
        total[:] = 0.0
        charge, complete = 0.0, True
        for part in parts[parts >= 0]:
            total += vectors[part]
            charge += np.sign(vectors[part, 4]) if part < _HADRONS else 0.0
            complete &= vectors[part, 3] > 0.0
        pt = math.hypot(total[0], total[1])
        if not complete or pt <= tau[0] or (mode > 4 and abs(charge) != 1.0):
            continue
        grown = max(pt / 100.0, 1.0) if mode < 3 else 1.0
        mass2 = total[3] ** 2 - pt**2 - total[2] ** 2
        if mass2 > grown * recipe.masses[2 * mode + 1] ** 2 or mass2 < recipe.masses[2 * mode] ** 2:
            continue
        inside = True
        for part in parts[parts >= 0]:
            one = vectors[part]
            deta, dphi = _away(math.asinh(one[2] / abs(one[4])), math.atan2(one[1], one[0]), total)
            reach = 0.0 if part < _HADRONS else _window(recipe.strip_eta, one[4], one[4])
            inside &= math.hypot(deta, dphi) < _cone(pt, recipe) + reach
        if inside:
            best = row
            tau[0], tau[1], tau[2] = pt, math.asinh(total[2] / pt), math.atan2(total[1], total[0])
            tau[3], tau[5] = math.sqrt(max(mass2, 0.0)), _TRIED[row, 5]
    return best


@numba.njit(cache=True)
def _cone(pt, recipe):
    return min(max(recipe.cone[0] / pt, recipe.cone[1]), recipe.cone[2])


@numba.njit(cache=True)
def _isolate(first, last, candidates, signal, tau, recipe):
    """Sum what is around a tau, and what of its strips is outside of the signal cone."""
    wide, narrow, pileup = recipe.isolation
    for row in range(first, last):
        deta, pt = candidates.eta[row] - tau[1], candidates.pt[row]
        if abs(deta) > pileup:
            continue
        turn = candidates.phi[row] - tau[2]
        distance = math.hypot(deta, turn - 2.0 * math.pi * round(turn / (2.0 * math.pi)))
        charged, kind = candidates.charge[row] != 0, -1
        if signal[row]:
            tau[7] += pt if distance > _cone(tau[0], recipe) and candidates.pdgId[row] == 22 else 0.0
        elif candidates.pdgId[row] == 22 and pt > recipe.around[2]:
            kind = 10
        elif charged and pt > recipe.hadron[0] and abs(candidates.dz[row]) > recipe.around[1]:
            tau[8] += pt if distance < pileup else 0.0
        elif charged and pt > recipe.hadron[0] and abs(candidates.dxy[row]) < recipe.around[0]:
            kind = 9
        if kind > 0:
            tau[kind] += pt if distance < wide else 0.0
            tau[kind + 2] += pt if distance < narrow else 0.0
