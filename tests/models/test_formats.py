"""What is generated does not depend on the format of model files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import uproot
from written_models import as_version_5

import flashsim
from flashsim.flows import Flow
from flashsim.flows.kinds import kind_of
from flashsim.models.object_model import ObjectModel, read_header


def with_cut_weights(flow):
    """The flow with numbers as the weights that its masks cut, as all flows have after training."""
    connected = kind_of(flow.kind).connected(flow.architecture)

    def spoilt(name, tensor):
        if name not in connected:
            return tensor
        return np.where(np.arange(tensor.shape[1]) < connected[name][:, None], tensor, tensor.dtype.type(7))

    return Flow(flow.kind, flow.architecture, {n: spoilt(n, t) for n, t in flow.tensors.items()})


def test_events_of_files_of_format_5_and_6_are_the_same(made_models, made_nanoaod, tmp_path):
    folders = {version: tmp_path / str(version) for version in (5, 6)}
    for path in made_models.glob("*.safetensors"):
        model = ObjectModel.load(path)
        for folder in folders.values():
            model.save(folder / path.name)
        as_version_5(replace(model, flow=with_cut_weights(model.flow)), folders[5] / path.name)
        sizes = [(folder / path.name).stat().st_size for folder in folders.values()]
        assert sizes[1] < 0.8 * sizes[0]
        assert [read_header(f / path.name)["format_version"] for f in folders.values()] == [5, 6]
    events = {}
    for version, folder in folders.items():
        output = tmp_path / f"{version}.root"
        flashsim.generate(made_nanoaod, output, models=folder)
        with uproot.open(output) as file:
            events[version] = file["Events"].arrays(library="np")
    assert events[5].keys() == events[6].keys()
    for name, column in events[5].items():
        again = events[6][name]
        if column.dtype == object:
            column, again = np.concatenate(column), np.concatenate(again)  # noqa: PLW2901
        assert column.tobytes() == again.tobytes(), name
