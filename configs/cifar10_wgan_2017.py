"""The Wasserstein GAN of 2017 on CIFAR-10 by the recipe of its authors' code.

Paper:   Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875; the defaults of the
         authors' ``main.py``: CIFAR-10 upscaled to 64 pixels, DCGAN of width 64
         with batch norm in both networks, the clip *before* each critic update,
         100 critic updates in each of the first 25 iterations and in every 500th.
         They count 25 epochs, cut a critic loop at the end of each, and keep no
         average of the generator; the live weights' pictures are theirs.
Command: python launch.py --config=configs/cifar10_wgan_2017.py
Cost:    generator 3,576,704 and critic 2,765,568 parameters; 0.6 GB for the
         images. About four times cifar10_wgan an iteration.
Expect:  as cifar10_wgan. No score of this recipe was ever published.
"""

import ml_collections

from configs import cifar10_wgan


def get_config() -> ml_collections.ConfigDict:
    """The experiment."""
    config = cifar10_wgan.get_config()
    with config.unlocked():
        config.dataset.resize = 64  # pixels; bilinear, once, when loaded
        config.constraint.before_update = True
    return config
