"""The machine that a benchmark runs on, as every page names it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["machine", "made_on", "processor"]


def processor() -> str:
    """Name of the processor, where Linux gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Give the processor, LLVM's name of its kind, cores and load, and the date."""
    return {
        "processor": processor(),
        "kind": llvm.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
    }


def made_on(command: str, machine: Mapping[str, Any]) -> list[str]:
    """Give the lines of a page that name the command, and the machine as `machine` has it."""
    return [
        "Made by",
        "",
        f"```sh\n{command}\n```",
        "",
        f"on {machine['cores']} shared cores of a machine that calls them {machine['processor']}",
        f"({machine['kind']}; load {machine['load']} at the start), {machine['date']}.",
    ]
