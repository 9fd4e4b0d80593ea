"""From Python functions to LLVM code: numba's front end, as a target of its own.

A target has its own typing and code contexts, so nothing here changes how other numba code is compiled. It
differs from numba's own in this: functions are linked first and optimised once, and not each for itself and
again where it is used; there is no memory management, as kernels make no arrays; only that part of numba's
library is loaded that loops over arrays need; extensions of numba, as those of awkward and vector, are not
started.
"""

# numba has types in a few places only.
# mypy: disable-error-code="no-untyped-call,untyped-decorator,attr-defined"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba.core import codegen, cpu, dispatcher, externals, fastmathpass, registry, sigutils, types, utils
from numba.core import target_extension as extension
from numba.core.compiler_lock import global_compiler_lock

from flashsim.execution._object_code import rebound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flashsim.execution.machine_code import Kernel

__all__ = ["lowered"]

_NAME = "flashsim"
_OPTIONS = {
    "nopython": True,
    "error_model": "numpy",
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
# Functions that these loops call, of numba's library.
_LIBRARY = (
    "numba.core.optional",
    "numba.cpython.builtins",
    "numba.cpython.iterators",
    "numba.cpython.numbers",
    "numba.cpython.rangeobj",
    "numba.cpython.slicing",
    "numba.cpython.tupleobj",
    "numba.np.arrayobj",
    "numba.np.unsafe.ndarray",
)
_REGISTRIES = ("numba.cpython.mathimpl", "numba.np.npyimpl")


class _Library(codegen.JITCodeLibrary):
    """Functions that are linked, and nothing else."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout  # noqa: SLF001

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    @property
    def module(self) -> Any:
        """LLVM's module of these functions, linked."""
        self._ensure_finalized()
        return self._final_module


class _Codegen(codegen.JITCPUCodegen):
    _library_class = _Library


class _Context(cpu.CPUContext):
    @global_compiler_lock
    def init(self) -> None:
        self.is32bit = utils.MACHINE_BITS == 32
        self._internal_codegen = _Codegen(_NAME)
        externals.c_math_functions.install(self)

    def load_additional_registries(self) -> None:
        for name in _LIBRARY:
            __import__(name)
        for name in _REGISTRIES:
            self.install_registry(__import__(name, fromlist=["registry"]).registry)

    def get_executable(self, library: Any, fndesc: Any, env: Any) -> Callable[[], None]:  # noqa: ARG002
        """Give a name to call the function by in other functions; there is no machine code yet."""
        return lambda: None

    def post_lowering(self, mod: Any, library: Any) -> None:  # noqa: ARG002
        if self.fastmath:
            fastmathpass.rewrite_module(mod, self.fastmath)


class _Target(registry.CPUTarget):
    @utils.threadsafe_cached_property
    def _toplevel_target_context(self) -> _Context:
        return _Context(self.typing_context, self._target_name)


class _Dispatcher(dispatcher.Dispatcher):
    targetdescr = _Target(_NAME)

    def _compilation_chain_init_hook(self) -> None:
        """Leave numba's extensions alone."""

    def add_overload(self, cres: Any) -> None:
        self.overloads[tuple(cres.signature.args)] = cres


class _Loops(extension.CPU):
    """Name of the target among numba's."""


def _jit(**options: Any) -> Callable[[Callable[..., Any]], _Dispatcher]:
    """Decorate functions of numba's library."""
    own = {name: value for name, value in options.items() if name not in {"cache", "target"}}
    return lambda function: _Dispatcher(function, targetoptions=_OPTIONS | own)


_known: dict[tuple[Any, ...], dict[Callable[..., Any], _Dispatcher]] = {}
"""By options, what has been compiled by the function."""

extension.target_registry[_NAME] = _Loops
extension.dispatcher_registry[_Loops] = _Dispatcher
extension.jit_registry[_Loops] = _jit


@global_compiler_lock
def lowered(kernel: Kernel, llvm_types: Sequence[str], symbol: str) -> Any:
    """Give the LLVM module of a kernel.

    Parameters
    ----------
    kernel
        What to compile.
    llvm_types
        Types of the arguments, with the two for results; numba's way to call functions may change.
    symbol
        Name of the function in the module.

    Raises
    ------
    RuntimeError
        If the function takes other arguments.
    """
    top = _dispatcher(kernel)
    arguments, _ = sigutils.normalize_signature(f"void({kernel.signature})")
    with extension.target_override(_NAME):
        top.compile(arguments)
    result = top.overloads[arguments]
    module = result.library.module.clone()
    _mark(module)
    function = module.get_function(result.fndesc.llvm_func_name)
    found = [str(argument.type) for argument in function.arguments]
    if found != list(llvm_types):
        msg = f"numba passes {', '.join(found)}, expected {', '.join(llvm_types)}"
        raise RuntimeError(msg)
    for one in module.functions:
        if not one.is_declaration:
            one.linkage = "internal"
    function.linkage, function.name = "external", symbol
    return module


def _dispatcher(kernel: Kernel) -> _Dispatcher:
    """Wrap the kernel's function and all that it names; what several kernels call is compiled once."""
    options = _OPTIONS | ({"fastmath": {"contract"}} if kernel.contract else {})
    known = _known.setdefault((kernel.contract, *kernel.replacing.items()), {})

    def wrapped(function: Any) -> _Dispatcher:
        if function not in known:
            bound = rebound(function, kernel.replacing, wrapped)
            known[function] = _Dispatcher(bound, targetoptions=options)
        return known[function]

    return wrapped(kernel.function)


def _mark(module: Any) -> None:
    """Keep functions over arrays whole: in one large function LLVM vectorises their loops less well."""
    over_arrays = {
        result.fndesc.llvm_func_name
        for known in _known.values()
        for one in known.values()
        for arguments, result in one.overloads.items()
        if any(isinstance(kind, types.Array) for kind in arguments)
    }
    for function in module.functions:
        if function.name in over_arrays:
            function.add_function_attribute("noinline")
