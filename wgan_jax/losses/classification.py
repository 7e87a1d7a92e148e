"""Loss of an auxiliary classifier, used by generator and critic."""

import chex
import jax.numpy as jnp
import optax

from wgan_jax.types import Array


def class_loss(logits: Array, labels: Array) -> tuple[Array, Array]:
    r"""Computes the cross-entropy loss and the accuracy of an auxiliary head.

    .. math:: L = -\mathbb{E}\left[\log \mathrm{softmax}(l)_y\right]

    Args:
        logits: floating-point ``[B, classes]``.
        labels: integer ``[B]`` in [0, classes).

    Returns:
        The scalar loss and the scalar accuracy in [0, 1].

    Raises:
        AssertionError: if the shapes do not match.

    Reference:
        Odena, Olah, Shlens 2016, arXiv:1610.09585, equation 3.
    """
    chex.assert_rank([logits, labels], [2, 1])
    chex.assert_equal_shape_prefix([logits, labels], 1)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    right = jnp.argmax(logits, axis=1) == labels
    return jnp.mean(loss), jnp.mean(right.astype(logits.dtype))
