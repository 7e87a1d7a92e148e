"""Minutes of one large GPU on CIFAR-10: SN-GAN in bfloat16, two critic updates.

Paper:   Miyato et al. 2018, arXiv:1802.05957, for networks, hinge loss and spectral
         normalization; Heusel et al. 2017, arXiv:1706.08500, for a critic that learns
         twice as fast as the generator instead of five updates of it.
         By ``--mode=plan`` the starts of kernels bind on an H100 (2,651 in an
         iteration of five critic updates, 837 with one), and neither a batch of 128
         nor a generator of width 256 costs more than they do. So fewer updates of
         the critic leave more of the generator's. The learning rate falls to 0 at
         the last iteration: choose ``training.iterations`` by the time there is.
Command: python launch.py --config=configs/cifar10_gpu.py
Cost:    generator 4,276,739 and critic 1,053,824 parameters. 104 iterations a second
         on an H100 before convolutions were recorded in CUDA graphs. A run for an
         accelerator; ``benchmarks/accelerator/`` runs it for as long as a visit to
         one lasts.
Expect:  after 8,000 iterations, under two minutes, cars, boats and horses that can
         be told, and animals that cannot: docs/accelerator.md has the pictures.
"""

import ml_collections

from configs import cifar10_sngan


def get_config() -> ml_collections.ConfigDict:
    """The experiment."""
    config = cifar10_sngan.get_config()
    with config.unlocked():
        config.dataset.flip = True  # mirror real images with probability 1/2
        config.optimizer.critic.learning_rate = 4e-4
        config.training.compute_dtype = "bfloat16"
        config.training.n_critic = 2
        config.training.batch_size = 128
        config.training.iterations = 30_000
        config.training.iterations_per_call = 10
        config.training.ema_decay = 0.9995
        config.log.every = 100
        config.samples.every = 1_000
        config.checkpoint.every = 5_000
        config.checkpoint.keep = 1
    return config
