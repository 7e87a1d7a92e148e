"""Projections of the critic's parameters after its update.

To add one, write ``(params, **options) -> params`` and one row of
``CONSTRAINTS`` at the foot of this file.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.types import Params


def clip_weights(params: Params, *, bound: float) -> Params:
    r"""Each parameter moved into a box around zero.

    .. math:: w \leftarrow \min(\max(w, -c), c)

    Args:
        params: pytree of floating arrays; every leaf is clipped, the scales of
            normalisation layers too, as in the authors' code.
        bound: half side c of the box, > 0 (0.01 in the paper).

    Returns:
        Pytree of the same structure, shapes and dtypes.

    Raises:
        ValueError: if ``bound`` is not positive.

    Reference:
        Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, line 7.
    """
    if not bound > 0:
        raise ValueError(f"clip_weights: bound is {bound}, and must be above 0.")
    return jax.tree.map(lambda w: jnp.clip(w, -bound, bound), params)


CONSTRAINTS: dict[str, Callable[..., Any]] = {
    "clip_weights": clip_weights,
}
