"""Weight clipping on CIFAR-10 with its best settings: a plain CNN and Adam.

Paper:   Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, with the settings of
         WGAN in pytorch-gan-collections (github.com/w86763777): CNNs of Miyato et
         al. 2018, arXiv:1802.05957; clipping at 0.1; one critic update; batch size
         128; learning rate decaying to 0. They report FID 40.03 and IS 6.62 on the
         original images.
Command: python launch.py --config=configs/cifar10_wgan_cnn.py
Cost:    generator 3,584,003 and critic 5,860,865 parameters. Requires an accelerator.
Expect:  no score of this config is reported.
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
        config.constraint.bound = 0.1  # half side of the box
        config.dataset.flip = True  # mirror real images with probability 1/2
        config.generator = ml_collections.ConfigDict()
        config.generator.name = "sngan_cnn"
        config.generator.latent_size = 100
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "sngan_cnn"
        for player in ("generator", "critic"):
            config.optimizer[player].learning_rate = 2e-4
            config.optimizer[player].b1 = 0.0
        config.training.iterations = 100_000
        config.training.batch_size = 128
        config.training.n_critic = 1
        config.training.learning_rate_schedule = "linear_decay"
    return config
