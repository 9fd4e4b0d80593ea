"""How CMS's scores are distributed: quantiles by groups of objects, from files of its full simulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import uproot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[Any]]

__all__ = ["FILE", "ORIGINS", "PROBABILITIES", "Anchors", "groups", "measure", "read_anchors", "read_columns"]

FILE = Path(__file__).with_name("quantiles.json")

PROBABILITIES = (0.02, 0.05, 0.16, 0.3, 0.5, 0.7, 0.84, 0.95, 0.98)

Anchors = dict[str, dict[str, list[float]]]
"""By score and group: number of objects, and the quantiles at `PROBABILITIES`."""

_FEWEST = 20
_MOST = 0.5  # of a jet's energy is the lepton's
_CENTRAL, _FORWARD = 2.4, 2.5
_JET_PT = ((15.0, 30.0), (30.0, 50.0), (50.0, np.inf))
_LEPTON_PT = ((0.0, 10.0), (10.0, 30.0), (30.0, np.inf))
ORIGINS: dict[str, dict[str, tuple[int, ...]]] = {
    "Muon": {"prompt": (1, 15), "heavy": (4, 5), "light": (0, 3)},
    "Electron": {"prompt": (1, 15), "heavy": (4, 5), "other": (0, 3, 22)},
    "Photon": {"prompt": (1,), "electron": (11, 13), "other": (0,)},
    "Tau": {"tau": (5,), "electron": (1, 3), "muon": (2, 4), "jet": (0,)},
}


def groups(collection: str, columns: Columns) -> dict[str, NDArray[np.bool_]]:
    """Objects of each group, shape (N,), by name.

    Parameters
    ----------
    collection
        Name of the collection.
    columns
        With pt and eta; of jets with chEmEF, muEF, hadronFlavour, partonFlavour and isMatched, of others with
        genPartFlav.
    """
    if collection in {"FatJet", "SubJet"}:
        return {"all": np.ones(len(columns["pt"]), dtype=np.bool_)}
    kinds = dict(_jet_kinds(columns)) if collection == "Jet" else dict(_origins(collection, columns))
    bins = _JET_PT if collection == "Jet" else _LEPTON_PT
    return {
        f"{kind} from {low:.0f} GeV": mask & (columns["pt"] >= low) & (columns["pt"] < high)
        for kind, mask in kinds.items()
        for low, high in bins
    }


def _jet_kinds(columns: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    central, forward = np.abs(columns["eta"]) < _CENTRAL, np.abs(columns["eta"]) > _FORWARD
    hadron, parton, matched = columns["hadronFlavour"], np.abs(columns["partonFlavour"]), columns["isMatched"]
    lepton = matched & (hadron == 0) & ((columns["chEmEF"] > _MOST) | (columns["muEF"] > _MOST))
    light = matched & (hadron == 0) & ~lepton
    yield "b", central & matched & (hadron == 5)  # PDG numbers
    yield "c", central & matched & (hadron == 4)
    yield "uds", central & light & np.isin(parton, (1, 2, 3))
    yield "g", central & light & (parton == 21)
    yield "lepton", central & lepton
    yield "pileup", central & ~matched
    yield "forward", forward & matched
    yield "forward pileup", forward & ~matched


def _origins(collection: str, columns: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    for name, codes in ORIGINS[collection].items():
        yield name, np.isin(columns["genPartFlav"], codes)


def measure(
    files: Iterable[Path],
    scores: Mapping[str, tuple[str, float, float]],
    points: Mapping[str, tuple[str, str]],
) -> Anchors:
    """Measure the distributions of scores.

    Parameters
    ----------
    files
        NanoAOD of CMS; a score is taken from those that have it.
    scores
        By name: the collection, the value that stands for no score, and the least one that is one.
    points
        Working points by name: the collection, and how the names of groups begin whose share that passes is
        measured, together.
    """
    passed: dict[str, list[NDArray[Any]]] = {}
    found: dict[str, dict[str, list[NDArray[Any]]]] = {}
    for path in files:
        with uproot.open(path) as file:
            for collection in sorted({collection for collection, *_ in scores.values()}):
                columns = _read(file["Events"], collection)
                if not columns:
                    continue
                masks = groups(collection, columns)
                for name, (own, kind) in points.items():
                    if own == collection and name in columns:
                        chosen = np.any([mask for g, mask in masks.items() if g.startswith(kind)], axis=0)
                        passed.setdefault(name, []).append(columns[name][chosen])
                for name, (own, outside, least) in scores.items():
                    if own == collection and name in columns:
                        for group, mask in masks.items():
                            kept = mask & (columns[name] != outside) & (columns[name] >= least)
                            values = columns[name][kept]
                            found.setdefault(name, {}).setdefault(group, []).append(values)
    shares = {name: np.concatenate(parts) for name, parts in passed.items() if sum(map(len, parts))}
    return {name: {"share": [len(flags), float(np.mean(flags))]} for name, flags in shares.items()} | {
        name: {
            group: _quantiles(np.concatenate(parts))
            for group, parts in by_group.items()
            if sum(map(len, parts)) >= _FEWEST
        }
        for name, by_group in found.items()
    }


def _quantiles(values: NDArray[Any]) -> list[float]:
    return [len(values), *(float(f"{q:.5g}") for q in np.quantile(values, PROBABILITIES))]


def _read(tree: Any, collection: str) -> dict[str, NDArray[Any]]:
    prefix = f"{collection}_"
    names = [name for name in tree.keys() if name.startswith(prefix)]  # noqa: SIM118
    if f"{prefix}pt" not in names:
        return {}
    arrays = {name.removeprefix(prefix): tree[name].array() for name in names}
    columns = {name: np.asarray(ak.flatten(array)) for name, array in arrays.items()}
    if "genJetIdx" in columns:
        number = np.repeat(np.asarray(tree["nGenJet"].array()), np.asarray(ak.num(arrays["pt"])))
        columns["isMatched"] = (columns["genJetIdx"] >= 0) & (columns["genJetIdx"] < number)
    elif collection in ORIGINS and "genPartFlav" not in columns:
        return {}
    for tagger, old in (("btagDeepFlav", "btagDeepFlavC"), ("btagDeep", "btagDeepC")):
        if old in columns and f"{tagger}CvL" not in columns:
            b, c = columns[f"{tagger}B"], columns[old]
            columns[f"{tagger}CvL"] = np.where(b < 0, -1.0, c / np.maximum(1.0 - b, 1e-6))
            columns[f"{tagger}CvB"] = np.where(b < 0, -1.0, c / np.maximum(b + c, 1e-6))
    return columns


def read_columns(path: Path, collection: str) -> dict[str, NDArray[Any]]:
    """Read a collection of a NanoAOD file, flat; c taggers as NanoAOD v9 has them if it is an older one."""
    with uproot.open(path) as file:
        return _read(file["Events"], collection)


def read_anchors() -> dict[str, Anchors]:
    """Read what `measure` gave, by era."""
    content: dict[str, Anchors] = json.loads(FILE.read_text(encoding="utf-8"))
    return content
