"""SN-GAN on CIFAR-10 for a few minutes on a large GPU: bfloat16, two critic updates.

Paper:   Miyato et al. 2018, arXiv:1802.05957, for the networks, the hinge loss and
         spectral normalization. Heusel et al. 2017, arXiv:1706.08500, for a critic
         that learns twice as fast as the generator instead of five critic updates.
         According to ``--mode=plan``, kernel launches limit the speed on an H100
         (2,651 per iteration with five critic updates, 837 with one). A batch of
         128 or a generator of width 256 does not take longer than the launches.
         Fewer critic updates therefore leave time for more generator updates. The
         learning rate decays to 0 at the last iteration, so set
         ``training.iterations`` to what the available time allows.
Command: python launch.py --config=configs/cifar10_gpu.py
Cost:    generator 4,276,739 and critic 1,053,824 parameters. 104 iterations per
         second on an H100, measured before convolutions were recorded in CUDA
         graphs. Requires an accelerator; ``benchmarks/accelerator/`` runs it for
         the time available on one.
Expect:  after 8,000 iterations (less than two minutes), recognizable cars, boats and
         horses; other animals are not recognizable. The pictures are in
         docs/accelerator.md.
"""

import ml_collections

from configs import cifar10_sngan


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
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
