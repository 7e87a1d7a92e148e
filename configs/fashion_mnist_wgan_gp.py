"""WGAN-GP on Fashion-MNIST with the 28-pixel networks of its paper's MNIST run.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028. Settings of the authors'
         ``gan_mnist.py``, with tanh and images in [-1, 1] instead of a sigmoid and
         [0, 1].
Command: python launch.py --config=configs/fashion_mnist_wgan_gp.py
         (--config.dataset.name=mnist for digits)
Cost:    generator 1,554,177 and critic 1,030,145 parameters. About 1.8 CPU seconds
         per iteration.
Expect:  garments of all ten classes after one to two thousand iterations.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.dataset.name = "fashion_mnist"
        config.generator.width = 64
        config.generator.batch_norm = False
        config.critic.width = 64
        config.training.batch_size = 50
    return config
