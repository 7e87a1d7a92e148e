"""Checks and embeddings of class labels in networks."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from wgan_jax.networks.parametrization import parametrize
from wgan_jax.types import Array

Initializer = nn.initializers.Initializer


def check_labels(owner: str, classes: int, labels: Array | None) -> None:
    """Raises an error if labels are missing or unexpected.

    Args:
        owner: name of the network, for the error message.
        classes: number of classes of the network; 0 if it takes no labels.
        labels: labels the network was called with: integer ``[B]``, or None.

    Raises:
        ValueError: if the labels do not match the network.
    """
    if classes == 0 and labels is not None:
        raise ValueError(
            f"{owner}: labels were given, but classes is 0. Set classes to the number "
            "of classes, or omit the labels."
        )
    if classes > 0 and labels is None:
        raise ValueError(
            f"{owner}: labels are missing; with classes={classes} they are required."
        )
    if labels is not None and (
        labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer)
    ):
        raise ValueError(
            f"{owner}: labels are {labels.dtype} of shape {labels.shape}; they must be "
            "integers of shape [B]."
        )


def check_generator(
    owner: str, classes: int, labels: Array | None, *, batch_norm: bool
) -> None:
    """Checks the labels of a generator with conditional batch normalization.

    Args:
        owner: name of the generator, for the error message.
        classes: number of classes of the generator; 0 if it takes no labels.
        labels: labels the generator was called with: integer ``[B]``, or None.
        batch_norm: whether the generator uses batch normalization.

    Raises:
        ValueError: if the labels do not match the generator, or if there are
            classes but no batch normalization to use them.
    """
    check_labels(owner, classes, labels)
    if classes and not batch_norm:
        raise ValueError(
            f"{owner}: classes is {classes}, but there is no batch norm, which applies "
            "the labels. Set batch_norm to True, or classes to 0."
        )


def rows(table: Array, labels: Array) -> Array:
    """Looks up ``[classes, C], [B] -> [B, C]``; NaN for out-of-range labels."""
    found = jnp.asarray(table).at[labels]
    return found.get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)


class Embedding(nn.Module):
    """Learned vector for each class.

    Attributes:
        classes: number of classes.
        features: length C of each vector.
        kernel_init: initializer of the table ``[classes, C]``.
        parametrization: of the table; a key of ``PARAMETRIZATIONS``.
        dtype: dtype of the result; None uses that of the table.
        param_dtype: dtype of the table.
    """

    classes: int
    features: int
    kernel_init: Initializer = nn.initializers.normal(1.0)
    parametrization: str = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, labels: Array) -> Array:
        """Maps integers ``[B]`` to vectors ``[B, C]``."""
        shape = (self.classes, self.features)
        table = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        table = parametrize(self, table, name=self.parametrization, axis=-1)
        (table,) = promote_dtype(table, dtype=self.dtype)
        return rows(table, labels)
