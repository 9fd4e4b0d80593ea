"""The gen-level view of a chunk of events: the collections that a declaration names.

Training and generation both call `build_gen_view`, so what a network is given cannot differ between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.declarations.gen_collections import GenCollection, GenView, StatusFlag
from flashsim.events.ancestry import lepton_origin, photon_origin
from flashsim.events.collection import Collection, flat_column
from flashsim.events.neighbours import jets_that_are_leptons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import awkward as ak
    from numpy.typing import NDArray

__all__ = ["build_gen_view", "gen_view_branches"]

_COMPUTED: dict[str, tuple[str, ...]] = {
    "index": (),
    "charge": ("pdgId",),
    "origin": ("pdgId", "statusFlags", "genPartIdxMother"),
    "photonOrigin": ("pdgId", "statusFlags"),
}
"""Fields that NanoAOD does not have, with the fields that they are computed from."""


def gen_view_branches(view: GenView) -> list[str]:
    """Names of the NanoAOD branches that a gen view reads, sorted."""
    return sorted({_branch(c, field) for c in view.collections.values() for field in _fields_read(c)})


def _branch(collection: GenCollection, field: str) -> str:
    return field if collection.branch == "Event" else f"{collection.branch}_{field}"


def _fields_read(collection: GenCollection) -> set[str]:
    fields: set[str] = set()
    for field in collection.fields:
        fields.update(_COMPUTED.get(field, (field,)))
    if collection.abs_pdg_id:
        fields.add("pdgId")
    if collection.status:
        fields.add("status")
    if collection.all_flags or collection.any_flags:
        fields.add("statusFlags")
    return fields


def build_gen_view(view: GenView, arrays: Mapping[str, ak.Array]) -> dict[str, Collection]:
    """Build every collection of the view.

    Parameters
    ----------
    view
        The declaration.
    arrays
        Jagged branches of a chunk by name, at least `gen_view_branches`.

    Returns
    -------
    Collections by name, fields as declared; floating-point columns in double precision.
    """
    built: dict[str, Collection] = {}
    for name in _in_order_of_cleaning(view):
        built[name] = _build(view.collections[name], arrays, built)
    return built


def _in_order_of_cleaning(view: GenView) -> list[str]:
    plain = [name for name, c in view.collections.items() if c.clean is None]
    return plain + [name for name, c in view.collections.items() if c.clean is not None]


def _build(
    declared: GenCollection, arrays: Mapping[str, ak.Array], built: Mapping[str, Collection]
) -> Collection:
    if declared.branch == "Event":
        return _build_event(declared, arrays)
    raw: dict[str, NDArray[Any]] = {}
    for field in sorted(_fields_read(declared)):
        offsets, values = flat_column(arrays[f"{declared.branch}_{field}"])
        raw[field] = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
    computed: dict[str, Callable[[], NDArray[Any]]] = {
        "index": lambda: Collection(offsets, {}).local_index,
        "charge": lambda: -np.sign(raw["pdgId"]),
        "origin": lambda: lepton_origin(offsets, raw["pdgId"], raw["statusFlags"], raw["genPartIdxMother"]),
        "photonOrigin": lambda: photon_origin(raw["pdgId"], raw["statusFlags"]),
    }
    columns = {field: computed[field]() if field in computed else raw[field] for field in declared.fields}
    return Collection(offsets, columns).select(_selected(declared, offsets, raw, built))


def _build_event(declared: GenCollection, arrays: Mapping[str, ak.Array]) -> Collection:
    """One object an event."""
    events = len(arrays["event"])
    values = {field: np.asarray(arrays[field]) for field in declared.fields if field != "index"}
    columns = {f: v.astype(np.float64 if v.dtype.kind == "f" else np.int64) for f, v in values.items()}
    index = np.zeros(events, dtype=np.int64)
    return Collection.of_counts(np.ones(events, dtype=np.int64), columns | {"index": index})


def _selected(
    declared: GenCollection,
    offsets: NDArray[np.int64],
    raw: Mapping[str, NDArray[Any]],
    built: Mapping[str, Collection],
) -> NDArray[np.bool_]:
    keep = np.asarray(raw["pt"] >= declared.min_pt)
    if declared.max_abs_eta is not None:
        keep &= np.abs(raw["eta"]) < declared.max_abs_eta
    if declared.abs_pdg_id:
        keep &= np.isin(np.abs(raw["pdgId"]), declared.abs_pdg_id)
    if declared.status:
        keep &= np.isin(raw["status"], declared.status)
    for flag in declared.all_flags:
        keep &= (raw["statusFlags"] & _bit(flag)) != 0
    if declared.any_flags:
        mask = sum(_bit(flag) for flag in declared.any_flags)
        keep &= (raw["statusFlags"] & mask) != 0
    if declared.clean is not None:
        leptons = built[declared.clean.of]
        keep &= ~jets_that_are_leptons(
            (offsets, raw["eta"], raw["phi"]),
            raw["pt"],
            leptons.directions,
            leptons["pt"],
            cone=declared.clean.cone,
            min_share=declared.clean.min_share,
        )
    return keep


def _bit(flag: str) -> int:
    return int(StatusFlag[flag])
