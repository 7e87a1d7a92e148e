"""WGAN-GP on the Swiss roll in the plane, with two small MLPs.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028, figure 1. Settings of the authors'
         ``gan_toy.py``.
Command: python launch.py --config=configs/swiss_roll_wgan_gp.py
Cost:    as gaussians_wgan_gp.
Expect:  points along the roll within a few thousand iterations.
"""

import ml_collections

from configs import gaussians_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = gaussians_wgan_gp.get_config()
    config.dataset.name = "swiss_roll"
    return config
