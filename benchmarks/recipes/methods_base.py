"""Base of the comparison of methods: WGAN-GP with a DCGAN pair of width 64.

All methods share the networks' widths, the batch size, the EMA and the precision. Each
has the optimizer, the number of critic updates and the normalization of its paper. The
critic has 4x4 kernels and, unlike that of DCGAN, biases, which matter without batch
normalization.
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
        config.critic.name = "dcgan_gp"
        config.critic.kernel_size = 4
        config.critic.width = 64
        config.critic.batch_norm = False
        config.training.ema_decay = None
        config.training.ema_half_life = 20_000  # images
        config.training.ema_rampup = 0.05
        config.training.compute_dtype = "bfloat16"
        config.training.iterations_per_call = 10
    return config
