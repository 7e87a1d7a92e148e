"""Generator and discriminator of docs/article.md, from its formulas, on digits.

Paper:   none; the two formulas of a popular article, G(z) = sigmoid(W z / 2 + b) h^T
         with h = tanh(W2 z + b2), and f(x) = (tanh(conv(x)) + 1)^2 / 2 before a
         linear layer. Trained as the original GAN, arXiv:1406.2661.
Command: python launch.py --config=configs/digits_article.py
         (--config.generator.rank=8 for eight products per channel)
Cost:    generator 528 and critic 2,689 parameters; half a minute on two cores.
Expect:  stripes. With one product per channel, all rows of an image are multiples of
         each other, so no digit can be drawn. With rank 8, strokes appear.
"""

import ml_collections

from configs import digits_gan


def get_config() -> ml_collections.ConfigDict:
    """Returns the experiment."""
    config = digits_gan.get_config()
    with config.unlocked():
        config.generator = ml_collections.ConfigDict()
        config.generator.name = "article"
        config.generator.rank = 1  # outer products per channel; 1 in the article
        config.generator.latent_size = 32
        config.critic = ml_collections.ConfigDict()
        config.critic.name = "article"
        config.critic.width = 64  # channels of the feature map
        config.critic.kernel_size = 5
        config.critic.stride = 2
    return config
