"""SN-GAN on CIFAR-10: spectral normalization of every layer, hinge loss.

Paper:   Miyato et al. 2018, "Spectral Normalization for Generative Adversarial
         Networks", arXiv:1802.05957. Settings of the authors'
         ``sn_cifar10_unconditional.yml``: residual networks; generator width 256
         and batch size 128; critic width 128 with sum pooling and no bias in its
         last layer; learning rate decaying to 0 over 50,000 iterations. The
         authors' code updates the generator first in each iteration; here the
         critic is updated first.
Command: python launch.py --config=configs/cifar10_sngan.py
Cost:    generator 4,276,739 and critic 1,053,824 parameters. Requires an
         accelerator.
Expect:  the paper reports FID 21.7 and IS 8.22 on the original images. No score
         of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp_resnet


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp_resnet.get_config()
    with config.unlocked():
        del config.penalty
        config.objective = "hinge"
        config.generator.width = 256
        config.critic.parametrization = "spectral"
        config.critic.pool = "sum"  # over the pixels of the last map
        config.critic.output_bias = False
        config.training.iterations = 50_000
    return config
