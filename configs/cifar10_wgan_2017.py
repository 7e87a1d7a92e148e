"""Wasserstein GAN of 2017 on CIFAR-10 with the settings of the authors' code.

Paper:   Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875. Defaults of the authors'
         ``main.py``: CIFAR-10 upscaled to 64 pixels; DCGAN of width 64 with batch
         normalization in both networks; clipping *before* each critic update; 100
         critic updates in each of the first 25 iterations and in every 500th. The
         authors count 25 epochs, end a critic loop at the end of each, and use no
         EMA. Compare their pictures with those of the current weights.
Command: python launch.py --config=configs/cifar10_wgan_2017.py
Cost:    generator 3,576,704 and critic 2,765,568 parameters; 0.6 GB for the images.
         About four times the time of cifar10_wgan per iteration.
Expect:  as cifar10_wgan. No score of these settings was ever published.
"""

import ml_collections

from configs import cifar10_wgan


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan.get_config()
    with config.unlocked():
        config.dataset.resize = 64  # pixels; bilinear, when loading
        config.constraint.before_update = True
    return config
