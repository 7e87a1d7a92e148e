"""Several processes as one run: how they meet, agree and part.

JAX's own runtime does the work; here is what a program has to know of it. All of
it does nothing, or the plain thing, in a process that is alone.
"""

import itertools
import os
import signal
import socket
import sys
from typing import Any

import jax
import numpy as np
from jax.errors import JaxRuntimeError
from jax.experimental import multihost_utils

from wgan_jax.binding import ConfigError

# After this long without a sign of life of one process the runtime ends the others.
# Its default of 100 s leaves too little of the two minutes that users are promised.
HEARTBEAT_SECONDS = 60
MEETING_SECONDS = 300
_PATIENCE_SECONDS = 7 * 24 * 3600  # the runtime ends a wait for one that has died
_WAITS = itertools.count()  # JAX wants a name for each that was never used
_NUMBERS: dict[str, int] = {}  # of this process and of all, where the user said so
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
    if explicit:
        _check_free(how, explicit)
    try:
        jax.distributed.initialize(
            **explicit,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            initialization_timeout=MEETING_SECONDS,
        )
    except (ValueError, RuntimeError) as error:  # the latter of Kubernetes
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--distributed={how} finds no cluster that started this process "
            f"({reason}); {_FORMS}."
        ) from error
    if explicit:
        _NUMBERS.update(index=explicit["process_id"], count=explicit["num_processes"])


def is_shared() -> bool:
    """Whether this process has met others, or was told to."""
    return jax.distributed.is_initialized()


def speaks() -> bool:
    """Whether this is the process that writes for people; all others are silent."""
    return not is_shared() or _number("index") == 0


def name() -> str:
    """This process for an error's message, with a colon; empty if it is alone."""
    if not is_shared():
        return ""
    return f"process {_number('index')} of {_number('count')}: "


def await_all() -> None:
    """Waits until all processes are here, as long as it takes.

    A collective on a CPU gives up after 30 seconds; call this before one where some
    process may have more to do than that: compile, measure, read.
    """
    if jax.process_count() > 1:
        from orbax.checkpoint import multihost

        barrier = f"wgan_jax waits, {next(_WAITS)}"
        # Named one by one they meet at the runtime's barrier, not in a collective.
        everybody = set(range(jax.process_count()))
        multihost.sync_global_processes(
            barrier, timeout=_PATIENCE_SECONDS, processes=everybody
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
    # As integers: without x64 JAX would round a float64.
    halves = multihost_utils.broadcast_one_to_all(
        np.array([value], np.float64).view(np.uint32)
    )
    return float(np.asarray(halves).view(np.float64)[0])


def is_lost(error: BaseException | None) -> bool:
    """Whether an error, or what it followed, says that another process is gone.

    Args:
        error: any.

    Returns:
        True if JAX's runtime raised one of them, and this process is not alone.
    """
    while error is not None and jax.process_count() > 1:
        if isinstance(error, JaxRuntimeError):
            return True
        error = error.__cause__ or error.__context__
    return False


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
    if code in (0, 128 + signal.SIGTERM):
        try:
            jax.distributed.shutdown()
            return code
        except JaxRuntimeError as error:
            reason = str(error).splitlines()[0]
            print(f"{name()}another process failed ({reason}).", file=sys.stderr)
            code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _number(which: str) -> int:
    """``index`` or ``count``; known without JAX's devices where the user said it."""
    asked = {"index": jax.process_index, "count": jax.process_count}
    return _NUMBERS[which] if which in _NUMBERS else asked[which]()


def _check_free(how: str, explicit: dict[str, Any]) -> None:
    """Refuses a port that something else listens on: JAX would wait for it."""
    if explicit["process_id"] != 0:
        return
    port = int(explicit["coordinator_address"].rpartition(":")[2])
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError as error:
            raise ConfigError(
                f"--distributed={how}: process 0 cannot listen on port {port} "
                f"({error.strerror}); use another, for all processes."
            ) from error


def _explicit(how: str) -> dict[str, Any]:
    address, *numbers = how.split(",")
    host, _, port = address.rpartition(":")
    well = len(numbers) == 2 and host and port.isdecimal()
    if not (well and all(number.isdecimal() for number in numbers)):
        raise ConfigError(f"--distributed={how} is not understood; {_FORMS}.")
    count, index = map(int, numbers)
    if not 0 < int(port) < 2**16:
        raise ConfigError(
            f"--distributed={how}: there is no port {port}; use 1024 to {2**16 - 1}."
        )
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
