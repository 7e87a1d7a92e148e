"""Regularizers: terms of the generator loss that depend on the generator.

To add one, write a factory ``(**options) -> Regularizer`` and add it to
``REGULARIZERS`` at the end of this file.
"""

import math
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from annotated_types import Gt, Le

from wgan_jax.losses.gradients import example_norms
from wgan_jax.losses.terms import Regularizer
from wgan_jax.ranges import checked
from wgan_jax.types import Array, GenerateFn, Metrics, PRNGKey, PyTree


@checked
def path_length(*, decay: Annotated[float, Gt(0), Le(1)] = 0.01) -> Regularizer:
    r"""Returns path length regularization of the generator.

    .. math:: P = \mathbb{E}_{z, y}
        \left[(\lVert J_z^T y \rVert_2 - a)^2\right],
        \quad y \sim N(0, I), \quad J_z = \partial G(z) / \partial z

    where a is a moving average of the norms. It encourages a step in latent
    space to change the image by the same amount everywhere. As in the authors'
    code, y is divided by the square root of H W for images, so that lengths do
    not grow with the resolution (points in the plane have no such factor). The
    average a is updated before it is used:
    :math:`a \leftarrow a + d (\bar n - a)`, starting from 0. As in the
    equation, a is treated as a constant in the gradient; the authors' code also
    differentiates the contribution d of the batch mean to a. J is taken with
    respect to the latents of the generator; the authors take it with respect to
    the styles.

    The norm is exact and costs one vector-Jacobian product per example. Its
    first two derivatives are finite at 0.

    Args:
        decay: weight d of the batch mean in the new average, in (0, 1].

    Returns:
        The regularizer. Its value is to be weighted by the caller (2 in the
        authors' code). Its state holds the scalars ``mean`` (a) and ``length``
        (the latest batch mean of the norms), reported as
        ``generator/path_length_mean`` and ``generator/path_length``.

    Raises:
        ValueError: if ``decay`` is not in (0, 1].

    Reference:
        Karras et al. 2020, arXiv:1912.04958, equation 4 and appendix B.
    """

    def init() -> PyTree:
        return {"mean": jnp.zeros(()), "length": jnp.zeros(())}

    def apply(
        generate_fn: GenerateFn, latent: Array, key: PRNGKey, state: PyTree
    ) -> tuple[Array, PyTree]:
        norms = path_lengths(generate_fn, latent, key)
        length = jax.lax.stop_gradient(jnp.mean(norms))
        mean = state["mean"] + decay * (length - state["mean"])
        new = {"mean": mean, "length": length}
        new = jax.tree.map(lambda x, old: x.astype(old.dtype), new, state)
        return jnp.mean(jnp.square(norms - mean)), new

    def report(state: PyTree) -> Metrics:
        return {
            "generator/path_length": state["length"],
            "generator/path_length_mean": state["mean"],
        }

    return Regularizer(init, apply, report)


def path_lengths(generate_fn: GenerateFn, latent: Array, key: PRNGKey) -> Array:
    r"""Computes the norm of a random projection of each example's Jacobian.

    .. math:: n_i = \lVert J_{z_i}^T y_i \rVert_2, \quad y_i \sim N(0, I / (H W))

    Args:
        generate_fn: images ``[B, H, W, C]`` or points ``[B, D]`` (with H W = 1)
            of latents, independent per example.
        latent: floating-point ``[B, Z]``.
        key: PRNG key, consumed.

    Returns:
        ``[B]``, at least float32.
    """
    images, pull_back = jax.vjp(generate_fn, latent)
    pixels = math.prod(images.shape[1:-1])
    y = jax.random.normal(key, images.shape, images.dtype) / math.sqrt(pixels)
    (projections,) = pull_back(y)
    return example_norms(projections)


REGULARIZERS: dict[str, Callable[..., Regularizer]] = {
    "path_length": path_length,
}
