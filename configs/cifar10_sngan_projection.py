"""Class-conditional SN-GAN on CIFAR-10 with a projection critic.

Paper:   Miyato, Koyama 2018, "cGANs with Projection Discriminator",
         arXiv:1802.05637. Settings of the authors'
         ``sn_cifar10_conditional.yml``: the labels of all fakes are drawn
         uniformly.
Command: python launch.py --config=configs/cifar10_sngan_projection.py
Cost:    generator 4,304,387 and critic 1,055,104 parameters. Requires an
         accelerator.
Expect:  no score of this config is reported.
"""

import ml_collections

from configs import cifar10_sngan


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_sngan.get_config()
    with config.unlocked():
        config.dataset.labels = True
        config.critic.head = "projection"
        config.conditional = ml_collections.ConfigDict()
        config.conditional.fake_labels = "uniform"  # in the critic update
        config.samples.count = 100  # ten columns, one per class
    return config
