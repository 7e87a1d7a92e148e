"""Generators, critics, and their layers.

To add a pair of networks, write its two linen modules in a file of this package
and add them to the two tables below. A generator has the field ``image_shape``
and is called as ``generator(latent, train=...)``. A critic is called as
``critic(images, train=...)`` and returns one score per example. Conditional
networks have the field ``classes`` and take ``labels`` as their second
argument.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flax import linen as nn

from wgan_jax.errors import unknown
from wgan_jax.io.imports import import_object
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
from wgan_jax.networks.adapters import from_functions, from_nnx, own_network
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
from wgan_jax.networks.standard import standard_operations

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


def find_network(
    table: Mapping[str, Callable[..., nn.Module]], name: str
) -> Callable[..., Any]:
    """Returns the class or function that makes a network.

    Args:
        table: ``GENERATORS`` or ``CRITICS``.
        name: a key of the table, or ``module:object`` for a network of one's
            own: a class of linen or NNX modules, or a function that returns a
            network. Its keyword parameters are options of the config.
            ``image_shape``, ``classes``, ``latent_size`` and ``dtype`` are
            passed if it has them.

    Raises:
        ValueError: if there is no such network.
    """
    if name in table:
        return table[name]
    if ":" not in name:
        raise ValueError(
            f"{unknown(name, table)} Use module:object for a network of your own."
        )
    found = import_object(name)
    if isinstance(found, type) and issubclass(found, nn.Module):
        return found
    if not callable(found):
        raise ValueError(f"{name!r} is neither a class nor a function.")
    return own_network(found, name)


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
    "find_network",
    "from_functions",
    "from_nnx",
    "standard_operations",
]
