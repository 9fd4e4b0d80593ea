"""Arrays of a trained network: to and from torch, and against its architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import nn

    from flashsim.flows.protocol import Tensors

__all__ = [
    "arrays_of",
    "check_names",
    "check_shapes",
    "check_sizes",
    "check_types",
    "fill",
    "is_single",
    "parameters_of",
]

Module = TypeVar("Module", bound="nn.Module")

_REPEATS = ("layers", "depth", "blocks")
"""Sizes that say how many tensors there are; each of the others is a side of one, or less."""
_PERMUTATION = "_permutation"


def arrays_of(module: nn.Module) -> Tensors:
    """Copy the state of a torch module."""
    state = module.state_dict().items()
    return {name: tensor.detach().cpu().contiguous().numpy().copy() for name, tensor in state}


def fill(module: Module, tensors: Tensors) -> Module:
    """Give a torch module these tensors, their precision, and evaluation mode."""
    import torch  # noqa: PLC0415  # sampling on a CPU does without

    for name, tensor in module.state_dict().items():
        # Loading converts: whole numbers in place of weights would be taken for weights.
        if name in tensors and tensor.is_floating_point() != (tensors[name].dtype.kind == "f"):
            msg = f"the tensor {name} is of type {tensors[name].dtype}, its network needs {tensor.dtype}"
            raise ValueError(msg)
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


def check_sizes(architecture: Mapping[str, Any], tensors: Tensors) -> None:
    """See that no size of an architecture is beyond what its tensors hold, before anything is built by it.

    Parameters
    ----------
    architecture
        Sizes and settings by name.
    tensors
        Arrays by name.

    Raises
    ------
    ValueError
        If one is.
    """
    held = sum(array.size for array in tensors.values())
    for name, value in architecture.items():
        if name == "seed" or type(value) is not int:
            continue
        most, what = (len(tensors), "tensors") if name in _REPEATS else (held, "numbers")
        if not 0 <= value <= most:
            msg = f"the architecture has {name} {value}, for which the {most} {what} of the file are too few"
            raise ValueError(msg if value >= 0 else f"the architecture has {name} {value}")


def check_shapes(tensors: Tensors, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """See that tensors belong to an architecture, and that every number in them is finite.

    Raises
    ------
    ValueError
        If one is missing, or there is one too many, or one of another shape, with NaN or infinity in it, or
        a permutation that is none.
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
    for name, array in tensors.items():
        if name.endswith(_PERMUTATION) and not np.array_equal(np.sort(array), np.arange(len(array))):
            msg = f"the tensor {name} does not hold each index once, as a permutation does"
            raise ValueError(msg)
        if array.dtype.kind == "f" and (bad := int(np.count_nonzero(~np.isfinite(array)))):
            msg = f"the tensor {name} has {bad} of {array.size} numbers that are NaN or infinite"
            raise ValueError(msg)


def check_types(tensors: Tensors) -> None:
    """See that all weights are in single or all in double precision, and permutations whole numbers.

    Raises
    ------
    ValueError
        If they are not.
    """
    expected = np.dtype(np.float32)
    for name, array in tensors.items():
        if name.endswith(_PERMUTATION):
            wrong = array.dtype != np.int64
        else:
            wrong = array.dtype not in {np.dtype(np.float32), np.dtype(np.float64)}
            expected = array.dtype
        if wrong:
            needed = "int64" if name.endswith(_PERMUTATION) else "float32 or float64"
            msg = f"the tensor {name} is of type {array.dtype}, expected {needed}"
            raise ValueError(msg)
    if any(a.dtype != expected for n, a in tensors.items() if not n.endswith(_PERMUTATION)):
        msg = "the tensors are of single and of double precision, expected one precision"
        raise ValueError(msg)
