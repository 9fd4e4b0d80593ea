"""A trained flow as model files hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flashsim.flows.kinds import is_own, kind_of
from flashsim.flows.packing import pack, unpack
from flashsim.flows.tensors import (
    arrays_of,
    check_shapes,
    check_sizes,
    check_types,
    fill,
    parameters_of,
)

if TYPE_CHECKING:
    from flashsim.flows.module import FlowModule
    from flashsim.flows.protocol import Architecture, FlowSampler, Tensors

__all__ = ["Flow"]


@dataclass(frozen=True, eq=False)
class Flow:
    """A trained flow: its kind, architecture and tensors.

    Parameters
    ----------
    kind
        A name in `flashsim.flows.kinds`.
    architecture
        See `flashsim.flows.protocol`.
    tensors
        Arrays by name.

    Raises
    ------
    ValueError
        If there is no such kind, or the tensors do not belong to the architecture or are not finite.
    """

    kind: str
    architecture: Architecture
    tensors: Tensors

    def __post_init__(self) -> None:
        kind = kind_of(self.kind)
        check_sizes(self.architecture, self.tensors)
        check_shapes(self.tensors, kind.shapes(self.architecture))
        if is_own(self.kind):  # other packages check the tensors of their own kinds
            check_types(self.tensors)

    @classmethod
    def of(cls, kind: str, architecture: Architecture, module: FlowModule) -> Flow:
        """Copy a module of a kind as it is now; the module is one of the architecture."""
        return cls(kind, dict(architecture), arrays_of(module))

    @classmethod
    def of_packed(cls, kind: str, architecture: Architecture, packed: Tensors) -> Flow:
        """Give the flow of `packed` tensors, with zeros as the weights of absent connections.

        Raises
        ------
        ValueError
            As the class, and if the tensors are not packed.
        """
        return cls(kind, architecture, unpack(kind_of(kind), architecture, packed))

    def packed(self) -> Tensors:
        """Tensors without the weights that nothing depends on, see `flashsim.flows.packing`."""
        return pack(kind_of(self.kind), self.architecture, self.tensors)

    @property
    def features(self) -> int:
        """Number of variables D."""
        return int(self.architecture["features"])

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return parameters_of(self.tensors)

    def module(self) -> FlowModule:
        """Give a torch module with these weights, on the CPU and in evaluation mode."""
        return fill(kind_of(self.kind).module(self.architecture), self.tensors)

    def sampler(self, device: str = "cpu") -> FlowSampler:
        """Give what maps noise to variables; on the CPU without torch."""
        return kind_of(self.kind).sampler(self.architecture, self.tensors, device)
