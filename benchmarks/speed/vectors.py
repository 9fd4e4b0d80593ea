"""How long the vectors are that a compiled kernel works on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flashsim.execution._object_code import Processor
    from flashsim.execution.machine_code import Kernel

__all__ = ["vector_bits"]

_REGISTERS = {512: r"%zmm\d", 256: r"%ymm\d"}


def vector_bits(kernel: Kernel, processor: Processor | None = None) -> int:
    """Give the length that most of its instructions on more than 128 bits have; 128 where there are none."""
    text = kernel.assembly(processor)
    uses = {bits: len(re.findall(pattern, text)) for bits, pattern in _REGISTERS.items()}
    return max(uses, key=uses.__getitem__) if any(uses.values()) else 128
