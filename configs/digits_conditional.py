"""Class-conditional WGAN-GP on digits: conditional batch norm, projection critic.

Paper:   Miyato, Koyama 2018, "cGANs with Projection Discriminator",
         arXiv:1802.05637; conditional batch normalization of Dumoulin et al. 2016,
         arXiv:1610.07629; the penalty of Gulrajani et al. 2017, arXiv:1704.00028.
Command: python launch.py --config=configs/digits_conditional.py
         (--mode=sample --config.samples.label=3 for one class)
Cost:    generator 223,489 and critic 51,713 parameters; a minute or two on two cores.
Expect:  a picture whose ten columns are the ten digits in order.
"""

import ml_collections

from configs import digits_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = digits_wgan_gp.get_config()
    with config.unlocked():
        config.dataset.labels = True
        config.critic.head = "projection"
        config.training.iterations = 3_000
        config.samples.every = 500
        config.checkpoint.every = 1_000
        config.evaluation.every = 1_000
    return config
