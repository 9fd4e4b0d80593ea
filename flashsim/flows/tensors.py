"""Arrays of a trained network: to and from torch, and against its architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import nn

    from flashsim.flows.protocol import Tensors

__all__ = ["arrays_of", "check_names", "check_shapes", "fill", "is_single", "parameters_of"]

Module = TypeVar("Module", bound="nn.Module")


def arrays_of(module: nn.Module) -> Tensors:
    """Copy the state of a torch module."""
    state = module.state_dict().items()
    return {name: tensor.detach().cpu().contiguous().numpy().copy() for name, tensor in state}


def fill(module: Module, tensors: Tensors) -> Module:
    """Give a torch module these tensors, their precision, and evaluation mode."""
    import torch  # noqa: PLC0415  # sampling on a CPU does without

    floating = next((t.dtype for t in tensors.values() if np.issubdtype(t.dtype, np.floating)), None)
    if floating is not None:
        module.to(torch.from_numpy(np.empty(0, floating)).dtype)
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
    return module.eval()


def parameters_of(tensors: Tensors) -> int:
    """Count trained parameters: all but whole numbers, such as permutations."""
    return sum(array.size for array in tensors.values() if np.issubdtype(array.dtype, np.floating))


def is_single(tensors: Tensors) -> bool:
    """Whether all weights are in single precision."""
    return all(array.dtype == np.float32 for array in tensors.values() if array.dtype.kind == "f")


def check_names(architecture: Mapping[str, Any], names: Collection[str]) -> None:
    """See that an architecture has these entries and no others.

    Raises
    ------
    ValueError
        If it has not.
    """
    if architecture.keys() != set(names):
        wrong = min(architecture.keys() ^ set(names))
        msg = (
            f"the architecture {'has the unknown' if wrong in architecture else 'lacks the'} entry '{wrong}'"
        )
        raise ValueError(msg)


def check_shapes(tensors: Tensors, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """See that tensors belong to an architecture.

    Raises
    ------
    ValueError
        If one is missing, or there is one too many, or one of another shape.
    """
    if missing := shapes.keys() - tensors.keys():
        msg = f"the tensor {min(missing)} is missing"
        raise ValueError(msg)
    if unknown := tensors.keys() - shapes.keys():
        msg = f"the tensor {min(unknown)} belongs to no such architecture"
        raise ValueError(msg)
    for name, shape in shapes.items():
        if (found := tensors[name].shape) != shape:
            msg = f"the tensor {name} has shape {found}, its architecture needs {shape}"
            raise ValueError(msg)
