"""Optimizers, with every setting that published results depend on.

To add one, write a function that returns an ``optax.GradientTransformation``
and add it to ``OPTIMIZERS`` at the end of this file.
"""

from collections.abc import Callable

import optax

from wgan_jax.ranges import Decay, NotNegative, Positive, checked


@checked
def adam(
    *,
    learning_rate: Positive,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
) -> optax.GradientTransformation:
    """Returns Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    Args:
        learning_rate: step size, > 0.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: epsilon, added outside the square root.

    Returns:
        The optimizer.

    Raises:
        ValueError: if a setting is out of range.
    """
    return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)


@checked
def rmsprop(
    *, learning_rate: Positive, decay: Decay = 0.99, eps: NotNegative = 1e-8
) -> optax.GradientTransformation:
    r"""Returns RMSProp as in PyTorch, used by the 2017 WGAN code.

    .. math:: v \leftarrow d v + (1 - d) g^2, \quad
        w \leftarrow w - \eta\, g / (\sqrt{v} + \epsilon), \quad v_0 = 0

    Three variants share this name. optax's defaults use a decay of 0.9 and put
    epsilon inside the square root; its steps are 260 times smaller where
    gradients are near 1e-6.

    Args:
        learning_rate: step size, > 0.
        decay: decay of the mean square, in [0, 1).
        eps: epsilon, added outside the square root.

    Returns:
        The optimizer.

    Raises:
        ValueError: if a setting is out of range.
    """
    return optax.rmsprop(
        learning_rate, decay=decay, eps=eps, eps_in_sqrt=False, initial_scale=0.0
    )


@checked
def rmsprop_tensorflow(
    *, learning_rate: Positive, decay: Decay = 0.9, eps: NotNegative = 1e-10
) -> optax.GradientTransformation:
    r"""Returns RMSProp as in TensorFlow 1, used by the WGAN-GP code for clipping.

    .. math:: v \leftarrow d v + (1 - d) g^2, \quad
        w \leftarrow w - \eta\, g / \sqrt{v + \epsilon}, \quad v_0 = 1

    Args:
        learning_rate: step size, > 0.
        decay: decay of the mean square, in [0, 1).
        eps: epsilon, added inside the square root.

    Returns:
        The optimizer.

    Raises:
        ValueError: if a setting is out of range.
    """
    return optax.rmsprop(
        learning_rate, decay=decay, eps=eps, eps_in_sqrt=True, initial_scale=1.0
    )


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": adam,
    "rmsprop": rmsprop,
    "rmsprop_tensorflow": rmsprop_tensorflow,
}
