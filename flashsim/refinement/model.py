"""One file a refiner: weights as safetensors, the recipe and all else as a JSON header. Never pickle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from flashsim.declarations.refinement import RefinerRecipe
from flashsim.flows.tensors import arrays_of, check_shapes, check_sizes, fill
from flashsim.models.model_file import ModelFormat
from flashsim.refinement.network import Refiner

if TYPE_CHECKING:
    from pathlib import Path

    from flashsim.flows.protocol import Tensors
    from flashsim.refinement.mmd import MixtureKernel

__all__ = ["FORMAT_VERSION", "RefinerModel", "kernel_form"]

FORMAT_VERSION = 3
_FORMAT = ModelFormat("flashsim_refiner", (FORMAT_VERSION,), "refiner", "flashsim refine train")
_LIMITS = ("value_low", "value_high", "condition_low", "condition_high")
"""Tensors that may be infinite."""


@dataclass(frozen=True)
class RefinerModel:
    """Everything that refines one object.

    Parameters
    ----------
    recipe
        What is refined, and how it was trained.
    network
        The refiner.
    kernel
        Bandwidths of the discrepancy that it was trained with, see `kernel_form`.
    provenance
        Inputs, losses, versions, wall time: JSON content.
    digest
        SHA-256 of the file that the model was read from; empty for a new one.
    """

    recipe: RefinerRecipe
    network: Refiner
    kernel: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def save(self, path: Path, *, force: bool = False) -> None:
        """Write the model file; it appears complete or not at all.

        Raises
        ------
        OutputFileError
            If it exists and `force` is not set, or cannot be written.
        """
        header = {
            "recipe": self.recipe.model_dump(mode="json"),
            "kernel": self.kernel,
            "provenance": self.provenance,
        }
        _FORMAT.write(path, header, arrays_of(self.network), force=force)

    @classmethod
    def load(cls, path: Path) -> RefinerModel:
        """Read a model file, with the network on the CPU and in evaluation mode.

        Raises
        ------
        ModelFileError
            If it is not there, is no refiner, of another format version, or damaged.
        """
        return _FORMAT.load(path, cls._build)

    @classmethod
    def _build(cls, header: dict[str, Any], tensors: Tensors, digest: str) -> RefinerModel:
        recipe = RefinerRecipe.model_validate(header["recipe"])
        check_sizes(recipe.network.model_dump(), tensors)
        with torch.device("meta"):  # no memory for its weights
            state = Refiner(recipe).state_dict()
        # A column without values in training has no limits.
        finite = {n: np.where(np.isinf(a), 0.0, a) if n in _LIMITS else a for n, a in tensors.items()}
        check_shapes(finite, {name: tuple(tensor.shape) for name, tensor in state.items()})
        kernel, provenance = header["kernel"], header["provenance"]
        if not (isinstance(kernel, dict) and isinstance(provenance, dict)):
            msg = "expected mappings as kernel and provenance"
            raise TypeError(msg)
        network = fill(Refiner(recipe), tensors)
        return cls(recipe, network, kernel, provenance, digest)


def kernel_form(kernel: MixtureKernel) -> dict[str, Any]:
    """JSON form of a kernel: scales of its columns, bandwidth, widths."""
    return {
        "scales": kernel.scales.tolist(),
        "bandwidth": float(kernel.bandwidth),
        "widths": list(kernel.widths),
    }
