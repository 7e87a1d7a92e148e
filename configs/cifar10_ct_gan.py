"""CT-GAN on CIFAR-10: WGAN-GP with a consistency term on real images.

Paper:   Wei et al. 2018, "Improving the Improved Training of Wasserstein GANs",
         arXiv:1803.01541. Settings of the authors' ``CT_gan_cifar_resnet.py``
         without labels: dropout after the last three blocks of the critic in
         every pass, two passes over the real images, margin 0. The weight is the
         authors' factor 2 on the distance of the scores; the distance of the
         features has 0.1 of that.
Command: python launch.py --config=configs/cifar10_ct_gan.py
Cost:    generator 1,204,483 and critic 1,053,825 parameters; two more passes per
         critic update than cifar10_wgan_gp_resnet.
Expect:  the paper reports an inception score of 8.12 on the original images. No
         score of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp_resnet


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp_resnet.get_config()
    with config.unlocked():
        config.critic.dropout = (0.2, 0.5, 0.5)  # rates after blocks 2, 3 and 4
        config.penalties = ml_collections.ConfigDict()
        config.penalties.consistency = ml_collections.ConfigDict()
        config.penalties.consistency.name = "consistency"
        config.penalties.consistency.weight = 2.0
        config.penalties.consistency.feature_weight = 0.1
        config.penalties.consistency.margin = 0.0
    return config
