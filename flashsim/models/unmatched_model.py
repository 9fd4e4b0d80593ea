"""What a model file holds of the unmatched objects of one source, and of those of all sources together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flashsim.flows import Flow
    from flashsim.learning.perceptron import Perceptron
    from flashsim.transforms.codec import ConditioningCodec, TargetCodec
    from flashsim.transforms.phase_space import PhaseSpace

__all__ = ["PlacedModel", "UnmatchedModel", "new_name", "of_present_format"]


@dataclass(frozen=True)
class UnmatchedModel:
    """Unmatched objects of one source.

    Parameters
    ----------
    conditioning
        Codec of the conditioning of the source's objects.
    count
        Network: conditioning to logits of 0, 1, ..., max_count unmatched objects of one of them.
    targets, flow
        Codec and flow of the unmatched objects' targets, or of their places only, see
        `flashsim.declarations.unmatched.Placed`; none where training had too few to learn from, and then the
        count is always zero.
    phase_space
        Where the conditioning of the training's source objects lay; none if that is not known.
    """

    conditioning: ConditioningCodec
    count: Perceptron
    targets: TargetCodec | None
    flow: Flow | None
    phase_space: PhaseSpace | None = None

    def networks(self, source: str) -> dict[str, Perceptron | Flow | None]:
        """Networks by the prefix of their tensors."""
        return {f"unmatched.{source}.count": self.count, f"unmatched.{source}.flow": self.flow}

    def fitted(self) -> dict[str, Any]:
        """JSON form of what was fitted besides networks."""
        return {
            "conditioning": self.conditioning.to_json(),
            "targets": None if self.targets is None else [t.to_json() for t in self.targets.transforms],
            "domain": None if self.phase_space is None else self.phase_space.to_json(),
        }


@dataclass(frozen=True)
class PlacedModel:
    """What unmatched objects of all sources are, given their places.

    Parameters
    ----------
    conditioning
        Codec of what is around the places.
    targets, flow
        Codec and flow of all targets, those of the place itself among them, which nothing is drawn for.
    phase_space
        Where the conditioning of the training's unmatched objects lay.
    """

    conditioning: ConditioningCodec
    targets: TargetCodec
    flow: Flow
    phase_space: PhaseSpace | None = None

    def fitted(self) -> dict[str, Any]:
        """JSON form of what was fitted besides networks."""
        return {
            "conditioning": self.conditioning.to_json(),
            "targets": [t.to_json() for t in self.targets.transforms],
            "domain": None if self.phase_space is None else self.phase_space.to_json(),
        }


def of_present_format(header: dict[str, Any]) -> dict[str, Any]:
    """Header in the present format: up to version 3 the only source was the event, and had another name."""
    declaration = dict(header["declaration"])
    if header["format_version"] >= 4 or "fakes" not in declaration:
        return header
    sources, unmatched = [], {}
    if (declared := declaration.pop("fakes")) is not None:
        sources = [{"name": "event", "source": "event", **declared}]
        of_event = {name: header.get(f"fake_{name}") for name in ("conditioning", "targets", "domain")}
        unmatched = {"event": of_event}
    provenance = dict(header["provenance"])
    if "fakes" in provenance:
        provenance["unmatched"] = {"event": provenance.pop("fakes")}
    if isinstance(losses := provenance.get("losses"), dict):
        named = {"fake_count": "unmatched_event_count", "fake_flow": "unmatched_event_flow"}
        provenance["losses"] = {named.get(name, name): loss for name, loss in losses.items()}
    architectures = {new_name(name): sides for name, sides in header["architectures"].items()}
    return header | {
        "declaration": declaration | {"unmatched": sources},
        "unmatched": unmatched,
        "architectures": architectures,
        "provenance": provenance,
    }


def new_name(name: str) -> str:
    """Name in the present format of a network, or of a tensor, of a file up to version 3."""
    return f"unmatched.event.{name.removeprefix('fakes.')}" if name.startswith("fakes.") else name
