"""Hadronic taus from jets: hadrons plus strips (HPS).

The algorithm is CMS's (JINST 13 (2018) P10005, arXiv:1809.02816). Strips are photons and electrons near
each other, in windows that shrink with their pT. One to three charged candidates of a jet and up to two
strips make a tau if their mass is that of an intermediate resonance and all lie in the signal cone; the
hardest is taken.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.particles.kernel_recipe import KernelRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded

__all__ = ["TauRecipe", "taus"]

_MOST_HADRONS, _MOST_STRIPS = 5, 3  # of a jet that are tried
_PION = 0.13957


class TauRecipe(KernelRecipe):
    """How taus are built; pT in GeV, lengths in cm."""

    jet_pt: float = Field(gt=0, description="least pT of jets")
    pt: float = Field(gt=0, description="least pT of taus")
    max_eta: float = Field(gt=0, description="largest |eta| of jets")
    charged_pt: float = Field(gt=0, description="least pT of charged candidates")
    max_dxy: float = Field(gt=0, description="their largest distance to the primary vertex across the beam")
    max_dz: float = Field(gt=0, description="the same along the beam")
    photon_pt: float = Field(gt=0, description="least pT of what makes strips")
    strip_pt: float = Field(gt=0, description="least pT of strips")
    strip_eta: list[float] = Field(description="factor and power of pT in a strip's window, least, largest")
    strip_phi: list[float] = Field(description="the same in azimuth")
    cone: list[float] = Field(description="signal cone: its radius times pT, least and largest")
    masses: list[float] = Field(
        description="least and largest mass of decay modes 0, 1, 2, 5, 6, 10, 11: pairs; the largest grows "
        "with the square root of pT over 100 GeV for one prong"
    )
    isolation: float = Field(gt=0, description="radius of the isolation cone")
    inner: float = Field(gt=0, description="that of the small one")
    isolation_dz: float = Field(gt=0, description="distance along the beam that parts pileup from isolation")
    isolation_dxy: float = Field(gt=0, description="largest distance across the beam in isolation")
    isolation_photon: float = Field(gt=0, description="least pT of photons in isolation")
    pileup_cone: float = Field(gt=0, description="radius of the cone where pileup is summed")
    pileup: list[float] = Field(description="what of pileup is taken from the photons' sum, in both cones")
    loose: float = Field(gt=0, description="isolation sum that is always good enough")
    relative: float = Field(gt=0, description="that over pT that is good enough, too")
    dead: list[float] = Field(description="eta and phi of dead ECAL towers: pairs")
    dead_reach: float = Field(gt=0, description="distance to them that is too near")


def taus(recorded: Recorded, jets: Clustered, recipe: TauRecipe) -> Clustered:
    """Build taus of jets.

    Parameters
    ----------
    recorded
        The recorded events.
    jets
        AK4 jets.
    recipe
        Parameters.

    Returns
    -------
    Taus by falling pT with ``Tau`` fields of NanoAOD, and the candidates that they are made of. Private:
    ``_candidate`` (the leading charged one), ``_jet`` (row of the jet).
    """
    candidates, objects = recorded.candidates, jets.objects
    table = _Candidates(*(candidates[name] for name in _Candidates._fields))
    good = (objects["pt"] > recipe.jet_pt) & (np.abs(objects["eta"]) < recipe.max_eta)
    rows, found, sizes, members = _build(
        np.flatnonzero(good),
        jets.offsets,
        jets.members,
        objects.event_rows,
        candidates.offsets,
        table,
        recipe.numbers(),
    )
    fields: dict[str, NDArray[Any]] = dict(zip(_COLUMNS, found.T.copy(), strict=True))
    for name in ("_candidate", "charge", "decayMode"):
        fields[name] = fields[name].astype(np.int64)
    fields["_jet"] = rows
    offsets = np.searchsorted(objects.event_rows[rows], np.arange(objects.events + 1))
    built = Clustered(Collection(offsets, fields), np.concatenate(([0], np.cumsum(sizes))), members)
    built = built.select(_isolated(built.objects, recipe))
    built = built.take(np.lexsort((-built.objects["pt"], built.objects.event_rows)))
    columns = built.objects.columns | _of_track(built.objects, recorded, recipe)
    return Clustered(Collection(built.objects.offsets, columns), built.offsets, built.members)


class _Candidates(NamedTuple):
    """What kernels take of candidates, each of shape (N,)."""

    pt: Any
    eta: Any
    phi: Any
    energy: Any
    dxy: Any
    dz: Any
    pdgId: Any  # noqa: N815
    charge: Any


_COLUMNS = (
    "pt", "eta", "phi", "mass", "charge", "decayMode", "_candidate", "photonsOutsideSignalCone", "chargedIso",
    "neutralIso", "puCorr", "_chargedIsoR03", "_neutralIsoR03",
)  # fmt: skip


def _isolated(taus: Collection, recipe: TauRecipe) -> NDArray[np.bool_]:
    """Add the combined isolations; gives which taus pass the loosest selection."""
    for name, charged, neutral, share in (
        ("rawIso", "chargedIso", "neutralIso", recipe.pileup[0]),
        ("rawIsodR03", "_chargedIsoR03", "_neutralIsoR03", recipe.pileup[1]),
    ):
        taus.columns[name] = taus[charged] + np.maximum(taus[neutral] - share * taus["puCorr"], 0.0)
    least = np.minimum(taus["rawIso"], taus["rawIsodR03"])
    return (least < recipe.loose) | (taus["rawIso"] < recipe.relative * taus["pt"])


def _of_track(taus: Collection, recorded: Recorded, recipe: TauRecipe) -> dict[str, NDArray[Any]]:
    """Give what follows from the leading charged candidate."""
    row = taus["_candidate"]
    lead = {name: column[row] for name, column in recorded.candidates.columns.items()}
    chambers = recorded.tracks["chambers"][lead["track"]]
    eta, phi = np.array(recipe.dead).reshape(-1, 2).T
    far = np.hypot(taus["eta"][:, None] - eta, wrap_angle(taus["phi"][:, None] - phi)) > recipe.dead_reach
    muon = np.abs(lead["pdgId"]) == 13
    return {
        "dxy": lead["dxy"],
        "dz": lead["dz"],
        "leadTkPtOverTauPt": lead["pt"] / taus["pt"],
        "leadTkDeltaEta": lead["eta"] - taus["eta"],
        "leadTkDeltaPhi": wrap_angle(lead["phi"] - taus["phi"]),
        "idAntiEleDeadECal": far.all(axis=1),
        "idAntiMu": np.where(muon | (chambers > 1), 0, np.where(chambers > 0, 1, 3)),
        "idDecayModeOldDMs": np.isin(taus["decayMode"], (0, 1, 2, 10)),
        "idDecayModeNewDMs": np.ones(len(taus), dtype=np.bool_),
    }


@numba.njit(cache=True)
def _build(jets, offsets, members, events, candidate_offsets, candidates, recipe):
    """Taus of jets: rows of the jets, `_COLUMNS`, number of candidates of each, and their rows."""
    rows = np.empty(len(jets), dtype=np.int64)
    table = np.zeros((len(jets), 13))
    sizes = np.zeros(len(jets), dtype=np.int64)
    out = np.empty(len(members), dtype=np.int64)
    signal = np.zeros(len(candidates.pt), dtype=np.bool_)
    made = placed = 0
    for jet in jets:
        inside = members[offsets[jet] : offsets[jet + 1]]
        inside = inside[np.argsort(-candidates.pt[inside])]
        hadrons = _hadrons(inside, candidates, recipe)
        strips, photons = _strips(inside, hadrons, candidates, recipe)
        tau = table[made]
        if not _best(hadrons, strips, candidates, tau, signal, recipe):
            continue
        rows[made] = jet
        for k in range(len(inside)):
            row = inside[k]
            if photons[k] >= 0 and strips[photons[k], 4] < 0.0:
                signal[row] = True
            if signal[row]:
                out[placed] = row
                placed += 1
                sizes[made] += 1
        event = events[jet]
        _isolate(candidate_offsets[event], candidate_offsets[event + 1], candidates, signal, tau, recipe)
        signal[inside] = False
        made += 1
    return rows[:made], table[:made], sizes[:made], out[:placed]


@numba.njit(cache=True)
def _hadrons(inside, candidates, recipe):
    """Rows of the hardest charged candidates, electrons among them only as the hardest."""
    found = np.empty(_MOST_HADRONS, dtype=np.int64)
    number = 0
    for row in inside:
        good = candidates.charge[row] != 0 and candidates.pt[row] > recipe.charged_pt
        good &= abs(candidates.dxy[row]) < recipe.max_dxy and abs(candidates.dz[row]) < recipe.max_dz
        if good and number < _MOST_HADRONS and (number == 0 or abs(candidates.pdgId[row]) != 11):
            found[number] = row
            number += 1
    return found[:number]


@numba.njit(cache=True)
def _strips(inside, hadrons, candidates, recipe):
    """Give the hardest strips, px, py, pz, E and pT, and the strip of each candidate, or -1."""
    owner = np.full(len(inside), -1, dtype=np.int64)
    strips = np.zeros((_MOST_STRIPS, 5))
    number = 0
    for seed in range(len(inside)):
        if owner[seed] >= 0 or not _makes(inside[seed], hadrons, candidates, recipe):
            continue
        strip = strips[number]
        strip[:] = 0.0
        _add(strip, candidates, inside[seed])
        owner[seed] = number
        for k in range(seed + 1, len(inside)):
            row = inside[k]
            if owner[k] < 0 and _makes(row, hadrons, candidates, recipe):
                deta = abs(candidates.eta[row] - math.asinh(strip[2] / strip[4]))
                dphi = abs(_turn(candidates.phi[row] - math.atan2(strip[1], strip[0])))
                pt = candidates.pt[row]
                if deta < _window(recipe.strip_eta, pt, strip[4]) and dphi < _window(
                    recipe.strip_phi, pt, strip[4]
                ):
                    _add(strip, candidates, row)
                    owner[k] = number
        if strip[4] > recipe.strip_pt:
            number += 1
            if number == _MOST_STRIPS:
                break
        else:
            owner[owner == number] = -2
    return strips[:number], owner


@numba.njit(cache=True)
def _makes(row, hadrons, candidates, recipe):
    """Whether a candidate makes strips."""
    code = abs(candidates.pdgId[row])
    if len(hadrons) > 0 and row == hadrons[0]:
        return False
    return (code == 22 or code == 11) and candidates.pt[row] > recipe.photon_pt


@numba.njit(cache=True)
def _window(numbers, pt, strip_pt):
    """Half width of a strip, for a photon of some pT."""
    width = numbers[0] * (pt ** numbers[1] + strip_pt ** numbers[1])
    return min(max(width, numbers[2]), numbers[3])


@numba.njit(cache=True)
def _turn(angle):
    return angle - 2.0 * math.pi * round(angle / (2.0 * math.pi))


@numba.njit(cache=True)
def _add(vector, candidates, row):
    """Add a candidate to px, py, pz, E and pT."""
    pt = candidates.pt[row]
    vector[0] += pt * math.cos(candidates.phi[row])
    vector[1] += pt * math.sin(candidates.phi[row])
    vector[2] += pt * math.sinh(candidates.eta[row])
    vector[3] += candidates.energy[row]
    vector[4] = math.hypot(vector[0], vector[1])


@numba.njit(cache=True)
def _best(hadrons, strips, candidates, tau, signal, recipe):
    """Find the hardest combination that is like a tau; gives whether there is one.

    `tau` gets the first `_COLUMNS`; `signal` marks its hadrons, and the pT of its strips becomes negative.
    """
    number = len(hadrons)
    vectors = np.zeros((number + len(strips), 5))
    for k in range(number):
        _add(vectors[k], candidates, hadrons[k])
        vectors[k, 3] = math.sqrt(vectors[k, 4] ** 2 + vectors[k, 2] ** 2 + _PION**2)
    vectors[number:] = strips
    total = np.empty(5)
    chosen = np.full(5, -1, dtype=np.int64)
    most = recipe.pt
    for a in range(number):
        for b in range(a, number):
            for c in range(b, number):
                if (a == b) & (b != c):
                    continue
                prongs = 1 + (b > a) + (c > b)
                charge = _charge(hadrons, candidates, a, b, c)
                if prongs == 3 and abs(charge) != 1:
                    continue
                for s in range(-1, len(strips)):
                    for t in range(s, len(strips)):
                        neutral = 0 if s < 0 else 1 + (t > s)
                        if (s < 0 and t >= 0) or (prongs > 1 and neutral > 1):
                            continue
                        parts = (a, b if b > a else -1, c if c > b else -1, s, t if t > s else -1)
                        if _adds_up(parts, vectors, number, total, prongs, neutral, most, recipe):
                            most = total[4]
                            chosen[:] = np.array(parts)
                            tau[1], tau[2] = math.asinh(total[2] / total[4]), math.atan2(total[1], total[0])
                            tau[3] = math.sqrt(max(total[3] ** 2 - total[4] ** 2 - total[2] ** 2, 0.0))
                            tau[4] = charge if abs(charge) == 1 else candidates.charge[hadrons[a]]
                            tau[5] = 5 * (prongs - 1) + min(neutral, 1)
    if chosen[0] < 0:
        return False
    tau[0], tau[6] = most, hadrons[chosen[0]]
    for k in range(3):
        if chosen[k] >= 0:
            signal[hadrons[chosen[k]]] = True
    for k in range(3, 5):
        if chosen[k] >= 0:
            strips[chosen[k], 4] *= -1.0
    return True


@numba.njit(cache=True)
def _charge(hadrons, candidates, a, b, c):
    charge = candidates.charge[hadrons[a]]
    if b > a:
        charge += candidates.charge[hadrons[b]]
    if c > b:
        charge += candidates.charge[hadrons[c]]
    return charge


@numba.njit(cache=True)
def _adds_up(parts, vectors, number, total, prongs, neutral, most, recipe):
    """Whether hadrons and strips are harder than `most`, of the right mass, and in the signal cone."""
    total[:] = 0.0
    for k in range(5):
        if parts[k] >= 0:
            total += vectors[parts[k] + (number if k > 2 else 0)]
    total[4] = math.hypot(total[0], total[1])
    if total[4] <= most:
        return False
    mode = 2 * prongs + neutral + (-2 if prongs == 1 else -1)
    grown = max(math.sqrt(total[4] / 100.0), 1.0) if prongs == 1 else 1.0
    mass2 = total[3] ** 2 - total[4] ** 2 - total[2] ** 2
    if mass2 > (grown * recipe.masses[2 * mode + 1]) ** 2 or mass2 < recipe.masses[2 * mode] ** 2:
        return False
    cone = min(max(recipe.cone[0] / total[4], recipe.cone[1]), recipe.cone[2])
    eta, phi = math.asinh(total[2] / total[4]), math.atan2(total[1], total[0])
    for k in range(5):
        if parts[k] >= 0:
            one = vectors[parts[k] + (number if k > 2 else 0)]
            off = _turn(math.atan2(one[1], one[0]) - phi)
            reach = cone + (_window(recipe.strip_eta, one[4], one[4]) if k > 2 else 0.0)
            if math.hypot(math.asinh(one[2] / one[4]) - eta, off) > reach:
                return False
    return True


@numba.njit(cache=True)
def _isolate(first, last, candidates, signal, tau, recipe):
    """Sum what is around a tau."""
    cone = min(max(recipe.cone[0] / tau[0], recipe.cone[1]), recipe.cone[2])
    for row in range(first, last):
        deta = candidates.eta[row] - tau[1]
        if abs(deta) > recipe.pileup_cone:
            continue
        distance = math.hypot(deta, _turn(candidates.phi[row] - tau[2]))
        pt, photon = candidates.pt[row], candidates.pdgId[row] == 22
        if signal[row]:
            tau[7] += pt if distance > cone and candidates.charge[row] == 0 else 0.0
        elif photon and pt > recipe.isolation_photon and distance < recipe.isolation:
            tau[9] += pt
            tau[12] += pt if distance < recipe.inner else 0.0
        elif candidates.charge[row] != 0 and pt > recipe.charged_pt:
            if abs(candidates.dz[row]) > recipe.isolation_dz:
                tau[10] += pt if distance < recipe.pileup_cone else 0.0
            elif distance < recipe.isolation and abs(candidates.dxy[row]) < recipe.isolation_dxy:
                tau[8] += pt
                tau[11] += pt if distance < recipe.inner else 0.0
