"""Kernels do what their Python does, and later processes need no numba for them."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
import threading
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba.core import registry

import flashsim
from flashsim.events import neighbours, noise
from flashsim.execution import _object_code, machine_code
from flashsim.execution.machine_code import Kernel, aligned
from flashsim.flows import _compiled_inverse, dense, flow_matching

FACTOR = 2.0


def scaled(value, factor):
    return FACTOR * value * factor


def unscaled(value, factor):
    return value


def multiply(values, factor, matrix, result):
    for i in range(len(values)):
        for j in range(matrix.shape[1]):
            result[i, j] = scaled(values[i], factor) + matrix[i, j]


SIGNATURE = "float64[::1], float64, float32[:, ::1], float64[:, ::1]"


def kernels():
    """All kernels of the package, by the modules that make them."""
    folder = Path(flashsim.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        if "machine_code import" in path.read_text(encoding="utf-8"):
            name = ".".join(("flashsim", *path.relative_to(folder).with_suffix("").parts))
            for value in vars(importlib.import_module(name)).values():
                values = value.values() if isinstance(value, dict) else (value,)
                yield from (one for one in values if isinstance(one, Kernel))


KERNELS = list({id(kernel): kernel for kernel in kernels()}.values())
LOADS = """
import sys
import numpy as np
from flashsim.events.noise import Stream
numbers = Stream(1, "Jet", "flow").uniform(np.arange(2, dtype=np.uint64), np.arange(2), 3)
print(numbers.sum(), "numba" in sys.modules)
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kernels"))


def files(tmp_path) -> list[Path]:
    return list((tmp_path / "kernels").glob("*"))


def arguments():
    values, matrix = np.arange(5.0), np.arange(15, dtype=np.float32).reshape(5, 3)
    return values, 3.0, matrix, np.zeros((5, 3))


def result_of(function):
    *inputs, result = arguments()
    function(*inputs, result)
    return result


def check(kernel):
    np.testing.assert_array_equal(result_of(kernel), result_of(multiply))


def test_does_what_the_function_does():
    kernel = Kernel(multiply, SIGNATURE)
    check(kernel)
    assert kernel.is_native


def test_all_kernels_are_found():
    found = {kernel.function for kernel in KERNELS}
    assert {neighbours._find, noise._fill.function, _compiled_inverse.invert.function} <= found


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel.__name__}({kernel.signature})")
def test_kernels_of_the_package_are_native(kernel):
    """With the versions of numba and LLVM that the tests run with."""
    assert kernel.is_native


def test_later_processes_do_not_need_numba(tmp_path):
    def load():
        done = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, check=True)
        return done.stdout.split()

    first, second = load(), load()
    assert (first[1], second[1]) == ("True", "False")
    assert first[0] == second[0]


def test_a_damaged_file_is_made_again(tmp_path):
    check(Kernel(multiply, SIGNATURE))
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    check(Kernel(multiply, SIGNATURE))
    assert (tmp_path / "kernels" / file.name).stat().st_size == len(whole)


def test_where_nothing_can_be_kept_it_is_compiled_each_time(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "below"))
    check(Kernel(multiply, SIGNATURE))
    assert files(tmp_path) == []


