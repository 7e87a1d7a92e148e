"""Train, resume, sample, evaluate, report or plan a Wasserstein GAN.

    python launch.py --config=configs/digits_wgan_gp.py

The same program as the console command ``wgan-jax``; see ``wgan_jax/program/cli.py``.
"""

import sys

from wgan_jax.program.cli import main

if __name__ == "__main__":
    sys.exit(main())
