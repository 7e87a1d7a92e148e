"""Base of the comparison of methods: WGAN-GP with a DCGAN pair of width 64.

All methods share the networks' widths, the batch size, the EMA and the precision. Each
has the optimizer, the number of critic updates and the normalization of its paper.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.generator = ml_collections.ConfigDict()
        config.generator.name = "dcgan"
        config.generator.width = 64
        config.generator.latent_size = 64
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "dcgan"
        config.critic.width = 64
        config.critic.batch_norm = False
        config.training.compute_dtype = "bfloat16"
        config.training.iterations_per_call = 10
    return config
