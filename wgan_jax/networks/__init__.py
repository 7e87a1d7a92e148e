"""Generators and critics, and the layers they are made of.

To add a pair, write its two linen modules in a file of this folder and one row
of each table below. A generator has the field ``image_shape`` and is called as
``generator(latent, train=...)``; a critic as ``critic(images, train=...)``, and
returns one score an example.
"""

from collections.abc import Callable

from flax import linen as nn

from wgan_jax.networks import dcgan, dcgan_gp, mlp, resnet
from wgan_jax.networks.layers import (
    BatchNorm,
    Conv,
    ConvMeanPool,
    ConvTranspose,
    UpsampleConv,
    conv_glorot,
    conv_he,
    conv_uniform,
)

GENERATORS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp.Generator,
    "dcgan": dcgan.Generator,
    "dcgan_gp": dcgan_gp.Generator,
    "resnet": resnet.Generator,
}

CRITICS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp.Critic,
    "dcgan": dcgan.Critic,
    "dcgan_gp": dcgan_gp.Critic,
    "resnet": resnet.Critic,
}

__all__ = [
    "CRITICS",
    "GENERATORS",
    "BatchNorm",
    "Conv",
    "ConvMeanPool",
    "ConvTranspose",
    "UpsampleConv",
    "conv_glorot",
    "conv_he",
    "conv_uniform",
]
