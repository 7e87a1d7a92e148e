"""WGAN-GP with the 64-pixel residual pair of its paper, on upscaled CIFAR-10.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028; the "good" pair and settings of
         the authors' ``gan_64x64.py``: 512 to 64 channels, layer norm in the
         critic, no decay. They trained on ImageNet at 64 pixels, which is
         --config.dataset.name=tfds:downsampled_imagenet/64x64 with
         --config.dataset.resize=None and 16 GB of memory for the images.
Command: python launch.py --config=configs/cifar10_wgan_gp_resnet64.py
Cost:    generator 8,540,483 and critic 7,491,841 parameters; 0.6 GB for the images. A
         run for an accelerator.
Expect:  no score of ours is claimed here.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """The experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.dataset.resize = 64  # pixels; bilinear, once, when loaded
        config.generator.name = "resnet64"
        config.generator.width = 64  # channels of the image-sized map
        config.critic.name = "resnet64"
        config.critic.width = 64
        for player in ("generator", "critic"):
            config.optimizer[player].b1 = 0.0
    return config
