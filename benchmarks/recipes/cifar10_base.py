"""Base of the trials on CIFAR-10: DCGAN pair of width 64, non-saturating loss."""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.objective = "non_saturating"
        config.dataset.flip = True
        config.generator = ml_collections.ConfigDict()
        config.generator.name = "dcgan"
        config.generator.width = 64
        config.generator.latent_size = 128
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "dcgan"
        config.critic.width = 64
        for player in ("generator", "critic"):
            config.optimizer[player].learning_rate = 2e-4
            config.optimizer[player].b1 = 0.5
            config.optimizer[player].b2 = 0.999
        config.training.n_critic = 1
        config.training.batch_size = 64
        config.training.ema_decay = 0.999
        config.training.compute_dtype = "bfloat16"
        config.training.iterations_per_call = 10
    return config
