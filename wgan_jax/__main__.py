"""``python -m wgan_jax``: the same as ``wgan-jax``."""

import sys

from wgan_jax.program.cli import main

if __name__ == "__main__":
    sys.exit(main())
