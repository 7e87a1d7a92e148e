"""The loss of an auxiliary classifier, for generator and critic."""

import chex
import jax.numpy as jnp
import optax

from wgan_jax.types import Array


def class_loss(logits: Array, labels: Array) -> tuple[Array, Array]:
    r"""Cross entropy of an auxiliary head, and how often it is right.

    .. math:: L = -\mathbb{E}\left[\log \mathrm{softmax}(l)_y\right]

    Args:
        logits: ``[B, classes]`` floating.
        labels: ``[B]`` integers in [0, classes).

    Returns:
        The loss and the accuracy in [0, 1], both scalar.

    Raises:
        AssertionError: if the shapes do not fit.

    Reference:
        Odena, Olah, Shlens 2016, arXiv:1610.09585, equation 3.
    """
    chex.assert_rank([logits, labels], [2, 1])
    chex.assert_equal_shape_prefix([logits, labels], 1)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    right = jnp.argmax(logits, axis=1) == labels
    return jnp.mean(loss), jnp.mean(right.astype(logits.dtype))
