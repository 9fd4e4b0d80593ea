"""A trained tagger: a small network, what it reads, and the scores that are made of its output."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from flashsim.learning.perceptron import Perceptron
from flashsim.models.model_file import ModelFormat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.flows.protocol import Tensors

    Floats = NDArray[np.float64]
    Features = Mapping[str, NDArray[Any]]

__all__ = ["FORMAT", "Score", "Tagger", "load_taggers", "matrix", "signed_log"]

FORMAT = ModelFormat("flashsim_tagger", (1,), "tagger", "python -m benchmarks.taggers train")

_REACH = 6.0  # widths from the centre: beyond, a network has seen too little
_SCALES = ("centre", "width")


@dataclass(frozen=True)
class Score:
    """A field of NanoAOD that is made of a network's outputs.

    Parameters
    ----------
    over, under
        Outputs: the score is of the logarithm of (sum of `over`) / (sum of `under`); with nothing under it,
        the output is that logarithm.
    link
        What is stored: ``share``, over / (over + under), stretched from `low` to `high`; ``exp``, the ratio.
    low, high
        Least and largest value of a share.
    inside
        Least and largest value of features, by name, for which there is a score.
    outside
        What is stored elsewhere.
    points
        By name of a working point: least score, or several, of which the number that are passed is stored.
    bits
        Numbers of passed points are stored as bits: 0, 1, 3, 7, ...
    """

    over: tuple[str, ...]
    under: tuple[str, ...] = ()
    link: str = "share"
    low: float = 0.0
    high: float = 1.0
    inside: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    outside: float = -1.0
    points: Mapping[str, float | Sequence[float]] = field(default_factory=dict)
    bits: bool = False

    def logarithm(self, logits: Mapping[str, Floats]) -> Floats:
        """Logarithm of the ratio, shape (N,)."""
        return _log_sum(logits, self.over) - (_log_sum(logits, self.under) if self.under else 0.0)

    def has_one(self, features: Features) -> NDArray[np.bool_]:
        """Whether objects have a score, shape (N,)."""
        limits = ((features[name], *limits) for name, limits in self.inside.items())
        return np.all([(x >= least) & (x <= most) for x, least, most in limits], axis=0)

    def stored(self, logits: Mapping[str, Floats], features: Features) -> Floats:
        """Values as NanoAOD stores them, shape (N,)."""
        ratio = np.clip(self.logarithm(logits), -30.0, 30.0)
        share = self.low + (self.high - self.low) / (1.0 + np.exp(-ratio))
        return np.where(self.has_one(features), np.exp(ratio) if self.link == "exp" else share, self.outside)

    def passed(self, stored: Floats) -> dict[str, NDArray[Any]]:
        """Working points by name, shape (N,): bool, or the number of them."""
        columns: dict[str, NDArray[Any]] = {}
        for name, least in self.points.items():
            if isinstance(least, float | int):
                columns[name] = stored >= least
            else:
                number = np.searchsorted(np.asarray(least), stored, side="right")
                columns[name] = (2**number - 1 if self.bits else number).astype(np.uint8)
        return columns


def _log_sum(logits: Mapping[str, Floats], names: tuple[str, ...]) -> Floats:
    return np.logaddexp.reduce([logits[name] for name in names], axis=0)


@dataclass(frozen=True, eq=False)
class Tagger:
    """A network that tells classes of objects apart, or estimates quantities.

    Parameters
    ----------
    collections
        Whose objects it scores; it is trained on those of the first.
    inputs
        Features as `matrix` names them.
    outputs
        Names of classes or quantities.
    network
        Its outputs are logits of classes, or quantities.
    centre, width
        Of each input, shape (inputs,): the network sees (value - centre) / width.
    scores
        By field of NanoAOD.
    """

    collections: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    network: Perceptron
    centre: NDArray[np.float32]
    width: NDArray[np.float32]
    scores: Mapping[str, Score]

    def logits(self, features: Features) -> dict[str, Floats]:
        """Output of the network by name, shape (N,) each, of features by name."""
        found = self.network.logits(self.scaled(features))
        return dict(zip(self.outputs, found.T, strict=True))

    def scaled(self, features: Features) -> NDArray[np.float32]:
        """Give what the network sees, shape (N, inputs)."""
        rows = (matrix(features, self.inputs) - self.centre) / self.width
        return np.clip(rows, -_REACH, _REACH, dtype=np.float32)

    def columns(self, features: Features) -> dict[str, NDArray[Any]]:
        """Scores and working points by field, shape (N,) each."""
        logits = self.logits(features)
        columns: dict[str, NDArray[Any]] = {}
        for name, score in self.scores.items():
            columns[name] = score.stored(logits, features)
            columns |= score.passed(columns[name])
        return columns

    def write(self, path: Path) -> None:
        """Write it to a file, in place of one that is there."""
        header = {
            "collections": self.collections,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "architecture": self.network.architecture,
            "scores": {name: asdict(score) for name, score in self.scores.items()},
        }
        scales = {"centre": self.centre, "width": self.width}
        FORMAT.write(path, header, {**self.network.tensors, **scales}, force=True)


def matrix(features: Features, names: Sequence[str]) -> NDArray[np.float32]:
    """Features as rows, shape (N, names); what is not finite is 0.

    A name may begin with ``abs`` or ``log``: the magnitude, or the logarithm of the size with its sign, which
    is linear near 0.
    """
    columns = [_column(features, name) for name in names]
    return np.nan_to_num(np.stack(columns, axis=1), copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _column(features: Features, name: str) -> NDArray[np.float32]:
    how, _, rest = name.rpartition(" ")
    values = np.asarray(features[rest], dtype=np.float32)
    if how == "abs":
        return np.abs(values)
    return signed_log(values) if how == "log" else values


def signed_log(values: NDArray[Any]) -> NDArray[Any]:
    """Logarithm of a size with its sign, linear near 0."""
    return np.copysign(np.log1p(np.abs(values)), values)


def load_taggers(folder: Path) -> dict[str, list[Tagger]]:
    """Load the taggers of a folder, by collection.

    Raises
    ------
    ModelFileError
        If a file is damaged.
    """
    found: dict[str, list[Tagger]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tagger = FORMAT.load(path, _tagger)
        for name in tagger.collections:
            found.setdefault(name, []).append(tagger)
    return found


def _tagger(header: dict[str, Any], tensors: Tensors, _: str) -> Tagger:
    weights = {name: tensor for name, tensor in tensors.items() if name not in _SCALES}
    return Tagger(
        collections=tuple(header["collections"]),
        inputs=tuple(header["inputs"]),
        outputs=tuple(header["outputs"]),
        network=Perceptron(header["architecture"], weights),
        centre=tensors["centre"],
        width=tensors["width"],
        scores={name: Score(**score) for name, score in header["scores"].items()},
    )
