"""One file a refiner: weights as safetensors, the recipe and all else as a JSON header. Never pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from flashsim.declarations.refinement import RefinerRecipe
from flashsim.errors import ModelFileError
from flashsim.execution.whole_files import refuse_existing, write_whole
from flashsim.refinement.network import Refiner

if TYPE_CHECKING:
    from pathlib import Path

    from flashsim.refinement.mmd import MixtureKernel

__all__ = ["FORMAT_VERSION", "RefinerModel", "kernel_form"]

FORMAT_VERSION = 3
_KEY = "flashsim_refiner"


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
        refuse_existing(path, force=force)
        header = {
            "format_version": FORMAT_VERSION,
            "recipe": self.recipe.model_dump(mode="json"),
            "kernel": self.kernel,
            "provenance": self.provenance,
        }
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        write_whole(path, save(tensors, metadata={_KEY: json.dumps(header, allow_nan=False)}))

    @classmethod
    def load(cls, path: Path) -> RefinerModel:
        """Read a model file, with the network on the CPU and in evaluation mode.

        Raises
        ------
        ModelFileError
            If it is not there, is no refiner, of another format version, or damaged.
        """
        if not path.is_file():
            msg = f"{path}: there is no such model file"
            raise ModelFileError(msg)
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a mapping
        except (SafetensorError, OSError) as error:
            msg = f"{path}: is not a model file ({error})"
            raise ModelFileError(msg) from error
        if _KEY not in metadata:
            msg = f"{path}: holds no refiner; make one with 'flashsim refine train'"
            raise ModelFileError(msg)
        try:
            header = json.loads(metadata[_KEY])
            _check_version(header["format_version"])
            recipe = RefinerRecipe.model_validate(header["recipe"])
            network = Refiner(recipe)
            network.load_state_dict(tensors)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return cls(recipe, network.eval(), header["kernel"], header["provenance"], digest)
        except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            msg = f"{path}: is damaged or was made by another version of flashsim ({reason}); train it again"
            raise ModelFileError(msg) from error


def _check_version(found: int) -> None:
    if found != FORMAT_VERSION:
        msg = f"format version {found}, expected {FORMAT_VERSION}"
        raise ValueError(msg)


def kernel_form(kernel: MixtureKernel) -> dict[str, Any]:
    """JSON form of a kernel: scales of its columns, bandwidth, widths."""
    return {
        "scales": kernel.scales.tolist(),
        "bandwidth": float(kernel.bandwidth),
        "widths": list(kernel.widths),
    }
