"""Weight-clipping baseline of the WGAN-GP paper on Fashion-MNIST, with batch norm.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028; clipping mode of the authors'
         ``gan_mnist.py``: RMSProp as in TensorFlow 1, clipping at 0.01, batch
         normalization in both networks.
Command: python launch.py --config=configs/fashion_mnist_wgan.py
         (--config.dataset.name=mnist for digits)
Cost:    generator 1,562,753 and critic 1,030,913 parameters; as
         fashion_mnist_wgan_gp, without its penalty.
Expect:  garments, later and rougher than with the penalty.
"""

import ml_collections

from configs import fashion_mnist_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = fashion_mnist_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.constraint = ml_collections.ConfigDict()
        config.constraint.name = "clip_weights"
        config.constraint.bound = 0.01  # half side of the box
        config.generator.batch_norm = True
        config.critic.batch_norm = True
        for player in ("generator", "critic"):
            config.optimizer[player] = ml_collections.ConfigDict()
            config.optimizer[player].name = "rmsprop_tensorflow"
            config.optimizer[player].learning_rate = 5e-5
    return config
