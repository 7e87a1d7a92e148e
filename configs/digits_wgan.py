"""Wasserstein GAN of 2017 with weight clipping on scikit-learn's digits.

Paper:   Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, with the networks of
         digits_wgan_gp without batch normalization in the critic; RMSProp as in
         PyTorch.
Command: python launch.py --config=configs/digits_wgan.py
Cost:    generator 149,761 and critic 10,753 parameters; a minute or two on two cores.
Expect:  recognizable digits, rougher than with the penalty. The scale of the
         Wasserstein estimate is that of the clipped critic, not of the images.
"""

import ml_collections

from configs import digits_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = digits_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.constraint = ml_collections.ConfigDict()
        config.constraint.name = "clip_weights"
        config.constraint.bound = 0.05  # half side of the box
        for player in ("generator", "critic"):
            config.optimizer[player] = ml_collections.ConfigDict()
            config.optimizer[player].name = "rmsprop"
            config.optimizer[player].learning_rate = 5e-4
        config.training.iterations = 4_000
        config.samples.every = 500
        config.checkpoint.every = 1_000
        config.evaluation.every = 1_000
    return config
