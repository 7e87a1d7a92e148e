"""Train, resume, sample, evaluate, report or plan a Wasserstein GAN.

    python launch.py --config=configs/digits_wgan_gp.py

The same program as the console command ``wgan-jax``; see ``wgan_jax/program/cli.py``.
"""

import contextlib
import os
import signal
import sys
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends the program after Ctrl-C."""
    with contextlib.suppress(OSError):
        os.write(2, b"launch.py: interrupted before it began.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    # The imports take seconds, and an exception in the middle of one has a traceback.
    interactive = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interactive:
        signal.signal(signal.SIGINT, _leave)
    from wgan_jax.program.cli import main

    if interactive:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
