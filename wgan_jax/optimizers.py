"""Optimizers, with every setting that published results depend on.

To add one, write a function that returns an ``optax.GradientTransformation``
and add it to ``OPTIMIZERS`` at the end of this file.
"""

from collections.abc import Callable
from typing import Any

import optax

from wgan_jax.ranges import Count, Decay, NotNegative, Positive, checked
from wgan_jax.schedules import cosine
from wgan_jax.types import Array, PyTree


@checked
def adam(
    *,
    learning_rate: Positive,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: NotNegative = 1e-8,
    final_b2: Decay | None = None,
    schedule_iterations: Count | None = None,
) -> optax.GradientTransformation:
    """Returns Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    Args:
        learning_rate: step size, > 0.
        b1: decay of the first moment, in [0, 1).
        b2: decay of the second moment, in [0, 1).
        eps: epsilon, added outside the square root.
        final_b2: if set, the decay of the second moment follows half a cosine
            from ``b2`` to this value, in [0, 1). The bias correction uses the
            current value, as in the code of Huang et al. 2024,
            arXiv:2501.05441.
        schedule_iterations: length of this transition in generator updates; in
            a config, None is the length of the other schedules.

    Returns:
        The optimizer. With ``final_b2``, its ``update`` takes
        ``iteration=``, the number of generator updates so far, which the
        training steps pass.

    Raises:
        ValueError: if a setting is out of range, or only one of ``final_b2``
            and ``schedule_iterations`` is given.
    """
    if (final_b2 is None) != (schedule_iterations is None):
        raise ValueError(
            f"adam: final_b2 is {final_b2} and schedule_iterations is "
            f"{schedule_iterations}; set both or none of them."
        )
    plain = optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)
    if final_b2 is None or schedule_iterations is None:
        return plain
    length, final = schedule_iterations, final_b2

    def update(
        updates: PyTree,
        state: PyTree,
        params: PyTree | None = None,
        *,
        iteration: Array,
        **_: Any,
    ) -> tuple[PyTree, PyTree]:
        decay = cosine(iteration, iterations=length, initial=b2, final=final)
        current = optax.adam(learning_rate, b1=b1, b2=decay, eps=eps)
        return current.update(updates, state, params)

    return optax.GradientTransformationExtraArgs(plain.init, update)


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
