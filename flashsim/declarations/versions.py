"""NanoAOD versions in which something exists."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from flashsim.declarations.recipes import Recipe

__all__ = ["NANOAOD_VERSIONS", "Spanned", "Version"]

NANOAOD_VERSIONS = ("v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15")
"""NanoAOD versions in order."""


def _known_version(version: str) -> str:
    if version not in NANOAOD_VERSIONS:
        msg = f"unknown NanoAOD version '{version}'; known are {list(NANOAOD_VERSIONS)}"
        raise ValueError(msg)
    return version


Version = Annotated[str, AfterValidator(_known_version)]
"""One of `NANOAOD_VERSIONS`."""


class Spanned(Recipe):
    """What some NanoAOD versions have."""

    since: Version = Field(default=NANOAOD_VERSIONS[0], description="first NanoAOD version that has it")
    until: Version = Field(default=NANOAOD_VERSIONS[-1], description="last NanoAOD version that has it")

    @model_validator(mode="after")
    def _ordered(self) -> Spanned:
        if NANOAOD_VERSIONS.index(self.since) > NANOAOD_VERSIONS.index(self.until):
            msg = f"{self._named}exists since {self.since}, but only until {self.until}"
            raise ValueError(msg)
        return self

    @property
    def _named(self) -> str:
        """What a message on it begins with."""
        return ""

    def exists_in(self, version: str) -> bool:
        """Whether NanoAOD of this version has it."""
        place = NANOAOD_VERSIONS.index(version)
        return NANOAOD_VERSIONS.index(self.since) <= place <= NANOAOD_VERSIONS.index(self.until)
