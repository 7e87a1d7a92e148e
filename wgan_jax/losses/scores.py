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
    r"""How far two passes of the same images, with dropout drawn anew, differ.

    .. math:: P = \mathbb{E}_x \left[\max\left(0, (f' - f'')^2
        + \eta \, \tfrac{1}{F} \textstyle\sum_k (h'_k - h''_k)^2
        - M\right)\right]

    with scores f and features h, the input of the critic's last layer, of two
    passes whose dropout masks are independent. It is 0 for a critic without
    dropout, and wherever the passes differ by less than the margin.

    The authors' code computes max(0, 2 (f' - f'')^2 + 0.2 mean (h' - h'')^2
    - M) with M = 0: here that is the weight 2, the feature weight 0.1 and the
    margin M/2. There one of the two passes is that of the main loss; here both
    are drawn for this term.

    Args:
        critic_fn: a critic that has the method ``perturbed(images, key)``,
            scores ``[B]`` and features ``[B, F]`` with dropout drawn from the
            key. That of a ``Gan`` has it.
        real: ``[B, ...]`` floating.
        fake: not looked at.
        key: PRNG key, consumed.
        feature_weight: eta, >= 0.
        margin: M, >= 0 (0 in the authors' code, 0 to 0.2 in the paper).

    Returns:
        Scalar >= 0, at least float32, to be weighted by the caller (2 in the
        paper); and the same, unweighted, as ``critic/consistency``.

    Raises:
        ValueError: if the critic has no method ``perturbed``, or a setting is
            below 0.
        AssertionError: if scores are not ``[B]`` and features not ``[B, F]``.

    Reference:
        Wei, Gong, Liu, Lu, Wang 2018, arXiv:1803.01541, the consistency term;
        the paper writes distances d, the authors' code squares them, as here.
    """
    perturbed = getattr(critic_fn, "perturbed", None)
    if perturbed is None:
        raise ValueError(
            "consistency: the critic function has no method 'perturbed'; it must "
            "offer perturbed(images, key) -> (scores [B], features [B, F])."
        )
    first, second = (perturbed(real, k) for k in jax.random.split(key))
    chex.assert_shape([first[0], second[0]], (real.shape[0],))
    chex.assert_rank([first[1], second[1]], 2)
    apart = _squared_difference(first[0], second[0])
    features_apart = jnp.mean(_squared_difference(first[1], second[1]), axis=1)
    value = jnp.mean(jax.nn.relu(apart + feature_weight * features_apart - margin))
    return value, {"critic/consistency": value}


def drift(critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey) -> Array:
    r"""Mean square of the real scores, which ties the critic's level to zero.

    .. math:: P = \mathbb{E}_x \left[f(x)^2\right]

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``.
        real: ``[B, ...]`` floating.
        fake: not looked at.
        key: not looked at.

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
