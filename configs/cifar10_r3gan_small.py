"""Small R3GAN on CIFAR-10: paired loss, R1 and R2, no normalization.

Paper:   Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern Baseline
         GAN", arXiv:2501.05441. Settings of the authors' ``--preset=CIFAR10``
         without labels, at width 96 instead of 768 and batch size 64 instead of
         512. As in the authors' code, these follow half a cosine over the first 20
         million images: learning rates down to a quarter, gamma down to a tenth,
         Adam's b2 from 0.9 to 0.99, the half-life of the EMA from 0 to 5 million
         images, and the probability of augmentation from 0 to 0.55. The
         augmentations are those of DiffAugment instead of the authors'.
Command: python launch.py --config=configs/cifar10_r3gan_small.py
Cost:    generator 527,136 and critic 521,088 parameters (20,732,160 and 20,683,776 at
         the paper's width).
Expect:  the paper reports FID 1.96 at full size after 250 million images. No
         score of this config is reported.
"""

import ml_collections

from configs import cifar10_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = cifar10_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.objective = "relativistic"
        config.penalties = ml_collections.ConfigDict()
        for name in ("r1", "r2"):
            config.penalties[name] = ml_collections.ConfigDict()
            config.penalties[name].name = name
            config.penalties[name].weight = 0.05  # initial gamma
            config.penalties[name].final_weight = 0.005
        config.generator = ml_collections.ConfigDict()
        config.generator.name = "r3gan"
        config.generator.width = 96
        config.generator.cardinality = 12
        config.generator.latent_size = 64
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "r3gan"
        config.critic.width = 96
        config.critic.cardinality = 12
        config.dataset.flip = True  # mirror real images with probability 1/2
        config.augmentation.policy = "color,translation,cutout"
        config.augmentation.probability = 0.0  # initial
        config.augmentation.final_probability = 0.55
        for player in ("generator", "critic"):
            config.optimizer[player].learning_rate = 2e-4
            config.optimizer[player].b1 = 0.0
            config.optimizer[player].b2 = 0.9  # initial
            config.optimizer[player].final_b2 = 0.99
        config.training.n_critic = 1
        config.training.iterations = 400_000
        config.training.ema_decay = None
        config.training.ema_half_life = 5e6  # images
        config.training.ema_initial_half_life = 0.0
        config.training.learning_rate_schedule = "cosine"
        config.training.learning_rate_final = 0.25  # of the initial rate
        config.training.schedule_iterations = 312_500  # 20 million images
    return config
