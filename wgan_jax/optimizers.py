"""Optimizers, with every setting that published results depend on.

To add one, write a function that returns an ``optax.GradientTransformation``
and add it to ``OPTIMIZERS`` at the end of this file.
"""

from collections.abc import Callable

import jax
import optax


def adam(
    *, learning_rate: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
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
    _check(learning_rate=learning_rate, b1=b1, b2=b2)
    return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)


def rmsprop(
    *, learning_rate: float, decay: float = 0.99, eps: float = 1e-8
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
    _check(learning_rate=learning_rate, decay=decay)
    return optax.rmsprop(
        learning_rate, decay=decay, eps=eps, eps_in_sqrt=False, initial_scale=0.0
    )


def rmsprop_tensorflow(
    *, learning_rate: float, decay: float = 0.9, eps: float = 1e-10
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
    _check(learning_rate=learning_rate, decay=decay)
    return optax.rmsprop(
        learning_rate, decay=decay, eps=eps, eps_in_sqrt=True, initial_scale=1.0
    )


def _check(**settings: float) -> None:
    """Raises ValueError unless the rate is above 0 and decays are in [0, 1)."""
    for name, value in settings.items():
        if isinstance(value, jax.core.Tracer):  # part of a sweep, checked earlier
            continue
        if name == "learning_rate" and not value > 0:
            raise ValueError(f"{name} is {value}; it must be above 0.")
        if name != "learning_rate" and not 0 <= value < 1:
            raise ValueError(f"{name} is {value}; it must be in [0, 1).")


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": adam,
    "rmsprop": rmsprop,
    "rmsprop_tensorflow": rmsprop_tensorflow,
}
