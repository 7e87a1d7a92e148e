"""Lock of a run's folder, so that two processes do not train in it at once.

The lock is one of the operating system, on a file with a record of its owner. It ends
with its process, even if that is killed. Some network file systems have no locks, and
some have locks that other hosts do not see; the record is then all there is.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from wgan_jax.errors import WorkdirError
from wgan_jax.io.json_text import parse_json
from wgan_jax.program.console import warn

_BOOT = Path("/proc/sys/kernel/random/boot_id")
# What file systems without locks report.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


@contextmanager
def locked(path: Path, *, log: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of a folder during a block.

    Args:
        path: file of the lock in the folder. It is created if missing, and empty
            afterwards.
        log: function that prints one line.

    Raises:
        WorkdirError: if another process has the lock. The message names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        locks = _lock(file, path)
        before = _record(file)
        if before and not locks:
            _check_owner(before, path)
        if before:
            warn(
                log,
                f"{path.parent} was not released by {_described(before)}; this process "
                "takes over. If both are running, stop one of them.",
            )
        _write(file, {**_here(), "pid": os.getpid(), "since": time.strftime("%F %T")})
        try:
            yield
        finally:
            # Without the record, the next process says that this one has ended.
            with suppress(OSError):
                _write(file, None)


def _lock(file: BinaryIO, path: Path) -> bool:
    """Locks a file; returns False if its file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        owner = _record(file)
        raise WorkdirError(
            f"{path.parent} is in use: {_described(owner)} trains there. Wait until it "
            "has ended, stop it, or use another --workdir."
        ) from error
    return True


def _check_owner(owner: dict[str, Any], path: Path) -> None:
    """Raises WorkdirError unless the process of a record has certainly ended."""
    same_host = owner.get("host") == _here()["host"]
    if same_host and not _is_running(owner):
        return
    raise WorkdirError(
        f"{path.parent} is in use: {_described(owner)} trains there, as {path} says. "
        "Wait until it has ended, stop it, or use another --workdir. If it has ended, "
        f"remove {path}."
    )


def _is_running(owner: dict[str, Any]) -> bool:
    if owner.get("boot") != _here()["boot"]:
        return False
    try:
        os.kill(int(owner["pid"]), 0)
    except PermissionError:
        return True
    except (OSError, KeyError, ValueError, TypeError):
        return False
    return True


def _here() -> dict[str, str]:
    """Returns the host, and the identity of its boot where that is known."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    return {"host": socket.gethostname(), "boot": boot}


def _described(owner: dict[str, Any]) -> str:
    if not owner:
        return "another process"
    return "process {} on {} (since {})".format(
        *(owner.get(name, "?") for name in ("pid", "host", "since"))
    )


def _record(file: BinaryIO) -> dict[str, Any]:
    """Returns the owner; {} if there is none, or it is just being written."""
    file.seek(0)
    try:
        found = parse_json(file.read() or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: BinaryIO, record: dict[str, Any] | None) -> None:
    file.truncate(0)  # the file is opened for appending
    if record is not None:
        file.write(json.dumps(record).encode() + b"\n")
    file.flush()
