"""Missing transverse momentum: raw, corrected with jets (type 1), its covariance and its shifts.

The definitions are CMS's (JINST 14 (2019) P07004, arXiv:1903.06078; CMSSW, runMETCorrectionsAndUncertainties
of `PhysicsTools/PatUtils`). Type 1 puts corrected jets in place of raw ones, muons apart; what pileup adds to
a jet stays. The significance (CMSSW, METSignificance of `RecoMET/METAlgorithms`) has the resolution of jets,
and that of the sum of what is in none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from flashsim.declarations.recipes import Recipe
from flashsim.events.collection import Collection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flashsim.reference.flow.recorded import Recorded
    from flashsim.reference.objects.clustering import Clustered

    Floats = NDArray[np.float64]

__all__ = ["MetRecipe", "met"]


class MetRecipe(Recipe):
    """Missing transverse momentum."""

    jet_pt: float = Field(gt=0, description="least pT of jets that correct and are clustered energy, in GeV")
    em_fraction: float = Field(gt=0, description="largest electromagnetic fraction of jets that correct")
    lepton_pt: float = Field(ge=0, description="least pT of leptons and photons that are no jets, in GeV")
    unclustered: list[float] = Field(
        description="resolution outside of jets: constant, times sqrt(sum of pT)"
    )
    eta: list[float] = Field(description="|eta| up to which the jet resolutions hold")
    jets: list[list[float]] = Field(description="there: constant in GeV, times sqrt(pT), times pT")
    across: float = Field(ge=0, description="resolution of jets across their pT, times its square root")
    charged: list[float] = Field(description="relative resolution of tracks: per GeV, constant")
    neutral: dict[str, list[float]] = Field(
        description="relative resolution of photons (photon), neutral hadrons (barrel to |eta| 1.3, endcap)"
        " and candidates of HF (forward): over sqrt(E), constant, and the largest"
    )
    scale: list[float] = Field(description="uncertainty of the jets' scale: constant, and GeV over pT")
    smearing: float = Field(ge=0, description="uncertainty of the jets' resolution, in resolutions")


def met(
    recorded: Recorded,
    chs: Clustered,
    puppi: Clustered,
    leptons: Sequence[Collection],
    recipe: MetRecipe,
) -> dict[str, Floats]:
    """Missing transverse momentum of E events.

    Parameters
    ----------
    recorded
        The recorded events.
    chs, puppi
        AK4 jets of both kinds, the soft ones included, with what `jets` gives.
    leptons
        Muons, electrons, photons with ``pt`` and ``_candidate``: neither jets nor unclustered energy.
    recipe
        Parameters.

    Returns
    -------
    Branches of NanoAOD, shape (E,) each: ``RawMET``, ``MET`` (``RawPFMET``, ``PFMET`` from version 15 on),
    ``RawPuppiMET`` and ``PuppiMET``.
    """
    candidates = recorded.candidates
    lepton = np.zeros(len(candidates), dtype=np.bool_)
    for kind in leptons:
        rows = kind["_candidate"][kind["pt"] > recipe.lepton_pt]
        lepton[rows[rows >= 0]] = True
    weight = candidates["puppiNoLep"].astype(np.float64)
    weight[np.isin(np.abs(candidates["pdgId"]), (11, 13)) & (candidates["fromPV"] >= 2)] = 1.0
    relative, units = _resolutions(candidates, recipe), _units(candidates["phi"])
    particles = recorded.particles
    seen = (particles["interaction"] == 0) & (np.abs(particles["eta"]) < 5.0)
    hard = Collection(particles.offsets, {name: particles[name] for name in ("pt", "phi")}).select(seen)
    true = -_vector(hard, hard["pt"], _units(hard["phi"]))
    values = {"MET_fiducialGenPt": np.abs(true), "MET_fiducialGenPhi": np.angle(true)}
    for name, jets, weights in (("MET", chs, np.ones(len(weight))), ("PuppiMET", puppi, weight)):
        raw, corrected = _kind(recorded, jets, lepton, weights, units, relative, recipe)
        names = (name, "PFMET") if name == "MET" else (name,)
        for given in names:
            values |= {f"Raw{given}_{field}": value for field, value in raw.items()}
            values |= {f"{given}_{field}": value for field, value in corrected.items()}
    return values


def _units(phi: Floats) -> tuple[Floats, Floats]:
    return np.cos(phi), np.sin(phi)


def _vector(objects: Collection, pt: Floats, units: tuple[Floats, Floats]) -> NDArray[np.complex128]:
    """Vector sum of transverse momenta of each event, x + i y, shape (E,)."""
    return objects.total(pt * units[0]) + 1j * objects.total(pt * units[1])


def _polar(vector: NDArray[np.complex128], suffix: str = "") -> dict[str, Floats]:
    return {f"pt{suffix}": np.abs(vector), f"phi{suffix}": np.angle(vector)}


def _resolutions(candidates: Collection, recipe: MetRecipe) -> Floats:
    """Relative resolution of each candidate, shape (N,)."""
    kind, eta = np.abs(candidates["pdgId"]), np.abs(candidates["eta"])
    per_pt, constant = recipe.charged
    relative = np.hypot(per_pt * candidates["pt"], constant * np.sqrt(np.cosh(eta)))
    which = {"photon": kind == 22, "forward": kind <= 2}
    which |= {"barrel": (kind == 130) & (eta < 1.3), "endcap": (kind == 130) & (eta >= 1.3)}
    for name, rows in which.items():
        stochastic, constant, most = recipe.neutral[name]
        energy = np.maximum(candidates["energy"][rows], 1e-3)
        relative[rows] = np.minimum(np.hypot(stochastic / np.sqrt(energy), constant), most)
    return relative


def _kind(
    recorded: Recorded,
    jets: Clustered,
    lepton: NDArray[np.bool_],
    weight: Floats,
    units: tuple[Floats, Floats],
    relative: Floats,
    recipe: MetRecipe,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Raw and corrected missing momentum of candidates with weights."""
    candidates, objects = recorded.candidates, jets.objects
    pt = candidates["pt"] * weight
    hard = objects["pt"] > recipe.jet_pt
    clustered = lepton.copy()
    clustered[jets.members[hard[jets.jet_of_member]]] = True
    raw, total = -_vector(candidates, pt, units), candidates.total(pt)
    change, scalar = _type_one(objects, recipe)
    vector = raw - change
    unclustered = -_vector(candidates, np.where(clustered, 0.0, pt * relative), units)
    clean = jets.total(lepton[jets.members]) == 0
    loose = ~lepton
    loose[jets.members[clean[jets.jet_of_member]]] = False
    soft = candidates.total(np.where(loose, pt, 0.0))
    soft += objects.total(np.where(clean & ~hard, objects["pt"], 0.0))
    corrected = _polar(vector) | {"sumEt": total + scalar, "sumPtUnclustered": soft}
    corrected |= _covariance(objects, clean & hard, soft, vector, recipe)
    corrected |= {"MetUnclustEnUpDeltaX": unclustered.real, "MetUnclustEnUpDeltaY": unclustered.imag}
    states = recorded.streams.normal(recorded.keys, "resolution shift", objects.counts)
    along = _units(objects["phi"])
    constant, over = recipe.scale
    scale = np.where(hard, np.hypot(constant * objects["pt"], over), 0.0)
    smearing = np.where(hard, recipe.smearing * _jet_resolution(objects, recipe) * states, 0.0)
    shifts = {
        "Unclustered": unclustered,
        "JES": -_vector(objects, scale, along),
        "JER": -_vector(objects, smearing, along),
    }
    for name, shift in shifts.items():
        corrected |= _polar(vector + shift, f"{name}Up") | _polar(vector - shift, f"{name}Down")
    return _polar(raw) | {"sumEt": total}, corrected


