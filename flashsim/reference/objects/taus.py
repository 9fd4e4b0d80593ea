"""Hadronic taus from jets: hadrons plus strips (HPS).

The algorithm is CMS's (JINST 13 (2018) P10005, arXiv:1809.02816). Strips are photons and electrons near
each other, in windows that shrink with their pT. One to three charged candidates of a jet and up to two
strips make a tau if their mass is that of an intermediate resonance and all lie in the signal cone; of
those with most hadrons the hardest is taken, as CMSSW's cleaning of `RecoTauTag/RecoTau` does.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from pydantic import Field

from flashsim.events.angles import wrap_angle
from flashsim.events.collection import Collection
from flashsim.events.neighbours import closest
from flashsim.reference.objects.clustering import Clustered
from flashsim.reference.objects.impact_parameters import impact_vectors
from flashsim.reference.objects.secondary_vertices import common_vertices
from flashsim.reference.particles.kernel_recipe import KernelRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.secondary_vertices import SecondaryVerticesRecipe

__all__ = ["TauRecipe", "newer_taus", "taus"]

_HADRONS, _STRIPS = 5, 3  # of a jet that are tried
_PION = 0.13957
_NEAR = 0.4
_STEPS = {"eta": 6.0 / 32767, "phi": 3.2 / 32767}  # CMSSW, DataFormats/PatCandidates, PackedCandidate
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
    soft_pair: float = Field(ge=0, description="least pT of both charged candidates of taus with two")
    photon_pt: float = Field(gt=0, description="least pT of what makes strips")
    strip_pt: float = Field(gt=0, description="least pT of strips")
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
    narrow: list[float] = Field(
        description="jets that networks take for taus: least pT, of tracks that count, largest mean distance "
        "of the momentum from the axis, times its pT, and number of tracks"
    )
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
    fields |= _of_track(fields, recorded, recipe) | {"idDecayModeNewDMs": np.ones(len(rows), dtype=np.bool_)}
    made = Collection.of_event_rows(events[rows], fields, objects.events)
    return _by_pt(Clustered(made, np.concatenate(([0], np.cumsum(sizes))), members).select(kept))


def newer_taus(
    recorded: Recorded,
    chs: Clustered,
    puppi: Collection,
    recipe: TauRecipe,
    vertexing: SecondaryVerticesRecipe,
) -> Clustered:
    """Build the taus of NanoAOD v15: also jets that are like taus, and the decays in space.

    Parameters
    ----------
    recorded, recipe
        As for `taus`.
    chs, puppi
        AK4 jets: taus are made of the first; near one of the second they have its decay mode, too.
    vertexing
        Parameters of the fit of a tau's decay (``refitSV``).
    """
    hadrons = taus(recorded, chs, recipe)
    found = _by_pt(hadrons, _narrow_jets(recorded, chs, hadrons.objects["_jet"], recipe))
    near, _ = closest(found.objects.directions, puppi.directions, 1, _NEAR)
    mode = found.objects["decayMode"]
    mode = np.where(np.isin(mode, (5, 6)), mode + 5, mode)  # networks take two hadrons for three
    columns = _decays(found, recorded, vertexing)
    columns |= {"decayModePNet": mode, "decayModeUParT": np.where(near >= 0, mode, -1)}
    return replace(found, objects=found.objects.with_columns(columns))


def _by_pt(*parts: Clustered) -> Clustered:
    """Join taus of the same events, by falling pT in each."""
    first = parts[0].objects
    fields = {name: np.concatenate([part.objects[name] for part in parts]) for name in first.columns}
    events = np.concatenate([part.objects.event_rows for part in parts])
    sizes = np.concatenate([[0], *(np.diff(part.offsets) for part in parts)])
    members = np.concatenate([part.members for part in parts])
    order = np.lexsort((-fields["pt"], events))
    found = Clustered(Collection(np.array([0, len(order)]), fields), np.cumsum(sizes), members).take(order)
    offsets = np.searchsorted(events[order], np.arange(first.events + 1))
    return replace(found, objects=Collection(offsets, found.objects.columns))


def _narrow_jets(
    recorded: Recorded, jets: Clustered, taken: NDArray[np.int64], recipe: TauRecipe
) -> Clustered:
    """Make taus of narrow jets of few tracks, in which no combination is found: networks take them for taus.

    What only combinations have is -1 or false (CMSSW, `PhysicsTools/PatAlgos`, PATTauHybridProducer).
    """
    least, track_pt, width, most = recipe.narrow
    pt, eta, phi, charge, code = (
        recorded.candidates[name][jets.members] for name in ("pt", "eta", "phi", "charge", "pdgId")
    )
    jet = jets.jet_of_member
    away = np.hypot(eta - jets.objects["eta"][jet], wrap_angle(phi - jets.objects["phi"][jet]))
    charged = (charge != 0) & (pt > track_pt)
    sums = jets.total(pt)
    number, photons = jets.total(charged).astype(np.int64), jets.total(pt * (code == 22)) / sums
    good = (jets.objects["pt"] > least) & (np.abs(jets.objects["eta"]) < recipe.jet[1])
    good &= (jets.total(pt * away) * jets.objects["pt"] < width * sums) & (number > 0) & (number <= most)
    good[taken] = False
    found = jets.select(good)
    inside = charged[good[jet]]
    lead = np.lexsort((-pt[good[jet]] * inside, found.jet_of_member))[found.offsets[:-1]]
    photons, number = photons[good], number[good]
    mode = np.where(number > 2, 10 + (photons > 0.2), np.searchsorted((0.1, 0.5), photons))
    fields: dict[str, NDArray[Any]] = dict.fromkeys(
        (*_COLUMNS, "rawIso", "rawIsodR03"), np.full(len(mode), -1.0)
    )
    fields |= {name: found.objects[name] for name in ("pt", "eta", "phi", "mass")}
    fields |= {"decayMode": mode, "_candidate": found.members[lead], "_jet": np.flatnonzero(good)}
    fields["charge"] = recorded.candidates["charge"][fields["_candidate"]].astype(np.int64)
    fields["idDecayModeNewDMs"] = np.zeros(len(mode), dtype=np.bool_)
    for name, values in _of_track(fields, recorded, recipe).items():
        fields[name] = np.zeros_like(values) if name.startswith("id") else values
    sizes = np.concatenate(([0], np.cumsum(inside)))[found.offsets]
    return Clustered(Collection(found.objects.offsets, fields), sizes, found.members[inside])


def _decays(taus: Clustered, recorded: Recorded, recipe: SecondaryVerticesRecipe) -> dict[str, NDArray[Any]]:
    """Impact parameter of the leading track in space, and the vertex of a tau's charged candidates."""
    lead = {name: column[taus.objects["_candidate"]] for name, column in recorded.candidates.columns.items()}
    columns: dict[str, NDArray[Any]] = dict(impact_vectors(lead, taus.objects)[0])
    good, places, covariances = common_vertices(recorded, taus, recipe)
    columns |= {"hasRefitSV": good, "refitSVchi2": np.where(good, places[:, 3] * places[:, 4], 0.0)}
    first = np.repeat(recorded.vertices.offsets[:-1], taus.objects.counts)
    for k, axis in enumerate("xyz"):
        columns[f"refitSV{axis}"] = np.where(good, places[:, k] + recorded.vertices[axis][first], 0.0)
        for other in range(k + 1):
            columns[f"refitSVcov{k}{other}"] = np.where(good, covariances[:, k, other], 0.0)
    return columns


