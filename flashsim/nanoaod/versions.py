"""Telling the NanoAOD version of a file from its branches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flashsim.declarations.objects import NANOAOD_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flashsim.nanoaod.branch import Branch

__all__ = ["VERSIONS", "detect_version", "marked_version"]


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


def detect_version(branches: Mapping[str, Branch]) -> str:
    """Tell the NanoAOD version that branches belong to, or the nearest of `VERSIONS`.

    Parameters
    ----------
    branches
        Branches of the ``Events`` tree, of full NanoAOD, of a skim, or gen level only.

    Returns
    -------
    str
        The newest of `VERSIONS` of which there is any mark; the oldest if there is none.

    Notes
    -----
    The marks were found by comparing central NanoAOD files of each version. Versions in between are told
    as a neighbour: v8 as v9, Run 3 scouting as v12.
    """
    return marked_version(branches) or VERSIONS[0]


def marked_version(branches: Mapping[str, Branch]) -> str | None:
    """Tell the newest of `VERSIONS` of which branches have any mark; none if they have none.

    Parameters
    ----------
    branches
        As for `detect_version`.
    """
    marked = (v for v in reversed(VERSIONS) if any(mark.on(branches) for mark in _MARKS[v]))
    return next(marked, None)
