"""Original GAN on scikit-learn's digits: no Wasserstein distance, no penalty.

Paper:   Goodfellow et al. 2014, "Generative Adversarial Networks",
         arXiv:1406.2661, with the non-saturating generator loss of its section 3
         and the networks of digits_wgan_gp; Adam as in Radford et al. 2015,
         arXiv:1511.06434.
Command: python launch.py --config=configs/digits_gan.py
         (--config.objective=minimax or maximum_likelihood for other losses)
Cost:    generator 149,761 and critic 10,753 parameters; half a minute on two cores.
Expect:  recognizable digits in the last picture. The logged score gap is a
         difference of logits, not a distance.
"""

import ml_collections

from configs import digits_wgan_gp


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = digits_wgan_gp.get_config()
    with config.unlocked():
        del config.penalty
        config.objective = "non_saturating"  # sigmoid cross-entropy on logits
        for player in ("generator", "critic"):
            config.optimizer[player].learning_rate = 2e-4
            config.optimizer[player].b2 = 0.999
        config.training.n_critic = 1
        config.training.iterations = 6_000
        config.samples.every = 1_000
        config.checkpoint.every = 2_000
        config.evaluation.every = 2_000
    return config
