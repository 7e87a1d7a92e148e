"""WGAN-GP on eight Gaussians in the plane, with two small MLPs.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028, figure 1. Settings of the authors'
         ``gan_toy.py``: 4-layer ReLU MLPs of width 512, penalty weight 0.1.
Command: python launch.py --config=configs/gaussians_wgan_gp.py
         (--config.dataset.name=gaussians25 or swiss_roll for the paper's others)
Cost:    generator 527,874 and critic 527,361 parameters. About 0.25 CPU seconds per
         iteration. The picture converges well before the paper's 100,000
         iterations.
Expect:  the generated points (orange) reach the eight clusters within 2,000
         iterations. Points between the clusters take longer to disappear.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        config.dataset.name = "gaussians8"
        config.generator = ml_collections.ConfigDict()
        config.generator.name = "mlp"
        config.generator.width = 512
        config.generator.latent_size = 2
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "mlp"
        config.critic.width = 512
        config.penalty.weight = 0.1
        config.training.iterations = 100_000
        config.training.batch_size = 256
        config.samples.count = 1_000
        config.evaluation.every = 10_000
        config.evaluation.count = 10_000
        config.evaluation.features = ml_collections.ConfigDict({"name": "pixels"})
        config.evaluation.measures = ("transport", "modes", "sliced", "held_out")
        config.evaluation.best_by = "exact_wasserstein_1"
    return config
