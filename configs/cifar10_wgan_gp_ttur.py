"""WGAN-GP on CIFAR-10 at two time scales: one fast critic update an iteration.

Paper:   Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge
         to a Local Nash Equilibrium", arXiv:1706.08500: the critic learns three
         times as fast as the generator, once an iteration instead of five times.
         They ran it on a 64-pixel pair; this is the pair of cifar10_wgan_gp.
Command: python launch.py --config=configs/cifar10_wgan_gp_ttur.py
Cost:    as cifar10_wgan_gp for a third of its time an iteration.
Expect:  no score of ours is claimed here.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """The experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.optimizer.critic.learning_rate = 3e-4
        config.training.n_critic = 1
    return config
