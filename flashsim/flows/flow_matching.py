"""The kind ``flow_matching``: variables at the end of a path along learned velocities.

A network learns the mean velocity of straight paths from noise to the variables of the training (Lipman et
al., arXiv:2210.02747), with the path and the times of arXiv:2402.13684: with noise z and variables x, the
path is (1 - (1 - s) t) z + t x with s = 1e-4, and late times t, the root of a uniform number, are favoured.
Drawing follows the velocities from noise by midpoint steps.

On a CPU the whole integration is one compiled function for blocks of objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flashsim.declarations.flows import MOST_STEPS, FlowMatchingRecipe
from flashsim.execution.machine_code import aligned, compiled
from flashsim.execution.threads import run_shares
from flashsim.flows._compiled_inverse import BLOCK, copy, start_at
from flashsim.flows._rows import checked_rows
from flashsim.flows.dense import Dense, apply_dense
from flashsim.flows.tensors import check_names, fill, is_single

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flashsim.declarations.flows import FlowRecipe
    from flashsim.flows.module import FlowModule
    from flashsim.flows.protocol import Architecture, FlowSampler, Tensors

__all__ = ["KIND", "CompiledFlowMatching", "FlowMatching"]

_FEWEST_ROWS = 512
"""Objects that are worth a thread."""
_LEAST = {"features": 1, "context": 0, "width": 1, "depth": 1, "frequencies": 0, "steps": 1}


class FlowMatching:
    """See `flashsim.flows.protocol.FlowKind`; the module is `VelocityField`."""

    recipe = FlowMatchingRecipe

    def architecture(self, recipe: FlowRecipe, features: int, context: int, seed: int) -> Architecture:
        """Sizes of the recipe, numbers of variables and context values, seed."""
        return {"features": features, "context": context, **recipe.sizes, "seed": seed}

    def module(self, architecture: Architecture) -> FlowModule:
        """Build an untrained network."""
        from flashsim.flows.velocity_field import VelocityField  # noqa: PLC0415  # torch

        _check(architecture)
        return VelocityField(**architecture)

    def shapes(self, architecture: Architecture) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors by name."""
        _check(architecture)
        sizes = _sizes(architecture)
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, name in enumerate(_layers(architecture)):
            shapes |= {
                f"{name}.weight": (sizes[layer + 1], sizes[layer]),
                f"{name}.bias": (sizes[layer + 1],),
            }
        return shapes

    def sampler(self, architecture: Architecture, tensors: Tensors, device: str = "cpu") -> FlowSampler:
        """Make what integrates: compiled on the CPU in single precision, the module itself elsewhere."""
        if device == "cpu" and is_single(tensors):
            return CompiledFlowMatching(architecture, tensors)
        from flashsim.flows._torch_sampler import module_sampler  # noqa: PLC0415  # torch

        return module_sampler(fill(self.module(architecture), tensors), architecture, device)


KIND = FlowMatching()


def _check(architecture: Architecture) -> None:
    check_names(architecture, {*_LEAST, "seed"})
    for name, minimum in _LEAST.items():
        if type(value := architecture[name]) is not int or value < minimum:
            msg = f"Flow matching needs {name} of at least {minimum}, found {value!r}."
            raise ValueError(msg)
    if architecture["steps"] > MOST_STEPS:
        msg = f"Flow matching takes at most {MOST_STEPS} steps, found {architecture['steps']}."
        raise ValueError(msg)


def _sizes(architecture: Architecture) -> list[int]:
    """Give the number of inputs, then of outputs of each layer."""
    features, waves = architecture["features"], 2 * architecture["frequencies"]
    hidden = [architecture["width"]] * architecture["depth"]
    return [features + architecture["context"] + waves, *hidden, features]


def _layers(architecture: Architecture) -> list[str]:
    """Names of the linear layers; activations in between have numbers, too."""
    return [f"field.{2 * layer}" for layer in range(architecture["depth"] + 1)]


