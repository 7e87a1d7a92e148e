"""The processor of the machine, and its cores."""

import os
import platform
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, Any]:
    """Returns the processor and its cores, for the records of a run.

    Returns:
        JSON values; the processor is its model, or its architecture if the
        model is unknown, and the cores are those of ``available_cores``.
    """
    return {"processor": _processor(), "cores": available_cores()}


def available_cores() -> int:
    """Returns the number of cores that this process may use, at least 1."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
