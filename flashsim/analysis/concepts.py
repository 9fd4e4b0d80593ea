"""Resolving a selection for a file: which of the branches at hand stand for which concept."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from flashsim.analysis.selection import CountStep, DropStep, FlagsStep, FsrStep
from flashsim.errors import InputFileError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flashsim.analysis.selection import SelectionRecipe, Source, Step

__all__ = ["IDENTITY", "KINEMATICS", "ResolvedSelection", "gen_branches", "resolve"]

IDENTITY = ("run", "luminosityBlock", "event")
"""Branches that tell an event."""
KINEMATICS = ("pt", "eta", "phi", "mass")
"""Fields that gen and reconstructed objects both have."""


@dataclass(frozen=True)
class ResolvedSelection:
    """A selection as one version of NanoAOD, one era and the user's options have it.

    Parameters
    ----------
    recipe
        The selection as declared.
    era
        Era of the samples.
    sources
        What stands for each concept; none for those that the user goes without.
    steps
        Optional steps that are on, in the order asked for.
    """

    recipe: SelectionRecipe
    era: str
    sources: dict[str, Source | None]
    steps: dict[str, Step] = field(default_factory=dict)

    @property
    def score(self) -> str | None:
        """Field of jets with the score of quarks against gluons; none where the user goes without it."""
        source = self.sources[self.recipe.jets.score]
        return None if source is None else source.value

    @property
    def jet_fields(self) -> set[str]:
        """Fields of jets that the selection reads."""
        fields = {*KINEMATICS, *self.recipe.jets.where, *([self.score] if self.score else [])}
        for concept in self.recipe.jets.require:
            source = self.sources[concept]
            fields |= source.fields if source is not None else set()
        for step in self.steps.values():
            fields |= _fields(step, "Jet")
        return fields

    @property
    def muon_fields(self) -> set[str]:
        """Fields of muons that the selection reads."""
        fields = {*KINEMATICS, "charge", "ptErr", "pfRelIso04_all", *self.recipe.muons.where}
        for step in self.steps.values():
            fields |= _fields(step, "Muon")
        return fields

    @property
    def branches(self) -> set[str]:
        """All branches of reconstructed events that the selection reads."""
        names = {*IDENTITY, "genWeight"}
        names |= {f"Muon_{name}" for name in self.muon_fields} | {f"Jet_{name}" for name in self.jet_fields}
        for step in self.steps.values():
            names |= _other_branches(step)
        return names

    def says(self) -> dict[str, str]:
        """Tell in words what stands for each concept."""
        return {
            name: "none, as asked for" if source is None else ", ".join(sorted(source.fields))
            for name, source in self.sources.items()
        }


def gen_branches() -> set[str]:
    """Branches that the generator-level view reads."""
    particle = ("pt", "eta", "phi", "pdgId", "statusFlags")
    return {
        *IDENTITY,
        "genWeight",
        *(f"GenJet_{name}" for name in KINEMATICS),
        *(f"GenPart_{name}" for name in particle),
    }


def resolve(
    recipe: SelectionRecipe,
    branches: Mapping[str, Collection[str]],
    *,
    era: str,
    without: Sequence[str] = (),
    steps: Sequence[str] = (),
) -> ResolvedSelection:
    """Find what stands for each concept and step in some files, the same in all of them.

    Parameters
    ----------
    recipe
        The selection.
    branches
        Flat names of the branches of reconstructed events, by file.
    era
        Era of the samples, such as ``UL2018``.
    without
        Concepts that the user goes without.
    steps
        Optional steps that the user asks for.

    Raises
    ------
    RecipeError
        If a concept or step is not one of the recipe, or has no variant for this era.
    InputFileError
        If a file has no branches for a concept, lacks branches otherwise, or has the concept in other
        branches than the files before, so that they could not be compared.
    """
    _known("--without", without, recipe.concepts)
    _known("--with", steps, recipe.steps)
    chosen = {name: _variant(recipe, name, era) for name in steps}
    resolved: ResolvedSelection | None = None
    first = ""
    for file, names in branches.items():
        sources = {
            name: None if name in without else _source(recipe, name, file, names, era)
            for name in recipe.concepts
        }
        found = ResolvedSelection(recipe, era, sources, chosen)
        if missing := sorted(found.branches - set(names)):
            _refuse(file, missing, found)
        if resolved is not None and resolved.sources != found.sources:
            differing = next(name for name in sources if sources[name] != resolved.sources[name])
            msg = (
                f"{file}: has {differing} as {found.says()[differing]}, {first} as "
                f"{resolved.says()[differing]}; compare files of one NanoAOD version, or add "
                f"--without {differing}"
            )
            raise InputFileError(msg)
        resolved, first = found, first or file
    # Without reconstructed files there is nothing to find, and nothing that needs it.
    return resolved or ResolvedSelection(recipe, era, dict.fromkeys(recipe.concepts), chosen)


def _known(option: str, names: Sequence[str], known: Collection[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        msg = f"{option} {unknown[0]}: expected one of {', '.join(known)}"
        raise RecipeError(msg)


def _variant(recipe: SelectionRecipe, name: str, era: str) -> Step:
    for step in recipe.steps[name].variants:
        if any(fnmatchcase(era, pattern) for pattern in step.eras):
            return step
    eras = ", ".join(pattern for step in recipe.steps[name].variants for pattern in step.eras)
    msg = f"--with {name}: has no values for the era '{era}', only for {eras}"
    raise RecipeError(msg)


def _source(recipe: SelectionRecipe, name: str, file: str, branches: Collection[str], era: str) -> Source:
    for source in recipe.concepts[name].sources:
        fits = any(fnmatchcase(era, pattern) for pattern in source.eras)
        if fits and all(f"Jet_{read}" in branches for read in source.fields):
            return source
    ways = [
        " with ".join(f"Jet_{read}" for read in sorted(source.fields - {*KINEMATICS}))
        for source in recipe.concepts[name].sources
    ]
    wanted = " or ".join(dict.fromkeys(ways))
    msg = (
        f"{file}: has no {name} ({recipe.concepts[name].description}) for the era '{era}': expected {wanted}"
        f"; to go without it, add --without {name}"
    )
    raise InputFileError(msg)


def _refuse(file: str, missing: list[str], found: ResolvedSelection) -> None:
    steps = [name for name, step in found.steps.items() if _other_branches(step) & set(missing)]
    why = f"; they are for --with {', '.join(steps)}" if steps else ""
    if missing == ["genWeight"]:
        why = "; use simulated NanoAOD, not collision data"
    msg = f"{file}: lacks {', '.join(missing)}{why}"
    raise InputFileError(msg)


def _fields(step: Step, collection: str) -> set[str]:
    """Fields of muons or jets that a step reads."""
    match step:
        case CountStep() if step.collection == collection:
            return {name for rule in step.rules for box in rule.where for name in box}
        case DropStep() if collection == "Jet":
            return {name for box in step.where for name in box}
        case FsrStep() if collection == "Muon":
            return {"fsrPhotonIdx"}
    return set()


def _other_branches(step: Step) -> set[str]:
    """Branches that a step reads and that are none of muons or jets."""
    match step:
        case FlagsStep():
            return {*step.any_of, *step.all_of}
        case CountStep() if step.collection not in {"Muon", "Jet"}:
            fields = {"pt"} | {name for rule in step.rules for box in rule.where for name in box}
            return {f"{step.collection}_{name}" for name in fields}
        case FsrStep():
            return {f"FsrPhoton_{name}" for name in {"pt", "eta", "phi", *step.photon}}
    return set()
