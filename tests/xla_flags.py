"""Flags of XLA for the tests."""

import os
import re

_LEVEL = "--xla_backend_optimization_level"


def xla_flags(devices: int = 1) -> str:
    """Returns XLA_FLAGS for a process with a number of virtual CPU devices.

    Tests compile far more than they run, and without LLVM's optimizations they take
    a quarter less processor time. A level that XLA_FLAGS sets is kept, so that
    ``XLA_FLAGS=--xla_backend_optimization_level=3`` tests optimized code.

    Args:
        devices: number of devices.
    """
    given = re.search(rf"{_LEVEL}=\d", os.environ.get("XLA_FLAGS", ""))
    flags = [given[0] if given else f"{_LEVEL}=0"]
    if devices > 1:
        flags.append(f"--xla_force_host_platform_device_count={devices}")
    return " ".join(flags)
