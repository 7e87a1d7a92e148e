"""Runs the program and stops at moments of it, until it is told to go on.

    python tests/faults/at_moment.py FOLDER MOMENT[,MOMENT] launch.py ARGUMENTS

At the first moment the file ``FOLDER/1`` appears, and the program waits until
``FOLDER/1.go`` exists; then the same with 2 for the second one. The program is that of
``launch.py``; only the function of the moment is wrapped, from outside.
"""

import fcntl
import importlib
import os
import runpy
import signal
import sys
import termios
import time
from pathlib import Path
from typing import Any

SECONDS = 60  # that the program waits at most

# Modules and functions, and the call of them at which the program waits.
MOMENTS = {
    "dataset": ("wgan_jax.program.setup", "build_source", 1),
    "compile": ("wgan_jax.program.setup", "Experiment.compile", 1),
    "step": ("wgan_jax.program.setup", "Experiment.put", 4),
    "save": ("wgan_jax.checkpointing.checkpoints", "Checkpoints.save", 2),
    "evaluation": ("wgan_jax.evaluation", "Evaluator.evaluate", 1),
    "preview": ("wgan_jax.program.recorder", "draw_previews", 1),
    "shutdown": ("wgan_jax.checkpointing.checkpoints", "Checkpoints.wait", 1),
    "report": ("wgan_jax.program.live_report", "write_last_report", 1),
    "convert": ("wgan_jax.data.converting", "_check_written", 1),
}
IMPORTED = "optax"  # one of the last packages that the package imports


def announce(folder: Path, number: int) -> None:
    """Tells that a moment has come, and waits."""
    (folder / str(number)).touch()
    end = time.monotonic() + SECONDS
    while not (folder / f"{number}.go").exists() and time.monotonic() < end:
        time.sleep(0.02)


def owner_of(moment: str) -> tuple[Any, str]:
    """Returns the module or class of a moment's function, and the function's name."""
    module, path, _ = MOMENTS[moment]
    owner = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def wrap(folder: Path, number: int, moment: str) -> None:
    """Wraps the function of a moment."""
    owner, name = owner_of(moment)
    function, call = getattr(owner, name), MOMENTS[moment][2]
    calls = 0

    def wrapped(*arguments, **options):
        nonlocal calls
        calls += number == 1 or (folder / str(number - 1)).exists()
        if calls == call and not (folder / str(number)).exists():
            announce(folder, number)
        return function(*arguments, **options)

    setattr(owner, name, wrapped)


class Importing:
    """Finder of modules that announces the import of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name, path=None, target=None):
        """Finds nothing."""
        if name == IMPORTED:
            announce(self.folder, 1)


def as_in_a_terminal() -> None:
    """Undoes what shells do in the background; takes a terminal at stdin as its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


if __name__ == "__main__":
    as_in_a_terminal()
    place, moments, program = Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3]
    sys.argv = sys.argv[3:]
    sys.path[0] = ""
    for index, one in enumerate(moments, 1):
        if one == "imports":
            sys.meta_path.insert(0, Importing(place))
        else:
            wrap(place, index, one)
    runpy.run_path(program, run_name="__main__")