def _type_one(jets: Collection, recipe: MetRecipe) -> tuple[NDArray[np.complex128], Floats]:
    """Sum of what corrections add to the jets' vectors and to their pT, without muons."""
    factor = 1.0 / (1.0 - jets["rawFactor"])
    rest = jets["pt"] * (1.0 - jets["muonSubtrFactor"])
    used = (rest > recipe.jet_pt) & (jets["chEmEF"] + jets["neEmEF"] < recipe.em_fraction)
    added = np.where(used, rest * (1.0 - jets["_l1"] / factor), 0.0)
    units = _units(jets["phi"] + jets["muonSubtrDeltaPhi"])
    return _vector(jets, added, units), jets.total(added)


def _jet_resolution(jets: Collection, recipe: MetRecipe) -> Floats:
    """Resolution of the jets' pT in GeV, shape (N,)."""
    place = np.minimum(np.searchsorted(recipe.eta, np.abs(jets["eta"])), len(recipe.eta) - 1)
    noise, stochastic, constant = np.array(recipe.jets)[place].T
    return np.asarray(np.sqrt(noise**2 + stochastic**2 * jets["pt"] + (constant * jets["pt"]) ** 2))


def _covariance(
    jets: Collection, used: NDArray[np.bool_], soft: Floats, vector: NDArray[np.complex128], recipe: MetRecipe
) -> dict[str, Any]:
    """Covariance of the components, and their chi-squared."""
    along = np.where(used, _jet_resolution(jets, recipe), 0.0) ** 2
    across = np.where(used, recipe.across**2 * jets["pt"], 0.0)
    cosine, sine = np.cos(jets["phi"]), np.sin(jets["phi"])
    constant, stochastic = recipe.unclustered
    every = constant**2 + stochastic**2 * soft
    xx = every + jets.total(along * cosine**2 + across * sine**2)
    yy = every + jets.total(along * sine**2 + across * cosine**2)
    xy = jets.total((along - across) * cosine * sine)
    chi2 = (vector.real**2 * yy - 2.0 * vector.real * vector.imag * xy + vector.imag**2 * xx) / (
        xx * yy - xy**2
    )
    return {"covXX": xx, "covXY": xy, "covYY": yy, "significance": chi2}
