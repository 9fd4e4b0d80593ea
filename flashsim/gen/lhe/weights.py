"""Weights of LHE events in the groups in which NanoAOD has them: scales, parton densities, reweighting.

Generators describe them in the head of the file, in ``<initrwgt>``, each in its own way: MadGraph before and
after 2.6, and POWHEG are known. As in CMS's GenWeightsTableProducer (CMSSW, PhysicsTools/NanoAOD) a weight is
written relative to the nominal one, scales are in order of muR and muF, and one set of parton densities is
written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from flashsim.errors import InputFileError
from flashsim.gen.lhe.event import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.gen.lhe.event import LHEEvent

__all__ = ["LHEWeights"]

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_BLOCK = re.compile(r"<initrwgt\b[^>]*>(.*?)</initrwgt\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(
    r"<weightgroup\b(?P<group>[^>]*)>|(?P<end></weightgroup\s*>)|<weight\b(?P<weight>[^>]*)>(?P<text>.*?)</weight\s*>",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"([\w.-]+)\s*=\s*([\"'])(.*?)\2", re.DOTALL)
_ID = re.compile(r"\bid\s*=\s*([\"\']).*?\1", re.IGNORECASE)
_MU_R = re.compile(rf"\b(?:mur|renscfact)\s*=\s*[\"']?{_NUMBER}", re.IGNORECASE)
_MU_F = re.compile(rf"\b(?:muf|facscfact)\s*=\s*[\"']?{_NUMBER}", re.IGNORECASE)
_PDF = re.compile(r"\b(?:lhapdf|pdf\s*set|pdf)\s*=\s*[\"']?(\d+)", re.IGNORECASE)
# Another functional form of the scale: not a factor of two.
_DYNAMIC = re.compile(r"\bdyn(?:_scale)?\s*=\s*[\"']?\s*(-?\d+)", re.IGNORECASE)
_REWEIGHTING = re.compile(r"reweight|^rwgt", re.IGNORECASE)


@dataclass(frozen=True)
class _Weight:
    """One weight as the head describes it."""

    id: str
    group: int
    group_name: str
    text: str
    mu_r: float | None
    mu_f: float | None
    pdf: int | None
    dynamic: bool

    @property
    def central(self) -> bool:
        return self.mu_r in {None, 1.0} and self.mu_f in {None, 1.0} and not self.dynamic

    @property
    def reweighting(self) -> bool:
        return bool(_REWEIGHTING.search(self.group_name) or self.id.lower().startswith("rwgt"))


@dataclass(frozen=True)
class LHEWeights:
    """Which weights of a file's events stand in which branch.

    Parameters
    ----------
    scale, pdf, reweighting
        Names of weights, in the order of the branch.
    titles
        Titles of the branches, which list them.
    all
        Names of all weights in the order of the head.
    left_out
        How many weights stand in no branch.
    """

    scale: tuple[str, ...] = ()
    pdf: tuple[str, ...] = ()
    reweighting: tuple[str, ...] = ()
    titles: dict[str, str] = field(default_factory=dict)
    all: tuple[str, ...] = ()
    left_out: int = 0

    @classmethod
    def of(cls, head: str, pdf_set: int) -> LHEWeights:
        """Read the description of the weights.

        Parameters
        ----------
        head
            Text before the first event.
        pdf_set
            LHAPDF number of the nominal parton densities; its set is the one that is written.
        """
        found = _described(head)
        reweighting = [one for one in found if one.reweighting]
        rest = [one for one in found if not one.reweighting]
        scale = _scales(rest)
        pdf = _one_set([one for one in rest if one not in scale], pdf_set)
        names = {
            "LHEScaleWeight": [_label(one) for one in scale],
            "LHEReweightingWeight": [one.id for one in reweighting],
        }
        titles = {
            "LHEScaleWeight": _listing(
                "LHE scale variation weights (w_var / w_nominal)", names["LHEScaleWeight"]
            ),
            "LHEPdfWeight": _pdf_title(pdf),
            "LHEReweightingWeight": _listing(
                "LHE weights of reweighting (w_var / w_nominal)", names["LHEReweightingWeight"]
            ),
        }
        return cls(
            scale=tuple(one.id for one in scale),
            pdf=tuple(one.id for one in pdf),
            reweighting=tuple(one.id for one in reweighting),
            titles={name: title for name, title in titles.items() if title},
            all=tuple(one.id for one in found),
            left_out=len(found) - len(scale) - len(pdf) - len(reweighting),
        )

    def branches(self, events: Sequence[LHEEvent], first: int, path: Path) -> dict[str, NDArray[np.float64]]:
        """Weights relative to the nominal one by branch, each of shape (events, weights).

        Parameters
        ----------
        events
            Some of the file.
        first
            Number of the first, for messages.
        path
            The file, for messages.

        Raises
        ------
        InputFileError
            If an event lacks a weight that the head describes.
        """
        groups = {
            "LHEScaleWeight": self.scale,
            "LHEPdfWeight": self.pdf,
            "LHEReweightingWeight": self.reweighting,
        }
        values = {name: np.ones((len(events), len(ids))) for name, ids in groups.items()}
        for row, event in enumerate(events):
            known = event.weights or dict(zip(self.all, event.unnamed, strict=False))
            for name, ids in groups.items():
                if missing := [one for one in ids if one not in known]:
                    msg = (
                        f"{path}: event {first + row} lacks the weight '{missing[0]}', which the file's head "
                        "describes; make the file again"
                    )
                    raise InputFileError(msg)
                # A ratio to nothing says nothing.
                if event.weight != 0.0:
                    values[name][row] = [known[one] / event.weight for one in ids]
                if not np.all(np.abs(values[name][row]) <= np.finfo(np.float32).max):
                    msg = (
                        f"{path}: event {first + row} has a weight too large for {name} (float32); correct it"
                    )
                    raise InputFileError(msg)
        return values


def _described(head: str) -> list[_Weight]:
    block = _BLOCK.search(head)
    if block is None:
        return []
    # Some write the marks of XML inside a text as entities.
    content = block[1].replace("&lt;", "<").replace("&gt;", ">")
    found: list[_Weight] = []
    group, group_name = 0, ""
    for tag in _TAG.finditer(content):
        if tag["group"] is not None:
            attributes = {name.lower(): value for name, _, value in _ATTRIBUTE.findall(tag["group"])}
            group, group_name = group + 1, attributes.get("name", attributes.get("type", ""))
        elif tag["end"]:
            group, group_name = group + 1, ""
        else:
            found.append(_weight(tag["weight"], tag["text"], group, group_name))
    return [one for one in found if one.id]


def _weight(tag: str, text: str, group: int, group_name: str) -> _Weight:
    attributes = {name.lower(): value for name, _, value in _ATTRIBUTE.findall(tag)}
    # The attributes are in no order, and stand beside or in place of the text.
    described = plain(f"{_ID.sub('', tag)} {text}")
    mu_r, mu_f, pdf = _MU_R.search(described), _MU_F.search(described), _PDF.search(described)
    dynamic = _DYNAMIC.search(described)
    return _Weight(
        id=attributes.get("id", "").strip(),
        group=group,
        group_name=group_name,
        text=" ".join(text.split()),
        mu_r=float(mu_r[1]) if mu_r else None,
        mu_f=float(mu_f[1]) if mu_f else None,
        pdf=int(pdf[1]) if pdf else None,
        dynamic=dynamic is not None and int(dynamic[1]) > 0,
    )


def _scales(found: list[_Weight]) -> list[_Weight]:
    """Variations of muR and muF: the first group in which they vary, in order of the two."""
    groups: dict[int, list[_Weight]] = {}
    for one in found:
        if one.mu_r is not None and one.mu_f is not None and not one.dynamic:
            groups.setdefault(one.group, []).append(one)
    for members in groups.values():
        # A group may hold the members of the set of parton densities as well, or the varied scales of each.
        sets = {one.pdf for one in members if not one.central}
        if sets:
            first = next(one.pdf for one in members if not one.central)
            own: dict[tuple[float, float], _Weight] = {}
            for one in members:
                if one.pdf == first:
                    own.setdefault(_factors(one), one)
            return [own[key] for key in sorted(own)]
    return []


def _factors(one: _Weight) -> tuple[float, float]:
    return (one.mu_r if one.mu_r is not None else 1.0, one.mu_f if one.mu_f is not None else 1.0)


def _one_set(found: list[_Weight], pdf_set: int) -> list[_Weight]:
    """Members of one set of parton densities: the nominal one, else the first that has several."""
    groups: dict[int, list[_Weight]] = {}
    for one in found:
        if one.pdf is not None and one.central:
            groups.setdefault(one.group, []).append(one)
    sets = [part for members in groups.values() for part in _runs_of_numbers(members)]
    several = [members for members in sets if len(members) > 1]
    for members in several:
        numbers = [one.pdf for one in members if one.pdf is not None]
        # The nominal member itself is often not among the variations.
        if min(numbers) - 1 <= pdf_set <= max(numbers):
            return members
    return several[0] if several else []


def _runs_of_numbers(members: list[_Weight]) -> list[list[_Weight]]:
    """Weights of a group apart by sets, whose members have consecutive LHAPDF numbers."""
    parts: list[list[_Weight]] = []
    for one in sorted(members, key=lambda one: one.pdf or 0):
        last = parts[-1][-1].pdf if parts else None
        if last is not None and one.pdf == last:
            continue
        if last is not None and one.pdf == last + 1:
            parts[-1].append(one)
        else:
            parts.append([one])
    return parts


def _label(one: _Weight) -> str:
    mu_r, mu_f = _factors(one)
    return f"muR={mu_r:g} muF={mu_f:g} (id {one.id})"


def _pdf_title(members: list[_Weight]) -> str:
    if not members:
        return ""
    return f"LHE pdf variation weights (w_var / w_nominal) for LHA IDs {members[0].pdf} - {members[-1].pdf}"


def _listing(text: str, labels: list[str]) -> str:
    return f"{text}; " + " ; ".join(f"[{k}] is {label}" for k, label in enumerate(labels)) if labels else ""
