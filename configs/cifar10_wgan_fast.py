"""WGAN-GP on CIFAR-10, for good pictures in minutes on a CPU.

Paper:   Gulrajani et al. 2017, arXiv:1704.00028, for the loss; Radford, Metz, Chintala
         2015, arXiv:1511.06434, for the networks. One critic update per generator
         update, the penalty in every second one, small batches, learning rates of 1e-3
         and no labels are the result of a search, see docs/results.md.
Command: python launch.py --config=configs/cifar10_wgan_fast.py
Cost:    generator 921,472 and critic 662,977 parameters; 35 iterations per second on
         two cores of an AMD EPYC (Zen 5) with bfloat16 products, 12 minutes in all.
Expect:  ships, horses and cars from iteration 10,000 on (five minutes); kernel distance
         0.68 at iteration 4,000, 0.42 at 10,000 and 0.30 at the end (Lite0 features,
         5,000 samples, JPEG re-compressed images).
"""

import ml_collections

from configs import cifar10_fast


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_fast.get_config()
    with config.unlocked():
        config.objective = "wasserstein"
        config.dataset.labels = False  # with them, the distance falls more slowly
        # As the critic of DCGAN without batch normalization, but with biases.
        config.critic.name = "dcgan_gp"
        config.critic.kernel_size = 4
        config.critic.head = ""
        config.penalty = ml_collections.ConfigDict()
        config.penalty.name = "gradient_penalty"
        config.penalty.weight = 10.0
        config.penalty.every = 2  # interval in critic updates
        for player in ("generator", "critic"):
            config.optimizer[player].learning_rate = 1e-3
            config.optimizer[player].b1 = 0.0
            config.optimizer[player].b2 = 0.9
        config.training.batch_size = 32
        config.training.iterations = 24_000
        config.training.ema_half_life = 20_000  # images
    return config
