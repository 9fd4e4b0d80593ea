"""Telling the NanoAOD version of a file from its branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flashsim.declarations.versions import NANOAOD_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flashsim.nanoaod.branch import Branch

__all__ = ["VERSIONS", "DetectedVersion", "describe_version", "detect_version"]


@dataclass(frozen=True)
class _Mark:
    """A branch that came with a version: of any type and title, or of those given."""

    branch: str
    dtype: str | None = None
    title: str = ""

    def on(self, branches: Mapping[str, Branch]) -> bool:
        found = branches.get(self.branch)
        return found is not None and self.dtype in {None, found.dtype.name} and self.title in found.title


# One mark is enough, as files may be skims with few branches; gen-level marks stand first, as files to
# generate from may have nothing else.
_MARKS: dict[str, tuple[_Mark, ...]] = {
    "v15": (
        _Mark("GenPart_iso"),
        _Mark("GenJet_nBHadrons"),  # hadron counts, for gen jets as for gen fat jets
        _Mark("Pileup_pthatmax"),
        _Mark("TrackGenJetAK4_pt"),
        _Mark("LHEPart_firstMotherIdx"),
        _Mark("HTXS_Mjj"),
        _Mark("orbitNumber"),
        _Mark("PFMET_pt"),  # what was MET until PUPPI became the default
    ),
    "v12": (
        # The Run 3 releases store indices, flags and flavours in the smallest integer that holds them.
        _Mark("GenPart_genPartIdxMother", "int16"),
        _Mark("GenPart_statusFlags", "uint16"),
        _Mark("GenJet_partonFlavour", "int16"),
        _Mark("Muon_jetIdx", "int16"),
        _Mark("Jet_jetId", "uint8"),
        _Mark("bunchCrossing"),
        _Mark("Rho_fixedGridRhoAll"),  # fixedGridRho* became members of Rho
    ),
    "v9": (
        _Mark("HTXS_stage1_2_cat_pTjet30GeV"),  # stage 1.2 binning
        _Mark("GenIsolatedPhoton_pt"),
        _Mark("GenVtx_x"),
        _Mark("LHEPart_status"),
        _Mark("LHE_AlphaS"),
        _Mark("Jet_puIdDisc"),
        _Mark("Muon_highPurity"),
    ),
    "v6": (
        _Mark("FsrPhoton_pt"),
        _Mark("Muon_fsrPhotonIdx"),
        # Gen branches of v5 and v6 have the same names and types, only W, Z and BSM masses are new. An
        # RNTuple of gen branches without titles counts as v5, which makes no difference to reading it.
        _Mark("GenPart_mass", title="plus W/Z and BSM particles"),
    ),
    "v5": (),
}

VERSIONS = tuple(version for version in NANOAOD_VERSIONS if version in _MARKS)
"""NanoAOD versions that there are schemas of, oldest first."""


_TOO_MANY = 2
"""Branches of older types that outvote one name of a newer version: anybody can add a branch."""


@dataclass(frozen=True)
class DetectedVersion:
    """What branches tell of their NanoAOD version.

    Parameters
    ----------
    version
        The version; none if there is no mark of any.
    marks
        Branches that came with it.
    doubt
        Why it may be another one, in words; empty if there is no doubt.
    """

    version: str | None
    marks: tuple[str, ...] = ()
    doubt: str = ""


def describe_version(branches: Mapping[str, Branch]) -> DetectedVersion:
    """Tell the NanoAOD version that branches belong to, from what, and how sure it is.

    It is the newest of `VERSIONS` of which there is a mark. A single name of a newer version is outvoted by
    branches of older types.

    Parameters
    ----------
    branches
        Branches of the ``Events`` tree, of full NanoAOD, of a skim, or gen level only.

    Notes
    -----
    The marks were found by comparing central NanoAOD files of each version. Versions in between are told
    as a neighbour: v8 as v9, Run 3 scouting as v12.
    """
    outvoted: list[str] = []
    for version in reversed(VERSIONS):
        marks = [mark for mark in _MARKS[version] if mark.on(branches)]
        older = _of_older_types(branches, version)
        if not marks:
            continue
        if len(marks) == 1 and marks[0].dtype is None and len(older) >= _TOO_MANY:
            outvoted.append(f"{marks[0].branch} is of {version}")
            continue
        names = tuple(mark.branch for mark in marks)
        newer = _of_older_types(branches, VERSIONS[-1])
        if older:
            doubt = f"{_some(names)} came with {version}, but {_some(older)} of an older type"
        elif outvoted:
            doubt = f"{_some(names)} came with {version}, but {' and '.join(outvoted)}"
        elif len(names) == 1 and not newer:
            doubt = f"nothing but {names[0]} tells it"
        else:
            doubt = ""
        return DetectedVersion(version, names, doubt)
    but = f", but {' and '.join(outvoted)}" if outvoted else ""
    return DetectedVersion(None, (), f"no branch came with a later version{but}")


def _of_older_types(branches: Mapping[str, Branch], version: str) -> list[str]:
    """Branches with another type than they have in a version and later ones."""
    upto = VERSIONS[: VERSIONS.index(version) + 1]
    typed = (mark for v in upto for mark in _MARKS[v] if mark.dtype is not None)
    return [mark.branch for mark in typed if mark.branch in branches and not mark.on(branches)]


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def detect_version(branches: Mapping[str, Branch]) -> str:
    """Tell the NanoAOD version that branches belong to, or the nearest of `VERSIONS`; see `describe_version`.

    Returns
    -------
    str
        The oldest of `VERSIONS` if there is no mark of any.
    """
    return describe_version(branches).version or VERSIONS[0]
