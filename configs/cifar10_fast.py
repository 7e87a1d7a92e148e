"""Class-conditional DCGAN on CIFAR-10, for good pictures in minutes on a CPU.

Paper:   Radford, Metz, Chintala 2015, arXiv:1511.06434, for the networks and the
         non-saturating loss; Heusel et al. 2017, arXiv:1706.08500, for two learning
         rates; Miyato, Koyama 2018, arXiv:1802.05637, for the labels. The settings
         are the best of a search, see docs/results.md.
Command: python launch.py --config=configs/cifar10_fast.py
Cost:    generator 929,536 and critic 704,256 parameters; 18 to 20 iterations per
         second on two cores with bfloat16 products, 35 minutes in all.
Expect:  ships, horses and cars after 10,000 iterations (nine minutes); kernel distance
         0.59 at iteration 4,000, 0.39 at 10,000, 0.30 at 20,000 and 0.28 at the end
         (Lite0 features, 5,000 samples, JPEG re-compressed images). After 20,000
         iterations the critic separates nearly all examples, and progress is slow.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.objective = "non_saturating"
        config.dataset.labels = True
        config.dataset.flip = True  # mirror real images with probability 1/2
        config.generator = ml_collections.ConfigDict()
        config.generator.name = "dcgan"
        config.generator.width = 64
        config.generator.latent_size = 64
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "dcgan"
        config.critic.width = 64
        config.critic.head = "projection"
        for player in ("generator", "critic"):
            config.optimizer[player].b1 = 0.5
            config.optimizer[player].b2 = 0.999
        config.optimizer.generator.learning_rate = 4e-4
        config.optimizer.critic.learning_rate = 2e-4
        config.training.n_critic = 1
        config.training.batch_size = 64
        config.training.iterations = 40_000
        config.training.iterations_per_call = 10
        config.training.learning_rate_schedule = "linear_decay"
        config.training.ema_decay = None
        config.training.ema_half_life = 50_000  # images
        config.training.ema_rampup = 0.05
        config.training.compute_dtype = "auto"
        config.log.every = 100
        config.samples.every = 1_000
        config.samples.count = 100
        config.checkpoint.every = 2_000
    return config
