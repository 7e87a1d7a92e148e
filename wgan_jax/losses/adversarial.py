"""Adversarial losses as pure functions of critic scores.

``objectives.py`` has the Wasserstein losses and the table of all objectives.
"""

import chex
import jax
import jax.numpy as jnp

from wgan_jax.ranges import Decay, checked
from wgan_jax.types import Array


@checked
def cross_entropy_critic_loss(
    real_scores: Array, fake_scores: Array, *, label_smoothing: Decay = 0.0
) -> Array:
    r"""Computes the sigmoid cross-entropy loss of the critic on logits.

    .. math:: L_C = \mathbb{E}_x[\zeta(-f(x)) + \alpha f(x)]
        + \mathbb{E}_{\tilde x}[\zeta(f(\tilde x))],
        \quad \zeta(t) = \log(1 + e^t)

    The target for real examples is :math:`1 - \alpha`. With :math:`D = \sigma(f)` and
    :math:`\alpha = 0`, the loss is :math:`-\mathbb{E} \log D(x) - \mathbb{E}
    \log(1 - D(\tilde x))`. It is computed from the logits and not through D, so the
    loss is finite and its gradient does not vanish numerically at any logit.

    Args:
        real_scores: floating-point ``[B]``, logits of real examples.
        fake_scores: floating-point ``[B']``, logits of generated examples.
        label_smoothing: alpha in [0, 1), applied to real examples only.

    Returns:
        Scalar > 0 in the dtype of the scores; 2 log 2 if all scores are 0.

    Raises:
        AssertionError: if the scores are not floating-point vectors.
        ValueError: if ``label_smoothing`` is out of range.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and algorithm 1
        (maximized there, with the opposite sign). One-sided label smoothing:
        Salimans et al. 2016, arXiv:1606.03498, section 3.4.
    """
    _assert_scores(real_scores, fake_scores)
    real = jax.nn.softplus(-real_scores)
    if label_smoothing:
        real = real + label_smoothing * real_scores
    return jnp.mean(real) + jnp.mean(jax.nn.softplus(fake_scores))


def minimax_generator_loss(fake_scores: Array) -> Array:
    r"""Computes the minimax (zero-sum) generator loss on logits.

    .. math:: L_G = \mathbb{E}_z[\log(1 - \sigma(f(G(z))))]
        = -\mathbb{E}_z[\zeta(f(G(z)))]

    Args:
        fake_scores: floating-point ``[B]``, logits of generated examples.

    Returns:
        Scalar < 0 in the dtype of the scores. Its gradient vanishes where the
        critic confidently classifies an example as generated.

    Raises:
        AssertionError: if the scores are not a floating-point vector.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and algorithm 1.
    """
    _assert_scores(fake_scores)
    return -jnp.mean(jax.nn.softplus(fake_scores))


def non_saturating_generator_loss(fake_scores: Array) -> Array:
    r"""Computes the non-saturating generator loss on logits.

    .. math:: L_G = -\mathbb{E}_z[\log \sigma(f(G(z)))]
        = \mathbb{E}_z[\zeta(-f(G(z)))]

    Args:
        fake_scores: floating-point ``[B]``, logits of generated examples.

    Returns:
        Scalar > 0 in the dtype of the scores. Its gradient is largest where the
        critic confidently classifies an example as generated.

    Raises:
        AssertionError: if the scores are not a floating-point vector.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, section 3, last paragraph.
    """
    _assert_scores(fake_scores)
    return jnp.mean(jax.nn.softplus(-fake_scores))


def maximum_likelihood_generator_loss(fake_scores: Array) -> Array:
    r"""Computes the generator loss whose gradient is that of KL(data || model).

    .. math:: L_G = -\mathbb{E}_z[e^{f(G(z))}]

    For the optimal critic of the cross-entropy loss, exp f is the density ratio
    of data and model, and the gradient is that of maximum likelihood.

    Args:
        fake_scores: floating-point ``[B]``, logits of generated examples. Above
            88, the exponential overflows float32. This reflects the variance of
            the estimator, so the scores are not clipped.

    Returns:
        Scalar < 0 in the dtype of the scores.

    Raises:
        AssertionError: if the scores are not a floating-point vector.

    Reference:
        Goodfellow 2014, arXiv:1412.6515; in terms of logits in Goodfellow 2016,
        arXiv:1701.00160, section 3.2.4 (with a factor 1/2).
    """
    _assert_scores(fake_scores)
    return -jnp.mean(jnp.exp(fake_scores))