class CompiledFlowMatching:
    """Maps noise to variables on the CPU; a row's result depends on that row only, to the last bit.

    Parameters
    ----------
    architecture
        Sizes of the network, and the number of steps.
    tensors
        Its weights, which are copied.
    """

    def __init__(self, architecture: Architecture, tensors: Tensors) -> None:
        layers = _layers(architecture)
        self._features, self._context = architecture["features"], architecture["context"]
        # At the beginning and in the middle of each step.
        times = np.arange(2 * architecture["steps"])[:, None] / (2 * architecture["steps"])
        angles = np.pi * times * np.arange(1, architecture["frequencies"] + 1)
        self._waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
        self._dense = Dense(*([tensors[f"{n}.{part}"] for n in layers] for part in ("weight", "bias")))

    def from_noise(self, z: NDArray[np.floating], context: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map noise z, shape (N, D), given context (N, C), to variables, shape (N, D).

        Raises
        ------
        ValueError
            If a shape does not fit the flow.
        """
        noise, given = checked_rows(z, context, self._features, self._context, np.float32)
        x, room = np.empty_like(noise), int(self._dense.sizes.max()) * BLOCK

        def integrate_rows(share: int, shares: int) -> None:
            rows = slice(share * len(noise) // shares, (share + 1) * len(noise) // shares)
            _integrate(
                noise[rows],
                given[rows],
                x[rows],
                self._dense.weights,
                self._dense.sizes,
                self._waves,
                aligned(self._features * BLOCK),
                aligned(self._features * BLOCK),
                aligned(self._context * BLOCK),
                aligned(room),
                aligned(room),
            )

        run_shares(integrate_rows, -(-len(noise) // _FEWEST_ROWS))
        return x


def _fill_inputs(x: np.ndarray, context: np.ndarray, waves: np.ndarray, inputs: np.ndarray) -> None:
    """Write variables, context and waves of the time, of a block, as inputs of the network; all flat."""
    copy(x, inputs)
    copy(context, inputs[len(x) :])
    start_at(waves, inputs[len(x) + len(context) :])


def _advance(start: np.ndarray, velocity: np.ndarray, step: np.float32, end: np.ndarray) -> None:
    """Go a step along velocities; all flat."""
    for k in range(len(start)):
        end[k] = start[k] + step * velocity[k]


_ROW, _MATRIX = "float32[::1]", "float32[:, ::1]"


@compiled(
    f"{_MATRIX}, {_MATRIX}, {_MATRIX}, {_ROW}, int64[::1], {_MATRIX}, {_ROW}, {_ROW}, {_ROW}, {_ROW}, {_ROW}"
)
def _integrate(  # noqa: PLR0917  # compiled functions take no keyword arguments
    noise: np.ndarray,
    context: np.ndarray,
    variables: np.ndarray,
    weights: np.ndarray,
    sizes: np.ndarray,
    waves: np.ndarray,
    x: np.ndarray,
    middle: np.ndarray,
    given: np.ndarray,
    values: np.ndarray,
    spare: np.ndarray,
) -> None:
    """Follow the velocities from noise to variables, by midpoint steps.

    Parameters
    ----------
    noise, context, variables
        Shapes (N, D), (N, C) and (N, D), the last one to write.
    weights, sizes
        Of the network, as `flashsim.flows.dense.apply_dense` takes them.
    waves
        Of the times of the S steps' beginnings and middles, shape (2 S, 2 F).
    x, middle, given, values, spare
        Room for a block: variables twice, context, and what `apply_dense` needs.
    """
    rows, features = noise.shape
    steps = len(waves) // 2
    whole = np.float32(1.0 / steps)
    half = np.float32(0.5) * whole
    for start in range(0, rows, BLOCK):
        block = min(BLOCK, rows - start)
        # Places without an object keep those of the block before: no number depends on another place's.
        for t in range(block):
            for d in range(features):
                x[d * BLOCK + t] = noise[start + t, d]
            for c in range(context.shape[1]):
                given[c * BLOCK + t] = context[start + t, c]
        for step in range(steps):
            _fill_inputs(x, given, waves[2 * step], values)
            apply_dense(weights, sizes, values, spare)
            _advance(x, values, half, middle)
            _fill_inputs(middle, given, waves[2 * step + 1], values)
            apply_dense(weights, sizes, values, spare)
            _advance(x, values, whole, x)
        for t in range(block):
            for d in range(features):
                variables[start + t, d] = x[d * BLOCK + t]
