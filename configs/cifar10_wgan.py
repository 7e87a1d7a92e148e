"""The Wasserstein GAN of 2017, with weight clipping, on CIFAR-10 at 32 pixels.

Paper:   Arjovsky, Chintala, Bottou 2017, "Wasserstein GAN", arXiv:1701.07875;
         settings of the authors' ``main.py``: RMSProp as PyTorch has it, clip at
         0.01, 100 critic updates in each of the first 25 iterations and in every
         500th after, 5 otherwise; DCGAN with batch norm in both networks. The
         authors' code upscales CIFAR-10 to 64 pixels and clips before the
         critic's update; here images stay at 32, and the clip follows the update
         as the paper has it (--config.constraint.before_update=True for the code's
         order).
Command: python launch.py --config=configs/cifar10_wgan.py
Cost:    generator 1,068,928 and critic 663,296 parameters. About 1.3 CPU
         seconds for an iteration of 5 critic updates, 20 times that for a boosted
         one: the first 25 take some minutes on a laptop.
Expect:  a small, slowly falling Wasserstein estimate (its scale is that of the
         clipped critic, not of the images), and blurred but colored scenes
         after some thousand iterations: clipping learns much slower than a
         gradient penalty.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """The experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.constraint = ml_collections.ConfigDict()
        config.constraint.name = "clip_weights"
        config.constraint.bound = 0.01  # half side of the box, batch norm included
        config.constraint.before_update = False  # True: the 2017 code's order

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
        config.training.boosted_every = 500  # and each one divisible by this
    return config