def hinge_critic_loss(real_scores: Array, fake_scores: Array) -> Array:
    r"""Computes the hinge loss of the critic, with margins at 1 and -1.

    .. math:: L_C = \mathbb{E}_x[\max(0, 1 - f(x))]
        + \mathbb{E}_{\tilde x}[\max(0, 1 + f(\tilde x))]

    The matching generator loss is :math:`-\mathbb{E}_z[f(G(z))]`, as in the
    Wasserstein objective.

    Args:
        real_scores: floating-point ``[B]``, critic scores of real examples.
        fake_scores: floating-point ``[B']``, critic scores of generated
            examples.

    Returns:
        Scalar >= 0 in the dtype of the scores. Examples beyond their margin
        have zero gradient.

    Raises:
        AssertionError: if the scores are not floating-point vectors.

    Reference:
        Lim, Ye 2017, arXiv:1705.02894; Miyato, Kataoka, Koyama, Yoshida 2018,
        arXiv:1802.05957, equations 16 and 17 (there with the opposite sign).
    """
    _assert_scores(real_scores, fake_scores)
    return jnp.mean(jax.nn.relu(1 - real_scores)) + jnp.mean(
        jax.nn.relu(1 + fake_scores)
    )


def least_squares_critic_loss(
    real_scores: Array,
    fake_scores: Array,
    *,
    real_label: float = 1.0,
    fake_label: float = 0.0,
) -> Array:
    r"""Computes the least-squares loss of the critic.

    .. math:: L_C = \tfrac{1}{2} \mathbb{E}_x[(f(x) - b)^2]
        + \tfrac{1}{2} \mathbb{E}_{\tilde x}[(f(\tilde x) - a)^2]

    Args:
        real_scores: floating-point ``[B]``, critic scores of real examples.
        fake_scores: floating-point ``[B']``, critic scores of generated
            examples.
        real_label: target b of real scores.
        fake_label: target a of fake scores.

    Returns:
        Scalar >= 0 in the dtype of the scores.

    Raises:
        AssertionError: if the scores are not floating-point vectors.

    Reference:
        Mao et al. 2017, arXiv:1611.04076, equation 2. The defaults, with c = 1
        for the generator, are those of equation 9.
    """
    _assert_scores(real_scores, fake_scores)
    real = jnp.mean(jnp.square(real_scores - real_label))
    return (real + jnp.mean(jnp.square(fake_scores - fake_label))) / 2


def least_squares_generator_loss(
    fake_scores: Array, *, generator_label: float = 1.0
) -> Array:
    r"""Computes the least-squares loss of the generator.

    .. math:: L_G = \tfrac{1}{2} \mathbb{E}_z[(f(G(z)) - c)^2]

    Args:
        fake_scores: floating-point ``[B]``, critic scores of generated
            examples.
        generator_label: target c of fake scores.

    Returns:
        Scalar >= 0 in the dtype of the scores. Minimizing it also lowers scores
        above c.

    Raises:
        AssertionError: if the scores are not a floating-point vector.

    Reference:
        Mao et al. 2017, arXiv:1611.04076, equations 2 and 9.
    """
    _assert_scores(fake_scores)
    return jnp.mean(jnp.square(fake_scores - generator_label)) / 2


def relativistic_critic_loss(real_scores: Array, fake_scores: Array) -> Array:
    r"""Computes the relativistic pairing loss of the critic.

    .. math:: L_C = \mathbb{E}_{x, z}[\zeta(-(f(x_i) - f(G(z_i))))]

    Args:
        real_scores: floating-point ``[B]``, critic scores of real examples.
        fake_scores: floating-point ``[B]``, critic scores of generated
            examples; fake example i is paired with real example i.

    Returns:
        Scalar > 0 in the dtype of the scores; log 2 if the scores of each pair
        are equal.

    Raises:
        AssertionError: if the scores are not floating-point vectors of equal
            length.

    Reference:
        Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang, Gokaslan, Kuleshov,
        Tompkin 2024, arXiv:2501.05441, equation 2.
    """
    _assert_scores(real_scores, fake_scores)
    chex.assert_equal_shape([real_scores, fake_scores])
    return jnp.mean(jax.nn.softplus(fake_scores - real_scores))


def relativistic_generator_loss(real_scores: Array, fake_scores: Array) -> Array:
    r"""Computes the relativistic loss with real and fake exchanged.

    .. math:: L_G = \mathbb{E}_{x, z}[\zeta(-(f(G(z_i)) - f(x_i)))]

    This is the non-saturating form used by the authors' code. The zero-sum
    form, minus the critic loss, has a vanishing gradient where the critic is
    confident.

    Args:
        real_scores: floating-point ``[B]``, critic scores of real examples.
        fake_scores: floating-point ``[B]``, critic scores of generated
            examples; fake example i is paired with real example i.

    Returns:
        Scalar > 0 in the dtype of the scores.

    Raises:
        AssertionError: if the scores are not floating-point vectors of equal
            length.

    Reference:
        See ``relativistic_critic_loss``.
    """
    return relativistic_critic_loss(fake_scores, real_scores)


def _assert_scores(*scores: Array) -> None:
    chex.assert_rank(scores, 1)
    chex.assert_type(scores, float)
