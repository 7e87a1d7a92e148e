"""WGAN-GP on CIFAR-10 with a wide generator, the best published plain settings.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028, with the settings of WGAN-GP in
         pytorch-gan-collections (github.com/w86763777): SN-GAN's generator of
         width 256, sum pooling in the critic, horizontal flips, no noise on the
         images. They report FID 16.95 and IS 7.95 on the original images.
Command: python launch.py --config=configs/cifar10_wgan_gp_resnet_wide.py
Cost:    generator 4,276,739 and critic 1,053,825 parameters. Requires an
         accelerator.
Expect:  no score of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp_resnet


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp_resnet.get_config()
    with config.unlocked():
        config.generator.width = 256
        config.critic.pool = "sum"  # over the pixels of the last map
        config.dataset.dequantize = False
        config.dataset.flip = True  # mirror real images with probability 1/2
    return config
