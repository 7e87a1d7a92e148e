"""Several processes as one run: how they meet, agree and part.

JAX's own runtime does the work; here is what a program has to know of it. All of
it does nothing, or the plain thing, in a process that is alone.
"""

import itertools
import os
import sys
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from wgan_jax.binding import ConfigError

# After this long without a sign of life of one process the runtime ends the others.
# Its default of 100 s leaves too little of the two minutes that users are promised.
HEARTBEAT_SECONDS = 60
MEETING_SECONDS = 300
_PATIENCE_SECONDS = 7 * 24 * 3600  # the runtime ends a wait for one that has died
_WAITS = itertools.count()  # JAX wants a name for each that was never used
_FORMS = "give auto, off or COORDINATOR,N,I, such as 10.0.0.1:9876,4,0"


def meet(how: str) -> None:
    """Joins the processes of one run; before JAX's first use in a process.

    Args:
        how: ``off``, one process; ``auto``, as the cluster says that started this
            process (SLURM, Open MPI, Kubernetes, Cloud TPU: what
            ``jax.distributed.initialize`` finds out by itself); or
            ``COORDINATOR,N,I``: host and port on which process 0 listens, the
            number of processes, and which one of them this is.

    Raises:
        ConfigError: if it is none of these, or no cluster is found. Where the
            processes do not meet in ``MEETING_SECONDS``, JAX's runtime aborts this
            one with a message of its own.
    """
    if how == "off":
        return
    explicit = {} if how == "auto" else _explicit(how)
    try:
        jax.distributed.initialize(
            **explicit,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            initialization_timeout=MEETING_SECONDS,
        )
    except ValueError as error:
        raise ConfigError(
            f"--distributed={how} finds no cluster that started this process "
            f"({error}); {_FORMS}."
        ) from error


def is_shared() -> bool:
    """Whether this process has met others, or was told to."""
    return jax.distributed.is_initialized()


def speaks() -> bool:
    """Whether this is the process that writes for people; all others are silent."""
    return not is_shared() or jax.process_index() == 0


def name() -> str:
    """This process for an error's message, with a colon; empty if it is alone."""
    if not is_shared():
        return ""
    return f"process {jax.process_index()} of {jax.process_count()}: "


def await_all() -> None:
    """Waits until all processes are here, as long as it takes.

    A collective on a CPU gives up after 30 seconds; call this before one where some
    process may have more to do than that: compile, measure, read.
    """
    if jax.process_count() > 1:
        from orbax.checkpoint import multihost

        name = f"wgan_jax waits, {next(_WAITS)}"
        # Named one by one they meet at the runtime's barrier, not in a collective.
        everybody = set(range(jax.process_count()))
        multihost.sync_global_processes(
            name, timeout=_PATIENCE_SECONDS, processes=everybody
        )


def agreed(value: float) -> float:
    """Process 0's value on all of them, which wait for it as long as it takes.

    Args:
        value: a number; what it is on other processes does not count.

    Returns:
        The same number everywhere.
    """
    if jax.process_count() == 1:
        return value
    await_all()
    return float(multihost_utils.broadcast_one_to_all(np.float64(value)))


def part(code: int) -> int:
    """Leaves the others, at the end of a program; the last thing to call.

    Where all end alike they wait for each other. After a failure nobody may wait,
    for the others may not know of it: the process ends here, and the runtime ends
    the others.

    Args:
        code: the program's exit code.

    Returns:
        The same, if the process goes on.
    """
    if not is_shared():
        return code
    if code in (0, 128 + 15):
        jax.distributed.shutdown()
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _explicit(how: str) -> dict[str, Any]:
    address, *numbers = how.split(",")
    host, _, port = address.rpartition(":")
    well = len(numbers) == 2 and host and port.isdecimal()
    if not (well and all(number.isdecimal() for number in numbers)):
        raise ConfigError(f"--distributed={how} is not understood; {_FORMS}.")
    count, index = map(int, numbers)
    if index >= count:
        raise ConfigError(
            f"--distributed={how}: of {count} processes none has the number {index}; "
            "they are counted from 0."
        )
    return {
        "coordinator_address": address,
        "num_processes": count,
        "process_id": index,
        # Otherwise a cluster's detection would add what was not asked for.
        "cluster_detection_method": "deactivate",
    }
