"""The sampler of the shipped models against other networks, and against products of its shapes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.speed.peers import PEERS, has_peers
from benchmarks.speed.timing import in_turns, median_ratio
from benchmarks.speed.vectors import vector_bits
from flashsim.execution.threads import number_of_threads, set_threads
from flashsim.flows import Flow
from flashsim.flows._arrangement import arranged
from flashsim.flows._compiled_inverse import invert
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from flashsim.flows.module import FlowModule

__all__ = ["sampling"]

_ROWS = 8192
_COLUMNS = 512
"""Of the products alone: as many as suit the library best."""
_LARGE = 1024


def sampling(models: Sequence[Path] | None, repeats: int, share: float = 1.0) -> dict[str, Any]:
    """Objects a second on one thread, by object and network.

    Parameters
    ----------
    models
        Model files; none for the shipped ones.
    repeats
        Turns of each.
    share
        Of the objects of a turn.
    """
    threads = torch.get_num_threads(), number_of_threads()
    torch.set_num_threads(1)
    set_threads(1)
    try:
        loaded = [ObjectModel.load(path) for path in model_files(models)]
        compared = [model for model in loaded if has_peers(model.declaration.name)]
        return {model.declaration.name: _object(model, repeats, share) for model in compared}
    finally:
        torch.set_num_threads(threads[0])
        set_threads(threads[1])


def _object(model: ObjectModel, repeats: int, share: float) -> dict[str, Any]:
    flow, name = model.flow, model.declaration.name
    generator = torch.Generator().manual_seed(1)

    def normal(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator)

    objects = round(share * _ROWS)
    sampler, z, context = (
        flow.sampler(),
        normal(objects, flow.architecture["features"]).numpy(),
        normal(objects, flow.architecture["context"]).numpy(),
    )
    works: dict[str, tuple[int, Callable[[], object]]] = {
        "flashsim": (objects, lambda: sampler.from_noise(z, context)),
        "products": (_COLUMNS, _products(flow)),
        "large product": (1, _large_product()),
    }
    parameters = {"flashsim": flow.parameters}
    for peer in PEERS:
        width, network = peer.make(name, flow.architecture)
        network.eval()
        parameters[peer.name] = _count(network)
        rows = round(share * peer.rows)
        works[peer.name] = (rows, _drawing(network, normal(rows, width)))
    found = in_turns(works, repeats)
    ours = found["flashsim"].per_item
    shown = {"flashsim": "the shipped model", **{peer.name: peer.what for peer in PEERS}}
    table = []
    for row, what in shown.items():
        ratio, error = median_ratio(found[row].per_item, ours)
        table.append(
            {"name": row, "what": what, "parameters": parameters[row], "ratio": ratio, "ratio_spread": error}
            | found[row].to_json()
        )
    reached, reached_spread = median_ratio(found["products"].per_item, ours)
    operations = 2.0 * sum(weight.size for weight, _ in _shapes(flow))
    of_large, of_large_spread = median_ratio(found["large product"].per_item, ours)
    return {
        "flow": flow.architecture,
        "vector_bits": vector_bits(invert),
        "rows": table,
        "products": {
            "operations_per_object": operations,
            "share": reached,
            "share_spread": reached_spread,
            "sampler_gflops": operations * found["flashsim"].to_json()["per_second"] / 1e9,
            "products_gflops": operations * found["products"].to_json()["per_second"] / 1e9,
            "share_of_large": of_large * operations / (2.0 * _LARGE**3),
            "share_of_large_spread": of_large_spread,
            "large_gflops": 2.0 * _LARGE**3 * found["large product"].to_json()["per_second"] / 1e9,
        },
        "difference": _difference(flow, z[:512], context[:512]),
    }


def _drawing(network: FlowModule, context: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def draw() -> object:
        return network.from_noise(torch.randn(len(context), network.features), context)

    return draw


def _shapes(flow: Flow) -> Iterator[tuple[NDArray[np.floating], int]]:
    """All matrices that an object meets once, and the number of their columns."""
    for layer in arranged(flow.architecture, flow.tensors):
        for weight in (layer.context, *(w for step in layer.steps for w in (*step.hidden, step.output))):
            if weight.size:
                yield weight, weight.shape[1]


def _products(flow: Flow) -> Callable[[], None]:
    """Products of the sampler's matrices with columns of objects, and nothing else."""
    calls = [
        (torch.from_numpy(weight), torch.randn(columns, _COLUMNS), torch.empty(len(weight), _COLUMNS))
        for weight, columns in _shapes(flow)
    ]

    @torch.inference_mode()
    def products() -> None:
        for weight, inputs, outputs in calls:
            torch.mm(weight, inputs, out=outputs)

    return products


def _large_product() -> Callable[[], object]:
    a, b, c = (torch.randn(_LARGE, _LARGE) for _ in range(3))
    return lambda: torch.mm(a, b, out=c)


def _difference(flow: Flow, z: NDArray[np.floating], context: NDArray[np.floating]) -> dict[str, float]:
    """Largest differences from inverting variable by variable in the same precision, and from double."""
    double = Flow.of(flow.kind, flow.architecture, flow.module().double())
    plain, exact = _plain(flow, z, context), _plain(double, z.astype(np.float64), context.astype(np.float64))
    fast = flow.sampler().from_noise(z, context)
    found = {
        "float32": fast - plain,
        "float32_from_double": fast - exact,
        "plain_from_double": plain - exact,
        "float64": double.sampler().from_noise(z, context) - exact,
    }
    return {name: float(np.abs(difference).max()) for name, difference in found.items()}


def _plain(flow: Flow, z: NDArray[np.floating], context: NDArray[np.floating]) -> NDArray[np.floating]:
    with torch.no_grad():
        drawn: NDArray[np.floating] = flow.module().from_noise(*map(torch.from_numpy, (z, context))).numpy()
    return drawn


def _count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
