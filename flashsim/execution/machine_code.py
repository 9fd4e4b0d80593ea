"""Compiled loops that are quick to load: numba compiles them once, later processes load the machine code.

A kernel is a plain function over NumPy arrays with one signature. Its first call on a machine compiles it,
with all plain functions of its package that it names, and keeps the object code on disk. In every later
process LLVM loads that code in milliseconds; numba, which takes a second to import and to start, is not
loaded at all. Kernels are compiled apart from other numba code (`flashsim.execution._lowering`), with vectors
of 512 bits where the processor has them. Where this is not possible, because numba or LLVM has changed,
kernels are functions of ``numba.njit``.
"""

from __future__ import annotations

import ctypes
import logging
import re
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from flashsim.execution._object_code import ObjectCode, Processor, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flashsim.execution._object_code import Replaced

__all__ = ["Kernel", "aligned", "compiled"]

_log = logging.getLogger(__name__)
# One at a time: numba's compiler and LLVM's engine are shared.
_lock = threading.RLock()
_WORD: Final = re.compile(r"(\w+?)(?:\[((?::, )*)::1\])?")
_C_TYPES = {
    "int64": ctypes.c_int64,
    "uint64": ctypes.c_uint64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}
_ALIGNMENT = 64
"""Bytes of the longest vectors."""


class _Argument(NamedTuple):
    """Type of an argument: a number, or an array in C order."""

    dtype: np.dtype[Any]
    dimensions: int | None

    def c_types(self) -> list[Any]:
        """C types of the parts that numba passes: for an array two owners, sizes, address, shape, strides."""
        if self.dimensions is None:
            return [_C_TYPES[self.dtype.name]]
        size, address = ctypes.c_ssize_t, ctypes.c_void_p
        return [address, address, size, size, address, *(2 * self.dimensions * [size])]

    def llvm_types(self) -> list[str]:
        """Names of these types in LLVM."""
        names = {ctypes.c_float: "float", ctypes.c_double: "double", ctypes.c_void_p: "ptr"}
        return [names.get(kind, "i64") for kind in self.c_types()]

    def parts(self, value: Any) -> tuple[Any, ...]:
        if self.dimensions is None:
            return (float(value) if self.dtype.kind == "f" else int(value),)
        fits = isinstance(value, np.ndarray) and (value.dtype, value.ndim) == (self.dtype, self.dimensions)
        if not fits or not value.flags.c_contiguous:
            found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
            msg = f"expected {self.dtype}, {self.dimensions} dimensions in C order, found {found}"
            raise TypeError(msg)
        return (None, None, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)


class Kernel:
    """A compiled function that writes to its arguments and returns nothing.

    It runs without Python's lock, so that threads can share work out.

    Parameters
    ----------
    function
        Plain Python over arrays and numbers. Functions of its package that it names are compiled with it,
        other names are constants. It makes no arrays: those that it needs are arguments.
    signature
        Types of the arguments in numba's notation, arrays in C order, such as ``"float32[:, ::1], int64"``.
    contract
        Whether a product and a sum may be one instruction with one rounding, which some processors lack:
        results then depend on the processor. What draws events leaves it out.
    replacing
        Functions by those that are compiled in their place, for a kernel of another precision.
    """

    def __init__(
        self,
        function: Callable[..., None],
        signature: str,
        *,
        contract: bool = False,
        replacing: Replaced | None = None,
    ) -> None:
        self.function, self.signature, self.contract = function, signature, contract
        self.replacing = replacing or {}
        self.__doc__, self.__name__ = function.__doc__, function.__name__
        self._call: Callable[..., object] | None = None

    def __call__(self, *arguments: Any) -> None:
        """Run; arrays must have the types of the signature.

        Raises
        ------
        TypeError
            If an argument has another type.
        """
        if self._call is None:
            self.prepare()
        self._call(*arguments)  # type: ignore[misc]

    def prepare(self) -> None:
        """Load or compile now, which the first call does otherwise."""
        with _lock:
            if self._call is None:
                self._call = self._native() or self._plain()

    @property
    def is_native(self) -> bool:
        """Whether it runs without numba's dispatcher, as it does unless numba or LLVM have changed."""
        self.prepare()
        return isinstance(self._call, _Native)

    def assembly(self, processor: Processor | None = None) -> str:
        """Compile again, by default for this machine, and give the machine code as text."""
        from flashsim.execution._lowering import lowered  # noqa: PLC0415  # numba, only where something compiles

        with _lock:
            target = Processor.this() if processor is None else processor
            return target.assembly(lowered(self, self._llvm_types, self.__name__))

    @cached_property
    def _arguments(self) -> list[_Argument]:
        found = [_WORD.fullmatch(word) for word in re.split(r", (?![^\[]*\])", self.signature)]
        return [
            _Argument(np.dtype(word[1]), None if word[2] is None else word[2].count(",") + 1)
            for word in found
            if word is not None
        ]

    @property
    def _llvm_types(self) -> list[str]:
        return ["ptr", "ptr", *(name for argument in self._arguments for name in argument.llvm_types())]

    def _digest(self, processor: Processor) -> str:
        return digest_of(self.function, self.replacing, self.signature, self.contract, processor.key)

    def _native(self) -> _Native | None:
        """Give the machine code, from disk or compiled; none if that is not possible here."""
        try:
            processor = Processor.this()
            symbol = f"flashsim_{self._digest(processor)}"
            code = ObjectCode(self.function, symbol)
            content = code.read()
            if content is None:
                from flashsim.execution._lowering import lowered  # noqa: PLC0415

                content = processor.object_code(lowered(self, self._llvm_types, symbol))
                code.write(content)
            return _Native(processor.load(content, symbol), self._arguments)
        except Exception as error:  # noqa: BLE001  # whatever has changed in numba or LLVM, there is another way
            _log.info("%s: compiled by numba's own way (%s: %s)", self.__name__, type(error).__name__, error)
            return None

    def _plain(self) -> Callable[..., object]:
        from flashsim.execution._plain_numba import jitted  # noqa: PLC0415

        dispatcher: Callable[..., object] = jitted(self)
        return dispatcher


class _Native:
    """Machine code at an address, called as numba's own code calls it."""

    def __init__(self, address: int, arguments: list[_Argument]) -> None:
        # Two results come first: the value, here none, and an exception, which these functions never raise.
        kinds = [ctypes.c_void_p, ctypes.c_void_p, *(kind for one in arguments for kind in one.c_types())]
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address)
        self._arguments = arguments

    def __call__(self, *values: Any) -> None:
        parts = [
            part for one, value in zip(self._arguments, values, strict=True) for part in one.parts(value)
        ]
        result, exception = ctypes.c_void_p(), ctypes.c_void_p()
        self._function(ctypes.addressof(result), ctypes.addressof(exception), *parts)


def compiled(signature: str, *, contract: bool = False) -> Callable[[Callable[..., None]], Kernel]:
    """Decorate a function that becomes a `Kernel`, whose parameters these are."""
    return lambda function: Kernel(function, signature, contract=contract)


def aligned(shape: int | tuple[int, ...], dtype: Any = np.float32) -> Any:
    """Give an array of zeros that starts where the longest vectors may: kernels work on it faster."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    room = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].view(kind).reshape(shape)
