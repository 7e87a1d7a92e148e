"""WGAN-GP with the 64-pixel residual networks of its paper, on upscaled CIFAR-10.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028. The "good" networks and settings of
         the authors' ``gan_64x64.py``: 512 to 64 channels, layer normalization in
         the critic, constant learning rate. The authors trained on ImageNet at 64
         pixels. That is --config.dataset.name=tfds:downsampled_imagenet/64x64 with
         --config.dataset.resize=None, and takes 16 GB of memory for the images.
Command: python launch.py --config=configs/cifar10_wgan_gp_resnet64.py
Cost:    generator 8,540,483 and critic 7,491,841 parameters; 0.6 GB for the images.
         Requires an accelerator.
Expect:  no score of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.dataset.resize = 64  # pixels; bilinear, when loading
        config.generator.name = "resnet64"
        config.generator.width = 64  # channels of the largest map
        config.critic.name = "resnet64"
        config.critic.width = 64
        for player in ("generator", "critic"):
            config.optimizer[player].b1 = 0.0
    return config
