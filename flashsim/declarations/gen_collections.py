"""The gen-level collections of an event, as `preprocessing/gen.yaml` declares them."""

# ruff: noqa: N815  # status flags are spelt as CMS spells them
from __future__ import annotations

from enum import IntFlag
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from flashsim.declarations.recipes import Recipe

__all__ = ["Cleaning", "FlagName", "GenCollection", "GenView", "StatusFlag"]


class StatusFlag(IntFlag):
    """Bits of ``GenPart_statusFlags`` (CMSSW ``reco::GenStatusFlags``, title of the NanoAOD branch)."""

    isPrompt = 1 << 0
    isDecayedLeptonHadron = 1 << 1
    isTauDecayProduct = 1 << 2
    isPromptTauDecayProduct = 1 << 3
    isDirectTauDecayProduct = 1 << 4
    isDirectPromptTauDecayProduct = 1 << 5
    isDirectHadronDecayProduct = 1 << 6
    isHardProcess = 1 << 7
    fromHardProcess = 1 << 8
    isHardProcessTauDecayProduct = 1 << 9
    isDirectHardProcessTauDecayProduct = 1 << 10
    fromHardProcessBeforeFSR = 1 << 11
    isFirstCopy = 1 << 12
    isLastCopy = 1 << 13
    isLastCopyBeforeFSR = 1 << 14


def _known_flag(flag: str) -> str:
    if flag not in StatusFlag.__members__:
        msg = f"unknown status flag '{flag}'; known are {list(StatusFlag.__members__)}"
        raise ValueError(msg)
    return flag


FlagName = Annotated[str, AfterValidator(_known_flag)]
"""Name of a `StatusFlag`."""


class Cleaning(Recipe):
    """Removal of gen jets that are a lepton: GenJets contain prompt leptons, and often are nothing else."""

    of: str = Field(description="gen collection of the leptons")
    cone: float = Field(gt=0, description="largest distance in eta and phi between jet and lepton")
    min_share: float = Field(ge=0, le=1, description="smallest share of the jet's pT that the lepton has")


class GenCollection(Recipe):
    """A selection of gen-level objects of an event, or the event itself as one object."""

    branch: Literal["GenJet", "GenPart", "Event"] = Field(
        description="NanoAOD collection that it is taken from; Event: branches with one value an event"
    )
    fields: list[str] = Field(
        description="branches of the collection, pt, eta and phi among them; of Event, whole names"
    )
    optional: list[str] = Field(
        default=[],
        description="fields that not all files have: training without them leaves out what needs them",
    )
    abs_pdg_id: list[int] = Field(default=[], description="absolute PDG numbers to keep; empty: all")
    status: list[int] = Field(default=[], description="status codes to keep, 1 for stable ones; empty: all")
    all_flags: list[FlagName] = Field(default=[], description="status flags that must all be set")
    any_flags: list[FlagName] = Field(default=[], description="status flags of which one must be set")
    min_pt: float = Field(default=0.0, ge=0, description="smallest pT in GeV")
    max_abs_eta: float | None = Field(default=None, gt=0, description="largest magnitude of eta")
    clean: Cleaning | None = Field(default=None, description="removal of jets that are leptons")

    @model_validator(mode="after")
    def _optional_fields(self) -> GenCollection:
        if strange := sorted(set(self.optional) - set(self.fields)):
            msg = f"optional names {strange}, which are none of the fields"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _complete(self) -> GenCollection:
        particle_cuts = self.abs_pdg_id or self.status or self.all_flags or self.any_flags
        if self.branch != "GenPart" and particle_cuts:
            msg = f"abs_pdg_id, status, all_flags and any_flags select GenPart, not {self.branch}"
            raise ValueError(msg)
        if self.branch == "Event":
            if self.min_pt or self.max_abs_eta is not None or self.clean is not None:
                msg = "min_pt, max_abs_eta and clean select objects, not events"
                raise ValueError(msg)
        elif missing := {"pt", "eta", "phi"} - set(self.fields):
            msg = f"fields lacks {sorted(missing)}"
            raise ValueError(msg)
        return self


class GenView(Recipe):
    """The gen-level collections of an event, the same for training and for generation."""

    schema_version: Literal[1] = Field(description="version of this format")
    collections: dict[str, GenCollection] = Field(description="collections by name")

    @model_validator(mode="after")
    def _known_references(self) -> GenView:
        for name, collection in self.collections.items():
            if collection.clean is not None and collection.clean.of not in self.collections:
                msg = f"{name} is cleaned of unknown collection '{collection.clean.of}'"
                raise ValueError(msg)
            if collection.clean is not None and self.collections[collection.clean.of].clean is not None:
                msg = f"{name} is cleaned of '{collection.clean.of}', which is itself cleaned"
                raise ValueError(msg)
        return self
