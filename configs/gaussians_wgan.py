"""Weight clipping on eight Gaussians in the plane, with two small MLPs.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028, figure 1, the weight-clipping
         baseline; clipping mode of the authors' ``gan_toy.py``: RMSProp as in
         TensorFlow 1, clipping at 0.01.
Command: python launch.py --config=configs/gaussians_wgan.py
         (--config.dataset.name=gaussians25 or swiss_roll for the paper's others)
Cost:    generator 527,874 and critic 527,361 parameters.
Expect:  much slower than gaussians_wgan_gp. The clipped critic is nearly linear, and
         the points stay in one cloud for thousands of iterations.
"""

import ml_collections

from configs import gaussians_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = gaussians_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.constraint = ml_collections.ConfigDict()
        config.constraint.name = "clip_weights"
        config.constraint.bound = 0.01  # half side of the box
        for player in ("generator", "critic"):
            config.optimizer[player] = ml_collections.ConfigDict()
            config.optimizer[player].name = "rmsprop_tensorflow"
            config.optimizer[player].learning_rate = 5e-5
    return config
