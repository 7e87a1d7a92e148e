"""Penalties on the critic's scores."""

import chex
import jax
import jax.numpy as jnp

from wgan_jax.ranges import NotNegative, checked
from wgan_jax.types import Array, CriticFn, Metrics, PRNGKey


@checked
def consistency(
    critic_fn: CriticFn,
    real: Array,
    fake: Array,
    key: PRNGKey,
    *,
    feature_weight: NotNegative = 0.1,
    margin: NotNegative = 0.0,
) -> tuple[Array, Metrics]:
    r"""Computes how much two passes with independent dropout masks differ.

    .. math:: P = \mathbb{E}_x \left[\max\left(0, (f' - f'')^2
        + \eta \, \tfrac{1}{F} \textstyle\sum_k (h'_k - h''_k)^2
        - M\right)\right]

    where f are the scores and h the features (the input of the critic's last
    layer) of two passes with independent dropout masks. The penalty is 0 for a
    critic without dropout, and wherever the difference is below the margin.

    The authors' code computes max(0, 2 (f' - f'')^2 + 0.2 mean (h' - h'')^2 -
    M) with M = 0. This corresponds to weight 2, feature weight 0.1 and margin
    M/2 here. The authors reuse the pass of the main loss as one of the two
    passes; here both passes are computed for this term.

    Args:
        critic_fn: critic with a method ``perturbed(images, key)`` that returns
            scores ``[B]`` and features ``[B, F]`` with dropout drawn from the
            key. The critic of a ``Gan`` has this method.
        real: floating-point ``[B, ...]``.
        fake: not used.
        key: PRNG key, consumed.
        feature_weight: eta, >= 0.
        margin: M, >= 0 (0 in the authors' code, 0 to 0.2 in the paper).

    Returns:
        Scalar >= 0, at least float32, to be weighted by the caller (2 in the
        paper), and the same unweighted value as ``critic/consistency``.

    Raises:
        ValueError: if the critic has no method ``perturbed``, or a setting is
            below 0.
        AssertionError: if scores are not ``[B]`` or features are not
            ``[B, F]``.

    Reference:
        Wei, Gong, Liu, Lu, Wang 2018, arXiv:1803.01541, the consistency term.
        The paper writes distances d; the authors' code squares them, as here.
    """
    perturbed = getattr(critic_fn, "perturbed", None)
    if perturbed is None:
        raise ValueError(
            "consistency: the critic function has no method 'perturbed'; it must have "
            "perturbed(images, key) -> (scores [B], features [B, F])."
        )
    first, second = (perturbed(real, k) for k in jax.random.split(key))
    chex.assert_shape([first[0], second[0]], (real.shape[0],))
    chex.assert_rank([first[1], second[1]], 2)
    apart = _squared_difference(first[0], second[0])
    features_apart = jnp.mean(_squared_difference(first[1], second[1]), axis=1)
    value = jnp.mean(jax.nn.relu(apart + feature_weight * features_apart - margin))
    return value, {"critic/consistency": value}


def drift(critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey) -> Array:
    r"""Computes the mean squared real score, which keeps scores close to zero.

    .. math:: P = \mathbb{E}_x \left[f(x)^2\right]

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``.
        real: floating-point ``[B, ...]``.
        fake: not used.
        key: not used.

    Returns:
        Scalar >= 0, at least float32, to be weighted by the caller (0.001 in
        the paper).

    Raises:
        AssertionError: if the critic does not return ``[B]``.

    Reference:
        Karras, Aila, Laine, Lehtinen 2018, arXiv:1710.10196, appendix A.1.
    """
    scores = critic_fn(real)
    chex.assert_shape(scores, (real.shape[0],))
    return jnp.mean(_squared_difference(scores, jnp.zeros_like(scores)))


def _squared_difference(x: Array, y: Array) -> Array:
    return jnp.square((x - y).astype(jnp.promote_types(x.dtype, jnp.float32)))
