"""What a NanoAOD branch is, apart from its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Branch", "Branches"]


@dataclass(frozen=True)
class Branch:
    """One branch of a NanoAOD tree.

    Parameters
    ----------
    name
        Full branch name, such as ``Jet_pt``, ``LHEPdfWeight`` or ``run``.
    dtype
        Element type in native byte order, such as ``np.dtype("float32")``.
    collection
        Name of the collection whose counter ``n{collection}`` gives the length per event (``Jet``,
        ``LHEPdfWeight``); ``None`` for one value per event.
    title
        The documentation string that NanoAOD stores as the branch title; may be empty.
    """

    name: str
    dtype: np.dtype
    collection: str | None = None
    title: str = ""

    @property
    def field(self) -> str:
        """Name inside the collection: ``pt`` of ``Jet_pt``; empty for ``LHEPdfWeight`` itself."""
        if self.collection is None or self.name == self.collection:
            return ""
        return self.name.removeprefix(f"{self.collection}_")

    @property
    def jagged(self) -> bool:
        """Whether the branch has a variable number of values per event."""
        return self.collection is not None


class Branches(Protocol):
    """Events that have branches, in a file or in memory."""

    path: str
    """What messages call them."""
    branches: dict[str, Branch]
    """Under their flat names, counters left out."""
    counter_titles: dict[str, str]
    """Description of each collection, where there is one."""
    unsupported: dict[str, str]
    """What branches are that NanoAOD does not have, in words, by name."""

    def has(self, name: str) -> bool:
        """Whether they have a branch of this name."""

    @property
    def trees(self) -> tuple[str, ...]:
        """Names of the trees beside the events that can be copied."""

    @property
    def other_objects(self) -> tuple[str, ...]:
        """Names of what cannot be copied, apart from what CMS and this package keep of a file's making."""
