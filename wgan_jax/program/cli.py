"""Command line of ``wgan-jax``, ``python -m wgan_jax`` and ``python launch.py``.

This module prints help, runs one mode, and converts errors that users can fix into
a message and exit status 2. ``flags.py`` parses the flags, ``dispatch.py`` calls
the function of the mode, and each mode is implemented in the module with its name.
"""

import contextlib
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import jax

import wgan_jax
from wgan_jax.errors import USER_ERRORS, CheckpointError, ConfigError, Diverged
from wgan_jax.io.streams import lasting_output
from wgan_jax.parallel import multiprocess
from wgan_jax.program.console import Console, library_logs
from wgan_jax.program.disk import FAILED
from wgan_jax.program.dispatch import run_mode
from wgan_jax.program.environment import ensure_home
from wgan_jax.program.flags import split_level, split_mode
from wgan_jax.program.help import help_text, listed_configs, listed_fields

_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it
# What the same command does after Ctrl-C.
_AGAIN = "the same command starts again"
_AFTERWARDS = {
    "train": "the same command continues from the last checkpoint, or starts again "
    "if there is none",
    "data": "the same command continues a conversion",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one mode.

    Args:
        argv: command line, starting with the program. Defaults to ``sys.argv``.

    Returns:
        The exit status: 0 for success, 2 for a mistake of the user, 1 for a
        failed run, 128 + the number of a signal. After Ctrl-C without ``argv``, the
        process ends without returning.
    """
    own = argv is None
    argv = list(sys.argv if argv is None else argv)
    with contextlib.suppress(AttributeError):  # of a stream that is no file
        # As of stderr: names of files may have characters outside of the encoding.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if own and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        with lasting_output():
            code = _main(argv)
    except KeyboardInterrupt:  # once more, while the first one was handled
        code = _INTERRUPTED
    if own and code == _INTERRUPTED:
        os._exit(code)  # a thread may compile for minutes
    return code


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Handles the first Ctrl-C as Python does; the second ends the process at once.

    A second exception could arrive where Python can only print it.
    """
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt


def _main(argv: list[str]) -> int:
    try:
        mode, rest = split_mode(argv[1:])
        level, rest = split_level(rest)
        done = _information(mode, rest, _program(argv))
    except ConfigError as error:
        _complain(argv, str(error))
        return 2
    if done is not None:
        return done
    ensure_home()
    FAILED.clear()
    try:
        with library_logs(level):
            code = _guarded(argv, mode or "train", rest, Console(level))
    except Exception:
        if not multiprocess.is_shared():
            raise
        traceback.print_exc()
        code = 1
    if FAILED.is_set():
        _exit(code)
    return multiprocess.shutdown(code)


def _exit(code: int) -> NoReturn:
    """Ends the process, without waiting for its threads."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _information(mode: str | None, rest: list[str], program: str) -> int | None:
    """Prints help, the version or configs; returns None for any other command."""
    if "--version" in rest:
        print(f"wgan-jax {wgan_jax.__version__}")
    elif "-h" in rest or "--help" in rest:
        print(help_text(program, mode))
    elif mode == "configs":
        print("\n".join(listed_fields(rest[0]) if rest else listed_configs()))
    else:
        return None
    return 0


def _program(argv: list[str]) -> str:
    """Returns the program as it is called on a command line."""
    path = Path(argv[0])
    if path.name == "__main__.py":
        return "python -m wgan_jax"
    return f"python {path.name}" if path.suffix == ".py" else path.name


def _guarded(argv: list[str], mode: str, rest: list[str], log: Console) -> int:
    """Runs a mode, prints errors that users can fix, and returns the exit status."""
    try:
        return run_mode(mode, rest, command=_command(argv), log=log)
    except USER_ERRORS as error:
        _complain(argv, str(error))
        return 2
    except CheckpointError as error:
        _complain(argv, str(error))
        _exit(2)  # Orbax's threads never exit after a failed write
    except OSError as error:  # a folder that is full, read-only or a file
        where = f"{error.filename}: " if error.filename else ""
        _complain(argv, f"{where}{error.strerror or error}.")
        return 2
    except Diverged as error:
        _complain(argv, str(error))
        return 1
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not multiprocess.is_peer_failure(error):
            raise
        traceback.print_exc()
        _complain(
            argv,
            f"{str(error).splitlines()[0]}; if another process has failed, its log has "
            "the reason. Start all processes again to resume from the last checkpoint.",
        )
        return 1
    except KeyboardInterrupt:
        _complain(argv, f"interrupted; {_AFTERWARDS.get(mode, _AGAIN)}.")
        return _INTERRUPTED


def _command(argv: list[str]) -> str:
    """Returns the command, without the path of an installed program."""
    return f"{_program(argv)} {shlex.join(argv[1:])}".strip()


def _complain(argv: list[str], message: str) -> None:
    name = Path(argv[0]).name
    name = "wgan_jax" if name == "__main__.py" else name
    print(f"{name}: {multiprocess.process_label()}{message}", file=sys.stderr)
