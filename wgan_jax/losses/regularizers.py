"""Regularizers: terms of the generator's loss that depend on its parameters.

To add one, write a factory ``(**options) -> Regularizer`` and one row of
``REGULARIZERS`` at the foot of this file.
"""

import math
from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from annotated_types import Gt, Le

from wgan_jax.losses.gradients import example_norms
from wgan_jax.ranges import checked
from wgan_jax.types import Array, GenerateFn, Metrics, PRNGKey, PyTree


class Regularizer(NamedTuple):
    """A term of the generator's loss with a memory, before its weight.

    Attributes:
        init: ``() -> state``, a pytree of arrays: the memory of a fresh run.
        apply: ``(generate_fn, latent [B, Z], key, state) -> (value, new state)``,
            the value a scalar; ``generate_fn(latent)`` makes images
            ``[B, ...]``, image i from latent i alone.
        report: ``state -> metrics``. They come from the memory, so that a term
            computed in few updates is logged in all.
    """

    init: Callable[[], PyTree]
    apply: Callable[[GenerateFn, Array, PRNGKey, PyTree], tuple[Array, PyTree]]
    report: Callable[[PyTree], Metrics]


@checked
def path_length(*, decay: Annotated[float, Gt(0), Le(1)] = 0.01) -> Regularizer:
    r"""Keeps the length of the image's step for a latent's step the same everywhere.

    .. math:: P = \mathbb{E}_{z, y}
        \left[(\lVert J_z^T y \rVert_2 - a)^2\right],
        \quad y \sim N(0, I), \quad J_z = \partial G(z) / \partial z

    with a the moving average of the norms. As in the authors' code, y of an
    image is divided by the root of H W, so that lengths do not grow with the
    resolution (points of a plane have no such factor), and a moves before it is
    compared with: :math:`a \leftarrow a + d (\bar n - a)`, starting from 0. Here
    a is a constant of the gradient, as the equation has it; in their code the
    share d of the batch mean in a is differentiated too. J is taken with respect
    to the generator's latents; theirs is with respect to the styles.

    One vector-Jacobian product an example, by which the norm is exact; the norm
    is safe at 0 in both derivatives.

    Args:
        decay: d in (0, 1], the share of the batch mean in the new average.

    Returns:
        A regularizer, its state the scalars ``mean``, a, and ``length``, the last
        batch mean of the norms; its value to be weighted by the caller (2 in the
        authors' code). They are reported as ``generator/path_length_mean`` and
        ``generator/path_length``.

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
    r"""Length of the random projection of each example's Jacobian.

    .. math:: n_i = \lVert J_{z_i}^T y_i \rVert_2, \quad y_i \sim N(0, I / (H W))

    Args:
        generate_fn: images ``[B, H, W, C]`` or points ``[B, D]`` (with H W = 1)
            of latents, examples apart.
        latent: ``[B, Z]`` floating.
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
