"""Names of the machine beside a measurement."""

import os
import platform
from pathlib import Path


def processor() -> str:
    """Returns the name of the CPU."""
    try:
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                return row.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe_machine() -> str:
    """Returns the number of cores and the name of the CPU."""
    return f"{len(os.sched_getaffinity(0))} cores, {processor()}"
