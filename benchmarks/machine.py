"""Names of the machine beside a measurement."""

import platform
from pathlib import Path

from wgan_jax.io.machine import available_cores

# Widest first: the speed of a recipe on a CPU depends mostly on these.
INSTRUCTIONS = {
    "amx_bf16": "AMX",
    "avx512_bf16": "AVX-512 with bfloat16",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
}


def processor() -> str:
    """Returns the name of the CPU with its family, model and instructions."""
    try:
        return parse_cpuinfo(Path("/proc/cpuinfo").read_text())
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def parse_cpuinfo(text: str) -> str:
    """Returns the name that Linux gives the first CPU, and what it can do.

    Args:
        text: contents of ``/proc/cpuinfo``.

    Raises:
        KeyError: if it names no model, as on CPUs of ARM.
    """
    first = text.partition("\n\n")[0]
    fields = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }
    flags = set(fields.get("flags", "").split())
    kind = [f"{x} {fields[x]}" for x in ("cpu family", "model") if x in fields]
    kind += [name for flag, name in INSTRUCTIONS.items() if flag in flags][:1]
    return fields["model name"] + (f" ({', '.join(kind)})" if kind else "")


def describe_machine() -> str:
    """Returns the number of cores and the name of the CPU."""
    return f"{available_cores()} cores, {processor()}"
