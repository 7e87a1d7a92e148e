"""WGAN-GP on CIFAR-10 by class, with an auxiliary head, as its paper's supervised run.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028; the defaults of the
         authors' ``gan_cifar_resnet.py``: batch norm by class in the generator's
         blocks, class loss of real images at weight 1 in the critic's loss and of
         generated ones at 0.1 in the generator's; fakes of a critic update have
         the labels of the real batch, those of a generator update uniform ones.
Command: python launch.py --config=configs/cifar10_wgan_gp_resnet_acgan.py
Cost:    generator 1,218,307 and critic 1,055,115 parameters. A run for an
         accelerator.
Expect:  the paper reports an inception score of 8.42 on the original images
         (others reached 8.15 at the last iteration); no score of ours is claimed
         here.
"""

import ml_collections

from configs import cifar10_wgan_gp_resnet


def get_config() -> ml_collections.ConfigDict:
    """The experiment."""
    config = cifar10_wgan_gp_resnet.get_config()
    with config.unlocked():
        config.dataset.labels = True
        config.critic.head = "auxiliary"
        config.conditional = ml_collections.ConfigDict()
        config.conditional.fake_labels = "real"  # in the critic's update
        config.conditional.critic_weight = 1.0  # of the class loss of real images
        config.conditional.generator_weight = 0.1  # and of generated ones
        config.samples.count = 100  # ten columns, one a class
    return config