def _of_track(
    taus: dict[str, NDArray[Any]], recorded: Recorded, recipe: TauRecipe
) -> dict[str, NDArray[Any]]:
    """Give what follows from the leading charged candidate, whose angles MiniAOD keeps in steps."""
    candidates, row = recorded.candidates, taus["_candidate"]
    lead = {name: candidates[name][row] for name in ("pt", "eta", "phi", "dxy", "dz", "pdgId", "track")}
    chambers = recorded.tracks["chambers"][lead["track"]]
    eta, phi = np.array(recipe.dead).reshape(-1, 2).T
    away = np.hypot(taus["eta"][:, None] - eta, wrap_angle(taus["phi"][:, None] - phi))
    muon = np.abs(lead["pdgId"]) == 13
    stored = {name: _STEPS[name] * np.round(lead[name] / _STEPS[name]) for name in _STEPS}
    return {
        "dxy": lead["dxy"],
        "dz": lead["dz"],
        "leadTkPtOverTauPt": lead["pt"] / taus["pt"],
        "leadTkDeltaEta": stored["eta"] - taus["eta"],
        "leadTkDeltaPhi": wrap_angle(stored["phi"] - taus["phi"]),
        "idAntiEleDeadECal": (away > recipe.dead_reach).all(axis=1),
        "idAntiMu": np.array(recipe.anti_muon)[np.where(muon, 0, 2 - np.clip(chambers, 0, 2))],
        "idDecayModeOldDMs": np.isin(taus["decayMode"], (0, 1, 10)),
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
        if owner[seed] == number and strip[4] > recipe.strip_pt:
            number += 1
        elif owner[seed] == number:
            strip[:] = 0.0
            owner[owner == number] = -1


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
    best, most, total = -1, 0, np.empty(5)
    for row in range(len(_TRIED)):
        parts, mode = _TRIED[row, :5], _TRIED[row, 6]
        total[:] = 0.0
        charge, complete = 0.0, True
        for part in parts[parts >= 0]:
            total += vectors[part]
            charge += np.sign(vectors[part, 4]) if part < _HADRONS else 0.0
            complete &= vectors[part, 3] > 0.0
        pt = math.hypot(total[0], total[1])
        prongs = 1 if mode < 3 else 2 if mode < 5 else 3
        if not complete or pt <= (tau[0] if prongs == most else recipe.pt) or prongs < most:
            continue
        if (prongs == 3 and abs(charge) != 1.0) or (
            prongs == 2 and abs(vectors[parts[1], 4]) < recipe.soft_pair
        ):
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
            best, most = row, prongs
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
        elif charged and pt > recipe.hadron[0] and abs(candidates.dxy[row]) < recipe.around[0]:
            kind = 9 if abs(candidates.dz[row]) < recipe.around[1] else 8
        if kind == 8:
            tau[8] += pt if distance < pileup else 0.0
        elif kind > 0:
            tau[kind] += pt if distance < wide else 0.0
            tau[kind + 2] += pt if distance < narrow else 0.0
