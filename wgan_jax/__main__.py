"""Runs the command-line program: ``python -m wgan_jax`` is ``wgan-jax``."""

import sys

from wgan_jax.program.cli import main

if __name__ == "__main__":
    sys.exit(main())
