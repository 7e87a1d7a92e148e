"""WGAN-GP on CIFAR-10 with the residual networks of its paper, without labels.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028. Settings of the authors'
         ``gan_cifar_resnet.py`` with both of its label switches off: generator
         width 128 and batch size 128, learning rate decaying to 0, uniform noise
         of one gray level on the images.
Command: python launch.py --config=configs/cifar10_wgan_gp_resnet.py
Cost:    generator 1,204,483 and critic 1,053,825 parameters. About 32 CPU seconds
         per iteration, so it requires an accelerator.
Expect:  the paper reports an inception score of 7.86 on the original images. No
         score of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.generator.name = "resnet"
        config.critic.name = "resnet"
        config.dataset.dequantize = True
        for player in ("generator", "critic"):
            config.optimizer[player].learning_rate = 2e-4
            config.optimizer[player].b1 = 0.0
        config.training.iterations = 100_000
        config.training.generator_batch_size = 128
        config.training.learning_rate_schedule = "linear_decay"
    return config
