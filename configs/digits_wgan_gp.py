"""WGAN-GP on scikit-learn's digits: real 8x8 scans, no download, a few minutes.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028, with small convolutional networks.
Command: python launch.py --config=configs/digits_wgan_gp.py
Cost:    generator 149,761 and critic 10,753 parameters. About 0.04 CPU seconds per
         iteration: one to two minutes on two cores, including compilation.
Expect:  recognizable digits in the last picture of runs/digits_wgan_gp/samples.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.dataset.name = "digits"
        config.generator.width = 256
        config.generator.latent_size = 32
        config.critic.width = 256
        for player in ("generator", "critic"):
            config.optimizer[player].learning_rate = 5e-4
        config.training.iterations = 2_000
        config.training.ema_decay = 0.99
        config.checkpoint.every = 500
        config.samples.every = 250
        config.samples.count = 100
        config.evaluation.every = 500
        config.evaluation.count = 1_500
        config.evaluation.features = ml_collections.ConfigDict({"name": "pixels"})
        config.evaluation.measures = (
            "frechet",
            "kernel",
            "manifold",
            "sliced",
            "held_out",
        )
    return config
