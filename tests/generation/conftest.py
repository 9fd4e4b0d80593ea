"""A generator with barely trained models, and outputs read back."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from flashsim.declarations.output import load_output
from flashsim.execution.threads import number_of_threads, set_threads
from flashsim.generation.generate import Generator
from flashsim.models.object_model import ObjectModel
from flashsim.models.shipped import model_files
from flashsim.nanoaod.reading import NanoFile


@pytest.fixture(autouse=True, scope="package")
def _one_thread():
    """Few objects on a busy machine: threads that wait for each other cost more than they bring."""
    threads = number_of_threads()
    set_threads(1)
    yield
    set_threads(threads)


@pytest.fixture(scope="session")
def loaded_models(made_models):
    """Give the barely trained models."""
    return [ObjectModel.load(path) for path in model_files([made_models])]


@pytest.fixture(scope="session")
def make_generator(loaded_models):
    """Give a generator with these models and any options."""

    def make(**options):
        return Generator(loaded_models, load_output(), **options)

    return make


@pytest.fixture(scope="session")
def content():
    """Give every branch of a file as dtype, list lengths and bytes: equal means equal bit by bit."""

    def read(path):
        with NanoFile(path) as file:
            arrays = file.read(list(file.branches))
        found = {}
        for name, array in arrays.items():
            counts = ak.num(array).tolist() if array.ndim > 1 else None
            flat = np.asarray(ak.flatten(array, axis=None))
            found[name] = (flat.dtype, counts, flat.tobytes())
        return found

    return read


@pytest.fixture(scope="session")
def generated(make_generator, made_nanoaod, tmp_path_factory):
    """Give the summary of a generation from the made file, and the path of what it wrote."""
    path = tmp_path_factory.mktemp("generated") / "flash.root"
    summary = make_generator().run(made_nanoaod, path, keep=["HLT_*", "Tau_*"], command="flashsim test")
    return summary, path


@pytest.fixture(scope="session")
def generated_alone(make_generator, made_nanoaod, content, tmp_path_factory):
    """Give the content of what one process generates from the made file."""
    path = tmp_path_factory.mktemp("alone") / "out.root"
    make_generator().run(made_nanoaod, path)
    return content(path)
