"""Generators, critics, and their layers.

To add a pair of networks, write its two linen modules in a file of this package
and add them to the two tables below. A generator has the field ``image_shape``
and is called as ``generator(latent, train=...)``. A critic is called as
``critic(images, train=...)`` and returns one score per example. Conditional
networks have the field ``classes`` and take ``labels`` as their second
argument.
"""

from collections.abc import Callable

from flax import linen as nn

from wgan_jax.networks import (
    article,
    dcgan,
    dcgan_gp,
    mlp,
    r3gan,
    resnet,
    resnet64,
    sngan_cnn,
)
from wgan_jax.networks.heads import HEADS, Head
from wgan_jax.networks.labels import Embedding
from wgan_jax.networks.layers import (
    Conv,
    ConvMeanPool,
    ConvTranspose,
    Dense,
    UpsampleConv,
    conv_glorot,
    conv_he,
    conv_uniform,
)
from wgan_jax.networks.normalization import BatchNorm, LayerNorm
from wgan_jax.networks.parametrization import PARAMETRIZATIONS

GENERATORS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp.Generator,
    "dcgan": dcgan.Generator,
    "dcgan_gp": dcgan_gp.Generator,
    "sngan_cnn": sngan_cnn.Generator,
    "resnet": resnet.Generator,
    "resnet64": resnet64.Generator,
    "r3gan": r3gan.Generator,
    "article": article.Generator,
}

CRITICS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp.Critic,
    "dcgan": dcgan.Critic,
    "dcgan_gp": dcgan_gp.Critic,
    "sngan_cnn": sngan_cnn.Critic,
    "resnet": resnet.Critic,
    "resnet64": resnet64.Critic,
    "r3gan": r3gan.Critic,
    "article": article.Critic,
}

__all__ = [
    "CRITICS",
    "GENERATORS",
    "HEADS",
    "PARAMETRIZATIONS",
    "BatchNorm",
    "Conv",
    "ConvMeanPool",
    "ConvTranspose",
    "Dense",
    "Embedding",
    "Head",
    "LayerNorm",
    "UpsampleConv",
    "conv_glorot",
    "conv_he",
    "conv_uniform",
]
