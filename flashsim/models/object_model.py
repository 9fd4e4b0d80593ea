"""One file a simulated object: networks as safetensors, and a JSON header.

The header holds the object's declaration, the networks' architectures, and where the model comes from. One
more tensor, `FITTED`, holds the fitted codecs and phase spaces as compressed JSON: they are mostly numbers.
Of masked networks the weights that masks cut are left out. Nothing in the file is executed when it is read.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flashsim.declarations.conditioning import RECO
from flashsim.declarations.objects import ObjectDeclaration
from flashsim.flows import Flow
from flashsim.learning.perceptron import Perceptron
from flashsim.models.model_file import ModelFormat
from flashsim.models.packed_json import packed_json, unpacked_json
from flashsim.models.unmatched_model import PlacedModel, UnmatchedModel, new_name, of_present_format
from flashsim.transforms.codec import ConditioningCodec, TargetCodec
from flashsim.transforms.columns import QuantileNormal
from flashsim.transforms.phase_space import PhaseSpace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flashsim.declarations.conditioning import Conditioning
    from flashsim.declarations.objects import Target
    from flashsim.declarations.relations import ExactRelation
    from flashsim.declarations.unmatched import Placed, Unmatched
    from flashsim.flows.protocol import Tensors
    from flashsim.transforms.columns import QuantileForm

__all__ = ["FITTED", "FORMAT_VERSION", "ObjectModel", "declaration_of", "read_header"]

FORMAT_VERSION = 6
_FORMAT = ModelFormat("flashsim", (1, 2, 3, 4, 5, FORMAT_VERSION), "FlashSim model", "flashsim train")
"""Models of version 1 do not know the phase space of their training, those of 1 and 2 no kind of flow,
those up to 3 only the event as a source of unmatched objects, and those up to 4 no places of these.
Those up to 5 hold the weights that masks cut, too, and have in the header what is in `FITTED` now."""

FITTED = "fitted"
"""Name of the tensor of what was fitted to the training besides networks."""


@dataclass(frozen=True)
class ObjectModel:
    """Everything that simulates one object.

    Parameters
    ----------
    declaration
        The object, with the targets that the training had.
    nanoaod_version
        NanoAOD version of the training's inputs.
    conditioning
        Codec of the gen objects' conditioning.
    efficiency
        Network: conditioning to the logit of being reconstructed; none for what is always there.
    targets, flow
        Codec and flow of the reconstructed properties.
    unmatched
        Reconstructed objects without a gen object, by name of their source, as the declaration lists them.
    placed
        What these are, given their places; none where it is not declared, or there are none.
    phase_space
        Where the conditioning of the training's gen objects lay; none if that is not known.
    provenance
        Inputs, recipe, seed, metrics, versions, wall time: JSON content.
    digest
        SHA-256 of the file that the model was read from; empty for a new one.
    """

    declaration: ObjectDeclaration
    nanoaod_version: str
    conditioning: ConditioningCodec
    efficiency: Perceptron | None
    targets: TargetCodec
    flow: Flow
    unmatched: dict[str, UnmatchedModel]
    placed: PlacedModel | None = None
    phase_space: PhaseSpace | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    def networks(self) -> dict[str, Perceptron | Flow]:
        """Networks by the prefix of their tensors."""
        found: dict[str, Perceptron | Flow | None] = {
            "efficiency": self.efficiency,
            "flow": self.flow,
        }
        for name, unmatched in self.unmatched.items():
            found |= unmatched.networks(name)
        if self.placed is not None:
            found["placed.flow"] = self.placed.flow
        return {name: network for name, network in found.items() if network is not None}

    def parameters(self) -> dict[str, int]:
        """Count the trained parameters of each network."""
        return {name: network.parameters for name, network in self.networks().items()}

    def save(self, path: Path, *, force: bool = False) -> None:
        """Write the model file; it appears complete or not at all.

        Raises
        ------
        OutputFileError
            If it exists and `force` is not set, or cannot be written.
        """
        tensors = {
            f"{name}/{key}": tensor
            for name, network in self.networks().items()
            for key, tensor in (network.packed() if isinstance(network, Flow) else network.tensors).items()
        }
        tensors[FITTED] = packed_json(self.fitted())
        _FORMAT.write(path, self._header(), tensors, force=force)

    def _header(self) -> dict[str, Any]:
        return {
            "nanoaod_version": self.nanoaod_version,
            "declaration": self.declaration.model_dump(mode="json"),
            "architectures": {name: _architecture(network) for name, network in self.networks().items()},
            "provenance": self.provenance,
        }

    def fitted(self) -> dict[str, Any]:
        """JSON form of what was fitted besides networks: codecs and phase spaces."""
        return {
            "conditioning": self.conditioning.to_json(),
            "targets": [t.to_json() for t in self.targets.transforms],
            "domain": None if self.phase_space is None else self.phase_space.to_json(),
            "unmatched": {name: unmatched.fitted() for name, unmatched in self.unmatched.items()},
            "placed": None if self.placed is None else self.placed.fitted(),
        }

    @classmethod
    def load(cls, path: Path) -> ObjectModel:
        """Read a model file.

        Raises
        ------
        ModelFileError
            If it is no model file, of another format version, or damaged.
        """
        return _FORMAT.load(path, cls._build)

    @classmethod
    def _build(cls, header: dict[str, Any], tensors: Tensors, digest: str) -> ObjectModel:
        packed = header["format_version"] >= 6
        header = of_present_format(header)
        tensors = {new_name(name): tensor for name, tensor in tensors.items()}
        fitted = _fitted_of(tensors.pop(FITTED, None)) if packed else header
        declaration = declaration_of(header)
        architectures = header["architectures"]

        def state(name: str) -> Tensors:
            return {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}

        def perceptron(name: str) -> Perceptron:
            with _named(name):
                return Perceptron(architectures[name], state(name))

        def flow(name: str) -> Flow:
            architecture = dict(architectures[name])
            if (kind := architecture.pop("kind", None)) is None:
                # Before there were kinds; of these files the oldest do not name leading variables, either.
                kind, architecture = "spline_maf", {"leading": 0, **architecture}
            with _named(name):
                return (Flow.of_packed if packed else Flow)(kind, architecture, state(name))

        def unmatched(source: Unmatched) -> UnmatchedModel:
            kept, name = fitted["unmatched"][source.name], f"unmatched.{source.name}"
            drawn = kept["targets"] is not None
            related = source.related(declaration.source_targets())
            exact = source.exact(declaration.source_relations())
            return UnmatchedModel(
                conditioning=ConditioningCodec.from_json(kept["conditioning"]),
                count=perceptron(f"{name}.count"),
                targets=_target_codec(related, exact, kept["targets"]) if drawn else None,
                flow=flow(f"{name}.flow") if drawn else None,
                phase_space=_phase_space(kept.get("domain")),
            )

        def placed() -> PlacedModel | None:
            if declaration.placed is None or (kept := fitted["placed"]) is None:
                return None
            related = declaration.placed.related(declaration.targets)
            exact = declaration.placed.exact(declaration.relations)
            return PlacedModel(
                conditioning=ConditioningCodec.from_json(kept["conditioning"]),
                targets=_target_codec(related, exact, kept["targets"]),
                flow=flow("placed.flow"),
                phase_space=_phase_space(kept["domain"]),
            )

        version, provenance = header["nanoaod_version"], header["provenance"]
        if not (isinstance(version, str) and isinstance(provenance, dict)):
            msg = "expected a text as nanoaod_version and a mapping as provenance"
            raise TypeError(msg)
        model = cls(
            declaration=declaration,
            nanoaod_version=version,
            conditioning=ConditioningCodec.from_json(fitted["conditioning"]),
            efficiency=perceptron("efficiency") if declaration.per == "object" else None,
            targets=_target_codec(declaration.targets, declaration.relations, fitted["targets"]),
            flow=flow("flow"),
            unmatched={source.name: unmatched(source) for source in declaration.unmatched},
            placed=placed(),
            phase_space=_phase_space(fitted.get("domain")),
            provenance=provenance,
            digest=digest,
        )
        model._check_whole(tensors)
        return model

    def _check_whole(self, tensors: Tensors) -> None:
        """See that the parts fit each other and the declaration, and that no tensor is left over."""
        known = {f"{name}/{key}" for name, network in self.networks().items() for key in network.tensors}
        if left := tensors.keys() - known:
            msg = f"the tensor {min(left)} belongs to none of its networks"
            raise ValueError(msg)
        columns, targets = len(self.conditioning.transforms), self.targets.width
        _check_columns(self.conditioning, self.declaration.conditioning, self.phase_space)
        _check_sides("flow", (self.flow.architecture["context"], self.flow.features), (columns, targets))
        if self.efficiency is not None:
            sides = self.efficiency.architecture
            _check_sides("efficiency", (sides["inputs"], sides["outputs"]), (columns, 1))
        for source in self.declaration.unmatched:
            self._check_unmatched(source, self.unmatched[source.name])
        if self.declaration.placed is not None:
            self._check_placed(self.declaration.placed)

    def _check_placed(self, declared: Placed) -> None:
        if (model := self.placed) is None:
            if any(unmatched.flow is not None for unmatched in self.unmatched.values()):
                msg = "it makes unmatched objects, and lacks the network of what they are"
                raise ValueError(msg)
            return
        _check_columns(model.conditioning, declared.conditioning, model.phase_space)
        found = (model.flow.architecture["context"], model.flow.features)
        _check_sides(
            "flow of what is placed", found, (len(model.conditioning.transforms), model.targets.width)
        )

    def _check_unmatched(self, source: Unmatched, model: UnmatchedModel) -> None:
        columns, sides = len(model.conditioning.transforms), model.count.architecture
        _check_columns(model.conditioning, source.conditioning, model.phase_space)
        what = f"unmatched of {source.name}"
        _check_sides(f"count of {what}", (sides["inputs"], sides["outputs"]), (columns, source.max_count + 1))
        if model.flow is not None and model.targets is not None:
            found = (model.flow.architecture["context"], model.flow.features)
            _check_sides(f"flow of {what}", found, (columns, model.targets.width))


def declaration_of(header: dict[str, Any]) -> ObjectDeclaration:
    """Read the declaration in the header of a model file, also of an older one."""
    declaration = of_present_format(header)["declaration"]
    known = declaration["gen_view"]["collections"]

    def renamed(entry: dict[str, Any]) -> dict[str, Any]:
        # Before, simulated collections had no prefix.
        of = entry.get("of") or ""
        return entry if not of or of in known or of.startswith(RECO) else {**entry, "of": f"{RECO}{of}"}

    conditioning = [renamed(entry) for entry in declaration["conditioning"]]
    return ObjectDeclaration.model_validate({**declaration, "conditioning": conditioning})


def _fitted_of(packed: NDArray[Any] | None) -> dict[str, Any]:
    if packed is None:
        msg = f"the tensor {FITTED} is missing"
        raise ValueError(msg)
    with _named(FITTED):
        fitted: dict[str, Any] = unpacked_json(packed)
    return fitted


@contextlib.contextmanager
def _named(part: str) -> Iterator[None]:
    """Say of which part of the file an error is."""
    try:
        yield
    except ValueError as error:
        msg = f"{part}: {error}"
        raise ValueError(msg) from error


def _check_columns(
    codec: ConditioningCodec, declared: Sequence[Conditioning], phase_space: PhaseSpace | None
) -> None:
    """See that columns are scaled as they are declared, in the order that networks expect."""
    expected = [pair for entry in declared for pair in entry.columns().items()]
    found = [(name, transform.scale) for name, transform in codec.transforms.items()]
    if found != expected:
        wrong = next(iter([pair for pair in found if pair not in expected] or expected))
        msg = f"its conditioning does not fit its declaration at the column {wrong[0]}"
        raise ValueError(msg)
    if phase_space is not None and {n: a.scale for n, a in phase_space.axes.items()} != dict(found):
        msg = "its phase space has other columns or scales than its conditioning"
        raise ValueError(msg)


def _check_sides(name: str, found: tuple[int, int], expected: tuple[int, int]) -> None:
    if found != expected:
        msg = f"the {name} has inputs and outputs {found}, its declaration needs {expected}"
        raise ValueError(msg)


def _architecture(network: Perceptron | Flow) -> dict[str, Any]:
    return {**({"kind": network.kind} if isinstance(network, Flow) else {}), **network.architecture}


def _target_codec(
    targets: list[Target], relations: list[ExactRelation], forms: list[QuantileForm]
) -> TargetCodec:
    transforms = tuple(QuantileNormal.from_json(form) for form in forms)
    return TargetCodec(tuple(targets), transforms, tuple(relations))


def _phase_space(form: dict[str, Any] | None) -> PhaseSpace | None:
    return None if form is None else PhaseSpace.from_json(form)


def read_header(path: Path) -> dict[str, Any]:
    """Header of a model file, without its tensors.

    Raises
    ------
    ModelFileError
        If the file is missing, is no model file, or has another format version.
    """
    return _FORMAT.header(path)
