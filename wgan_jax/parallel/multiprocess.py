"""Multi-process initialization, barriers and shutdown.

The functions are thin wrappers around ``jax.distributed``. In a single process,
each of them does nothing or returns the local value.
"""

import itertools
import os
import re
import signal
import socket
import sys
from typing import Any

import jax
import numpy as np
from jax.errors import JaxRuntimeError
from jax.experimental import multihost_utils

from wgan_jax.errors import ConfigError

# The runtime ends all processes if one sends no heartbeat for this long. The default of
# 100 s leaves too little of the two minutes stated in the documentation.
HEARTBEAT_SECONDS = 60
INITIALIZATION_SECONDS = 300
_BARRIER_SECONDS = 7 * 24 * 3600  # the runtime itself ends a wait for a dead process
_BARRIERS = itertools.count()  # every barrier needs a new identifier
_NUMBERS: dict[str, int] = {}  # index and count, if given on the command line
# Beginnings of the runtime's messages.
_STATUS = re.compile("(UNKNOWN|INTERNAL|UNAVAILABLE|ABORTED|DEADLINE_EXCEEDED): ")
_FORMS = "use auto, off or COORDINATOR,N,I, such as 10.0.0.1:9876,4,0"


def initialize(how: str) -> None:
    """Joins the processes of one run. Must be called before the first use of JAX.

    Args:
        how: ``off`` for a single process; ``auto`` for the settings of the
            cluster that started this process (SLURM, Open MPI, Kubernetes,
            Cloud TPU, as detected by ``jax.distributed.initialize``); or
            ``COORDINATOR,N,I``: host and port on which process 0 listens, the
            number of processes, and the index of this process.

    Raises:
        ConfigError: if ``how`` is invalid, or no cluster is detected. If the
            processes do not connect within ``INITIALIZATION_SECONDS``, JAX's
            runtime aborts this process with its own message.
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
            initialization_timeout=INITIALIZATION_SECONDS,
        )
    except (ValueError, RuntimeError) as error:  # Kubernetes raises RuntimeError
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--distributed={how} found no cluster that started this process "
            f"({reason}); {_FORMS}."
        ) from error
    if explicit:
        _NUMBERS.update(index=explicit["process_id"], count=explicit["num_processes"])


def is_shared() -> bool:
    """Returns whether this process belongs to a multi-process run."""
    return jax.distributed.is_initialized()


def is_primary() -> bool:
    """Returns whether this is the primary process, which alone logs and writes."""
    return not is_shared() or _number("index") == 0


def process_label() -> str:
    """Returns a prefix such as ``process 1 of 4: `` for messages; empty if alone."""
    if not is_shared():
        return ""
    return f"process {_number('index')} of {_number('count')}: "


def barrier() -> None:
    """Waits until every process has reached this call, without a timeout.

    A collective operation on CPUs times out after 30 seconds. Call this
    function before a collective if a process may be busy for longer, for
    example compiling or evaluating.
    """
    if jax.process_count() > 1:
        from orbax.checkpoint import multihost

        identifier = f"wgan_jax barrier, {next(_BARRIERS)}"
        # If processes are listed, Orbax uses the runtime's barrier and no collective.
        everybody = set(range(jax.process_count()))
        multihost.sync_global_processes(
            identifier, timeout=_BARRIER_SECONDS, processes=everybody
        )


def broadcast_from_primary(value: float) -> float:
    """Returns the primary process's value on every process.

    Args:
        value: a number; ignored on the other processes.

    Returns:
        The value of the primary process.
    """
    if jax.process_count() == 1:
        return value
    barrier()
    # Sent as integers, because JAX without x64 would round float64 values.
    halves = multihost_utils.broadcast_one_to_all(
        np.array([value], np.float64).view(np.uint32)
    )
    return float(np.asarray(halves).view(np.float64)[0])


def is_peer_failure(error: BaseException | None) -> bool:
    """Returns whether an error was caused by the loss of another process.

    Args:
        error: any exception.

    Returns:
        True if JAX's runtime raised the error or one of its causes, and there
        are several processes.
    """
    while error is not None and jax.process_count() > 1:
        if isinstance(error, JaxRuntimeError):
            return True
        # From reading an array whose computation has failed.
        if isinstance(error, ValueError) and _STATUS.match(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def shutdown(code: int) -> int:
    """Shuts down the distributed runtime. Must be called last.

    After success or a stop by SIGTERM, the processes wait for each other. After
    a failure, this process exits immediately, because the others may not know
    of the failure. The runtime then ends them.

    Args:
        code: exit code of the program.

    Returns:
        The exit code, if the process continues.
    """
    if not is_shared():
        return code
    if code in (0, 128 + signal.SIGTERM):
        try:
            jax.distributed.shutdown()
            return code
        except JaxRuntimeError as error:
            reason = str(error).splitlines()[0]
            print(
                f"{process_label()}another process failed ({reason}).", file=sys.stderr
            )
            code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _number(which: str) -> int:
    """Returns ``index`` or ``count``, from the command line if given there."""
    asked = {"index": jax.process_index, "count": jax.process_count}
    return _NUMBERS[which] if which in _NUMBERS else asked[which]()


def _check_free(how: str, explicit: dict[str, Any]) -> None:
    """Raises an error if the coordinator's port is in use, instead of waiting."""
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
                f"({error.strerror}). Use another port on all processes."
            ) from error


def _explicit(how: str) -> dict[str, Any]:
    address, *numbers = how.split(",")
    host, _, port = address.rpartition(":")
    well = len(numbers) == 2 and host and port.isdecimal()
    if not (well and all(number.isdecimal() for number in numbers)):
        raise ConfigError(f"--distributed={how} is not valid; {_FORMS}.")
    count, index = map(int, numbers)
    if not 0 < int(port) < 2**16:
        raise ConfigError(
            f"--distributed={how}: the port is {port}; it must be in 1024 to "
            f"{2**16 - 1}."
        )
    if index >= count:
        raise ConfigError(
            f"--distributed={how}: the index is {index}, but there are {count} "
            "processes, numbered from 0."
        )
    return {
        "coordinator_address": address,
        "num_processes": count,
        "process_id": index,
        # Otherwise a detected cluster would override these values.
        "cluster_detection_method": "deactivate",
    }
