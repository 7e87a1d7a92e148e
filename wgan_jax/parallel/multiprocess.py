"""Multi-process initialization, barriers and shutdown.

Thin wrappers around ``jax.distributed``. In a single process each of them does
nothing, or returns the local value.
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

from wgan_jax.errors import ConfigError

# The runtime ends all processes when one has been silent for this long. Its default
# of 100 s leaves too little of the two minutes that the documentation promises.
HEARTBEAT_SECONDS = 60
INITIALIZATION_SECONDS = 300
_BARRIER_SECONDS = 7 * 24 * 3600  # the runtime ends a wait for a dead process
_BARRIERS = itertools.count()  # every barrier needs a new identifier
_NUMBERS: dict[str, int] = {}  # index and count, if given on the command line
_FORMS = "give auto, off or COORDINATOR,N,I, such as 10.0.0.1:9876,4,0"


def initialize(how: str) -> None:
    """Joins the processes of one run. Call it before the first use of JAX.

    Args:
        how: ``off``, one process; ``auto``, as the cluster says that started this
            process (SLURM, Open MPI, Kubernetes, Cloud TPU: what
            ``jax.distributed.initialize`` finds out by itself); or
            ``COORDINATOR,N,I``: host and port on which process 0 listens, the
            number of processes, and which one of them this is.

    Raises:
        ConfigError: if ``how`` is none of these, or no cluster is found. If the
            processes do not connect within ``INITIALIZATION_SECONDS``, JAX's runtime
            aborts this one with a message of its own.
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
    except (ValueError, RuntimeError) as error:  # the latter of Kubernetes
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--distributed={how} finds no cluster that started this process "
            f"({reason}); {_FORMS}."
        ) from error
    if explicit:
        _NUMBERS.update(index=explicit["process_id"], count=explicit["num_processes"])


def is_shared() -> bool:
    """Whether this process belongs to a multi-process run."""
    return jax.distributed.is_initialized()


def is_primary() -> bool:
    """Whether this is the primary process, the only one that logs and writes."""
    return not is_shared() or _number("index") == 0


def process_label() -> str:
    """Prefix for error messages, such as ``process 1 of 4: ``; empty if alone."""
    if not is_shared():
        return ""
    return f"process {_number('index')} of {_number('count')}: "


def barrier() -> None:
    """Waits until every process has reached this call, without a timeout.

    A collective on a CPU times out after 30 seconds. Call this before a collective
    when one process may be busy for longer, compiling or evaluating.
    """
    if jax.process_count() > 1:
        from orbax.checkpoint import multihost

        identifier = f"wgan_jax barrier, {next(_BARRIERS)}"
        # With the processes listed, Orbax uses the runtime's barrier, not a collective.
        everybody = set(range(jax.process_count()))
        multihost.sync_global_processes(
            identifier, timeout=_BARRIER_SECONDS, processes=everybody
        )


def broadcast_from_primary(value: float) -> float:
    """Returns the primary process's value on every process.

    Args:
        value: a number; ignored on the other processes.

    Returns:
        The same number everywhere.
    """
    if jax.process_count() == 1:
        return value
    barrier()
    # As integers: without x64 JAX would round a float64.
    halves = multihost_utils.broadcast_one_to_all(
        np.array([value], np.float64).view(np.uint32)
    )
    return float(np.asarray(halves).view(np.float64)[0])


def is_peer_failure(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, was raised by a lost process.

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


def shutdown(code: int) -> int:
    """Shuts the distributed runtime down. Call it last.

    After success, or a stop by SIGTERM, the processes wait for each other. After a
    failure the process exits at once, since the others may not know of it, and the
    runtime ends them.

    Args:
        code: the program's exit code.

    Returns:
        The exit code, if the process goes on.
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
    """``index`` or ``count``, from the command line if it was given there."""
    asked = {"index": jax.process_index, "count": jax.process_count}
    return _NUMBERS[which] if which in _NUMBERS else asked[which]()


def _check_free(how: str, explicit: dict[str, Any]) -> None:
    """Raises if the coordinator's port is in use; JAX would wait for it."""
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
        raise ConfigError(f"--distributed={how} is not valid; {_FORMS}.")
    count, index = map(int, numbers)
    if not 0 < int(port) < 2**16:
        raise ConfigError(
            f"--distributed={how}: there is no port {port}; use 1024 to {2**16 - 1}."
        )
    if index >= count:
        raise ConfigError(
            f"--distributed={how}: process {index} of {count} does not exist; "
            "processes are numbered from 0."
        )
    return {
        "coordinator_address": address,
        "num_processes": count,
        "process_id": index,
        # Otherwise a detected cluster would override these values.
        "cluster_detection_method": "deactivate",
    }
