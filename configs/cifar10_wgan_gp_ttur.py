"""WGAN-GP on CIFAR-10 with two time scales: one fast critic update per iteration.

Paper:   Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge
         to a Local Nash Equilibrium", arXiv:1706.08500: the critic learns three
         times as fast as the generator, with one update per iteration instead of
         five. The authors used 64-pixel networks; this config uses those of
         cifar10_wgan_gp.
Command: python launch.py --config=configs/cifar10_wgan_gp_ttur.py
Cost:    as cifar10_wgan_gp, with a third of the time per iteration.
Expect:  no score of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.optimizer.critic.learning_rate = 3e-4
        config.training.n_critic = 1
    return config
