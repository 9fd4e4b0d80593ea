"""Object code of kernels: emitted for this processor, kept on disk, loaded into this process."""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import llvmlite
import llvmlite.binding as llvm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Replaced = Mapping[Callable[..., Any], Callable[..., Any]]

__all__ = ["ObjectCode", "Processor", "digest_of", "named_functions", "rebound"]

_DIGEST = hashlib.sha256().digest_size


class Processor:
    """LLVM for a processor.

    Parameters
    ----------
    name
        LLVM's name of it; none for that of this machine, which alone can load what is made for it.
    """

    def __init__(self, name: str | None = None) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        triple = llvm.get_process_triple()
        features = llvm.get_host_cpu_features().flatten() if name is None else ""
        # On some processors LLVM prefers vectors of 256 bits to those of 512, which are faster here; without
        # the latter this changes nothing.
        wide = "-prefer-256-bit" if triple.startswith("x86") else ""
        options = {
            "cpu": llvm.get_host_cpu_name() if name is None else name,
            "features": ",".join(filter(None, (features, wide))),
            "opt": 3,
            "reloc": "static" if triple.startswith(("x86", "i386", "i686")) else "default",
            "codemodel": "jitdefault",
            "jit": True,
        }
        target = llvm.Target.from_triple(triple)
        self._machine = target.create_target_machine(**options)
        self._engine = llvm.create_mcjit_compiler(
            llvm.parse_assembly(""), target.create_target_machine(**options)
        )
        self.key = (triple, options["cpu"], options["features"], llvmlite.__version__, version("numba"))

    @staticmethod
    @lru_cache(maxsize=1)
    def this() -> Processor:
        """Give the one of this process."""
        return Processor()

    def object_code(self, module: Any) -> bytes:
        """Optimise and emit a module.

        Raises
        ------
        RuntimeError
            If it needs something that is not in this process: loading it would end the process.
        """
        for function in module.functions:
            name = function.name
            if function.is_declaration and not name.startswith("llvm.") and not llvm.address_of_symbol(name):
                msg = f"{name} is not in this process"
                raise RuntimeError(msg)
        self._optimise(module)
        content: bytes = self._machine.emit_object(module)
        return content

    def assembly(self, module: Any) -> str:
        """Optimise a module, and give its machine code as text."""
        self._optimise(module)
        text: str = self._machine.emit_assembly(module)
        return text

    def load(self, content: bytes, symbol: str) -> int:
        """Load object code, and give the address of a function in it."""
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(content))
        self._engine.finalize_object()
        address: int = self._engine.get_function_address(symbol)
        if not address:
            msg = f"{symbol} is not in its object code"
            raise RuntimeError(msg)
        return address

    def _optimise(self, module: Any) -> None:
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = options.slp_vectorization = True
        builder = llvm.create_pass_builder(self._machine, options)
        builder.getModulePassManager().run(module, builder)


class ObjectCode:
    """The file of a kernel's object code.

    Parameters
    ----------
    function
        The kernel. The file is in ``__pycache__`` beside its module, or in a folder of the user where that
        cannot be written, or in the one that ``NUMBA_CACHE_DIR`` names.
    symbol
        Its name, in which all stands that decides the content.
    """

    def __init__(self, function: Callable[..., Any], symbol: str) -> None:
        self._name = f"{function.__module__}.{function.__name__}.{symbol}.o"
        self._module = Path(function.__code__.co_filename)

    def read(self) -> bytes | None:
        """Read the content; none if there is no such file, or what it holds is not what was written."""
        for folder in self._folders():
            try:
                found = (folder / self._name).read_bytes()
            except OSError:
                continue
            content = found[_DIGEST:]
            if hashlib.sha256(content).digest() == found[:_DIGEST]:
                return content
        return None

    def write(self, content: bytes) -> None:
        """Keep the content where there is a place for it, which a batch node may lack."""
        for folder in self._folders():
            part = folder / f"{self._name}.{uuid.uuid4().hex}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                part.write_bytes(hashlib.sha256(content).digest() + content)
                part.replace(folder / self._name)
            except OSError:
                part.unlink(missing_ok=True)
                continue
            return

    def _folders(self) -> Iterator[Path]:
        if named := os.environ.get("NUMBA_CACHE_DIR"):
            yield Path(named)
            return
        yield self._module.parent / "__pycache__"
        of_user = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
        home = os.path.expanduser("~")  # noqa: PTH111  # Path.home fails where there is none
        yield Path(of_user or f"{home}/.cache") / "flashsim"


def digest_of(function: Callable[..., Any], replacing: Replaced, *more: object) -> str:
    """Give a digest of what decides a kernel: its code and constants, those of functions that it names."""
    digest = hashlib.blake2b(repr((sys.version_info[:2], more)).encode(), digest_size=12)
    for part in _description(function, replacing, set()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def named_functions(function: Callable[..., Any], replacing: Replaced) -> dict[str, Callable[..., Any]]:
    """Give the plain functions of its own package that a function names, or what replaces them, by name."""
    named = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    package = function.__module__.partition(".")[0]
    return {
        name: replacing.get(value, value)
        for name, value in named.items()
        if isinstance(value, FunctionType) and value.__module__.partition(".")[0] == package
    }


def rebound(
    function: Callable[..., Any], replacing: Replaced, wrapped: Callable[[Callable[..., Any]], object]
) -> FunctionType:
    """Copy a function that finds, under the names of functions of its package, what wraps those."""
    helpers = named_functions(function, replacing)
    scope = function.__globals__ | {name: wrapped(helper) for name, helper in helpers.items()}
    return FunctionType(function.__code__, scope, function.__name__)


def _description(function: Callable[..., Any], replacing: Replaced, seen: set[object]) -> Iterator[str]:
    if function in seen:
        return
    seen.add(function)
    yield from _of_code(function.__code__)
    helpers = named_functions(function, replacing)
    for name in function.__code__.co_names:
        if name in helpers:
            yield name
            yield from _description(helpers[name], replacing, seen)
        elif name in function.__globals__:
            value = function.__globals__[name]
            yield f"{name} {value.__name__ if isinstance(value, ModuleType) else repr(value)}"


def _of_code(code: CodeType) -> Iterator[str]:
    yield repr((code.co_code, code.co_varnames, code.co_names))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _of_code(constant)
        else:
            yield repr(constant)
