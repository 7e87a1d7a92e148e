"""Class-conditional WGAN-GP on CIFAR-10 with an auxiliary head, as in its paper.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028. Defaults of the authors'
         ``gan_cifar_resnet.py``: conditional batch normalization in the
         generator's blocks; classification loss of real images with weight 1 in
         the critic loss, and of generated images with weight 0.1 in the generator
         loss. Fakes in a critic update have the labels of the real batch; fakes in
         a generator update have uniform labels.
Command: python launch.py --config=configs/cifar10_wgan_gp_resnet_acgan.py
Cost:    generator 1,218,307 and critic 1,055,115 parameters. Requires an
         accelerator.
Expect:  the paper reports an inception score of 8.42 on the original images (others
         reached 8.15 at the last iteration). No score of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp_resnet


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp_resnet.get_config()
    with config.unlocked():
        config.dataset.labels = True
        config.critic.head = "auxiliary"
        config.conditional = ml_collections.ConfigDict()
        config.conditional.fake_labels = "real"  # in the critic update
        config.conditional.critic_weight = 1.0  # of the class loss of real images
        config.conditional.generator_weight = 0.1  # of that of generated images
        config.samples.count = 100  # ten columns, one per class
    return config