def test_without_a_folder_named_it_is_kept_beside_the_module(monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    folder = next(_object_code.ObjectCode(neighbours._find, "x")._folders())
    assert folder == Path(neighbours.__file__).parent / "__pycache__"


def test_code_constants_and_signature_decide_the_file(monkeypatch):
    def digest(*more):
        return _object_code.digest_of(multiply, {}, *more)

    before = digest("float64")
    assert digest("float64") == before != digest("float32")
    with monkeypatch.context() as patched:
        patched.setitem(multiply.__globals__, "FACTOR", 3.0)  # a constant of a function that it names
        assert digest("float64") != before
    with monkeypatch.context() as patched:
        patched.setattr(scaled, "__code__", (lambda value, factor: value * factor).__code__)
        assert digest("float64") != before


def test_functions_may_be_replaced():
    kernel = Kernel(multiply, SIGNATURE, replacing={scaled: unscaled})
    values, _, matrix, _ = arguments()
    np.testing.assert_array_equal(result_of(kernel), values[:, None] + matrix)
    check(Kernel(multiply, SIGNATURE))


def test_without_machine_code_it_is_a_function_of_numba(monkeypatch):
    def closed():
        raise AttributeError

    monkeypatch.setattr(machine_code.Processor, "this", closed)
    kernel = Kernel(multiply, SIGNATURE, contract=True)
    check(kernel)
    assert not kernel.is_native


def test_what_is_passed_otherwise_is_not_called(monkeypatch):
    """Numba's way to call functions is no promise of its."""
    monkeypatch.setattr(machine_code._Argument, "llvm_types", lambda argument: ["ptr"])
    kernel = Kernel(multiply, SIGNATURE)
    check(kernel)
    assert not kernel.is_native


@pytest.mark.parametrize(
    "wrong",
    [
        np.arange(5),
        np.arange(5.0)[:, None],
        np.arange(10.0)[::2],
        [1.0, 2.0],
    ],
)
def test_arrays_of_another_type_are_refused(wrong):
    _, *others = arguments()
    with pytest.raises(TypeError, match="expected float64, 1 dimensions in C order"):
        Kernel(multiply, SIGNATURE)(wrong, *others)


def test_threads_may_call_first_at_once():
    kernel = Kernel(multiply, SIGNATURE)
    results = []
    threads = [threading.Thread(target=lambda: results.append(result_of(kernel))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(result, result_of(multiply)) for result in results)
    assert len(results) == 8


def test_other_numba_code_is_compiled_as_ever():
    check(Kernel(multiply, SIGNATURE))
    assert numba.njit(scaled)(2.0, 3.0) == scaled(2.0, 3.0)
    features = registry.cpu_target.target_context.codegen().magic_tuple()[2]
    assert features == llvm.get_host_cpu_features().flatten()


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="other processors, other vectors")
@pytest.mark.parametrize("processor", ["skylake-avx512", "sapphirerapids", "znver4"])
def test_vectors_are_as_long_as_there_are(processor):
    """On Intel's processors LLVM prefers 256 bits, for which the clock was lower once."""
    text = _compiled_inverse.invert.assembly(_object_code.Processor(processor))
    assert text.count("%zmm") > 20 * text.count("%ymm")


@pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"}, reason="other processors, other instructions"
)
@pytest.mark.parametrize(
    "kernel",
    [_compiled_inverse.invert, dense._evaluate, flow_matching._integrate],
    ids=["spline_maf", "dense", "flow_matching"],
)
def test_sampling_rounds_alike_on_all_processors(kernel):
    """A product and a sum in one instruction round once, which processors without it cannot."""
    modern = _object_code.Processor("znver4")
    contracted = Kernel(kernel.function, kernel.signature, contract=True, replacing=kernel.replacing)
    assert "vfmadd" in contracted.assembly(modern)
    assert "vfmadd" not in kernel.assembly(modern)


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="other processors, other kinds")
def test_an_old_processor_draws_the_same_bits(monkeypatch):
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((1000, 7)).astype(np.float32)
    sizes = np.array([7, 30, 30, 5])
    weights = rng.standard_normal(sum(sizes[:-1] * sizes[1:] + sizes[1:])).astype(np.float32)

    def outputs():
        kernel = Kernel(dense._evaluate.function, dense._evaluate.signature)
        found = np.empty((len(rows), 5), np.float32)
        kernel(rows, found, weights, sizes, *(aligned(30 * dense.BLOCK) for _ in range(2)))
        assert kernel.is_native
        return found

    here = outputs()
    old = _object_code.Processor("x86-64-v2")
    monkeypatch.setattr(machine_code.Processor, "this", lambda: old)
    assert outputs().tobytes() == here.tobytes()


@pytest.mark.parametrize("shape", [1, 3, (5, 7)])
def test_aligned_arrays_start_where_long_vectors_may(shape):
    for dtype in (np.float32, np.int32, np.float64):
        array = aligned(shape, dtype)
        assert (array.shape, array.dtype) == (np.empty(shape).shape, dtype)
        assert array.ctypes.data % 64 == 0
        assert not array.any()
