"""Class labels in networks: their checks, and embeddings of them."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from wgan_jax.networks.parametrization import parametrize
from wgan_jax.types import Array

Initializer = nn.initializers.Initializer


def check_labels(owner: str, classes: int, labels: Array | None) -> None:
    """Refuse labels that a network does not read, and their absence where it does.

    Args:
        owner: the network, for the sentence.
        classes: it knows; 0 if it reads no labels.
        labels: what it was called with: ``[B]`` integers, or None.

    Raises:
        ValueError: if they do not fit.
    """
    if classes == 0 and labels is not None:
        raise ValueError(
            f"{owner}: was given labels, but is not conditional; set its field "
            "classes to the number of classes, or call it without labels."
        )
    if classes > 0 and labels is None:
        raise ValueError(
            f"{owner}: knows {classes} classes, and must be called with labels."
        )
    if labels is not None and (
        labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer)
    ):
        raise ValueError(
            f"{owner}: labels are {labels.dtype} of shape {labels.shape}, and must be "
            "integers of shape [B]."
        )


def check_generator(
    owner: str, classes: int, labels: Array | None, *, batch_norm: bool
) -> None:
    """``check_labels`` of a generator whose batch normalization reads them.

    Args:
        owner: the generator, for the sentence.
        classes: it knows; 0 if it reads no labels.
        labels: what it was called with: ``[B]`` integers, or None.
        batch_norm: whether it normalizes.

    Raises:
        ValueError: if they do not fit, or nothing would read the labels.
    """
    check_labels(owner, classes, labels)
    if classes and not batch_norm:
        raise ValueError(
            f"{owner}: has {classes} classes and no batch norm, which is where labels "
            "enter; set batch_norm, or leave the classes out."
        )


def rows(table: Array, labels: Array) -> Array:
    """``[classes, C], [B] -> [B, C]``; NaN for a label that is no class."""
    return jnp.take(table, labels, axis=0, mode="fill", fill_value=jnp.nan)


class Embedding(nn.Module):
    """A learned vector for each class.

    Attributes:
        classes: how many.
        features: C, length of a vector.
        kernel_init: of the table ``[classes, C]``.
        parametrization: of the table, a row of ``PARAMETRIZATIONS``.
        dtype: of the result; None is that of the table.
        param_dtype: of the table.
    """

    classes: int
    features: int
    kernel_init: Initializer = nn.initializers.normal(1.0)
    parametrization: str = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, labels: Array) -> Array:
        """``[B]`` integers to ``[B, C]``."""
        shape = (self.classes, self.features)
        table = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        table = parametrize(self, table, name=self.parametrization, axis=-1)
        (table,) = promote_dtype(table, dtype=self.dtype)
        return rows(table, labels)
