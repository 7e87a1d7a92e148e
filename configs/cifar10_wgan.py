"""Wasserstein GAN of 2017 with weight clipping on CIFAR-10 at 32 pixels.

Paper:   Arjovsky, Chintala, Bottou 2017, "Wasserstein GAN", arXiv:1701.07875.
         Settings of the authors' ``main.py``: RMSProp as in PyTorch; clipping at
         0.01; 100 critic updates in each of the first 25 iterations and in every
         500th iteration, otherwise 5; DCGAN with batch normalization in both
         networks. The authors' code upscales CIFAR-10 to 64 pixels and clips
         before the critic update. Here, images stay at 32 pixels, and weights are
         clipped after the update as in the paper
         (--config.constraint.before_update=True for the order of the code).
Command: python launch.py --config=configs/cifar10_wgan.py
Cost:    generator 1,068,928 and critic 663,296 parameters. About 1.3 CPU seconds per
         iteration of 5 critic updates and 20 times as much per boosted iteration.
         The first 25 iterations take some minutes on a laptop.
Expect:  a small, slowly decreasing Wasserstein estimate (its scale is that of the
         clipped critic, not of the images), and blurred but colored scenes after
         some thousand iterations. Weight clipping learns much more slowly than a
         gradient penalty.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.constraint = ml_collections.ConfigDict()
        config.constraint.name = "clip_weights"
        config.constraint.bound = 0.01  # half side of the box; includes batch norm
        config.constraint.before_update = False  # True: as in the 2017 code

        config.generator = ml_collections.ConfigDict()
        config.generator.name = "dcgan"
        config.generator.width = 64
        config.generator.latent_size = 100
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "dcgan"
        config.critic.width = 64

        for player in ("generator", "critic"):
            config.optimizer[player] = ml_collections.ConfigDict()
            config.optimizer[player].name = "rmsprop"
            config.optimizer[player].learning_rate = 5e-5

        config.training.iterations = 100_000
        config.training.boosted_n_critic = 100  # critic updates in boosted iterations
        config.training.boosted_first = 25  # iterations 0 .. 24 are boosted
        config.training.boosted_every = 500  # iterations divisible by it are boosted
    return config
