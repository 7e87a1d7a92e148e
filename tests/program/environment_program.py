"""Trains a few iterations, samples and reports, as three calls of the program.

python environment_program.py WORKDIR [ARRAYS]
"""

import sys

from wgan_jax.program.cli import main

FIELDS = {
    "generator.width": 8,
    "critic.width": 8,
    "training.batch_size": 16,
    "training.iterations": 2,
    "training.n_critic": 1,
    "samples.count": 4,
    "log.every": 1,
    "checkpoint.every": 1,
    "evaluation.count": 50,
    "evaluation.measures": "frechet",
    "evaluation.held_out": "None",
}

if __name__ == "__main__":
    workdir, data = sys.argv[1], sys.argv[2:]
    fields = FIELDS | (
        {"dataset.name": "arrays", "dataset.path": data[0]} if data else {}
    )
    train = [f"--config.{name}={value}" for name, value in fields.items()]
    for mode, flags in (
        ("train", ["--config=digits_wgan_gp", *train]),
        ("sample", []),
        ("report", []),
    ):
        code = main(["wgan-jax", mode, f"--workdir={workdir}", *flags])
        if code:
            sys.exit(code)
