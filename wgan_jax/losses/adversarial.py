"""Losses on logits, margins, labels and pairs, as pure functions.

``objectives.py`` has the Wasserstein pair and the table that names all pairs.
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
    r"""Sigmoid cross-entropy of telling real from generated, on logits.

    .. math:: L_C = \mathbb{E}_x[\zeta(-f(x)) + \alpha f(x)]
        + \mathbb{E}_{\tilde x}[\zeta(f(\tilde x))],
        \quad \zeta(t) = \log(1 + e^t)

    The target of real examples is :math:`1 - \alpha`. With :math:`D = \sigma(f)` and
    :math:`\alpha = 0` this is :math:`-\mathbb{E} \log D(x) - \mathbb{E}
    \log(1 - D(\tilde x))`, never computed through D: it is finite, with a
    gradient that is not lost, at any logit.

    Args:
        real_scores: ``[B]`` floating, logits of data.
        fake_scores: ``[B']`` floating, logits of generated examples.
        label_smoothing: alpha in [0, 1), for real examples only.

    Returns:
        Scalar > 0 of the scores' dtype; 2 log 2 for scores of 0.

    Raises:
        AssertionError: if the scores are not floating vectors.
        ValueError: if ``label_smoothing`` is out of its range.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and algorithm 1
        (there with the opposite sign, ascended); one-sided label smoothing in
        Salimans et al. 2016, arXiv:1606.03498, section 3.4.
    """
    _assert_scores(real_scores, fake_scores)
    real = jax.nn.softplus(-real_scores)
    if label_smoothing:
        real = real + label_smoothing * real_scores
    return jnp.mean(real) + jnp.mean(jax.nn.softplus(fake_scores))


def minimax_generator_loss(fake_scores: Array) -> Array:
    r"""Log probability of being recognised: the zero-sum game's other side.

    .. math:: L_G = \mathbb{E}_z[\log(1 - \sigma(f(G(z))))]
        = -\mathbb{E}_z[\zeta(f(G(z)))]

    Args:
        fake_scores: ``[B]`` floating, logits of generated examples.

    Returns:
        Scalar < 0 of the scores' dtype. Its gradient vanishes where the critic
        is sure that an example is generated.

    Raises:
        AssertionError: if the scores are not a floating vector.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, equation 1 and algorithm 1.
    """
    _assert_scores(fake_scores)
    return -jnp.mean(jax.nn.softplus(fake_scores))


def non_saturating_generator_loss(fake_scores: Array) -> Array:
    r"""Minus the log probability of passing for real.

    .. math:: L_G = -\mathbb{E}_z[\log \sigma(f(G(z)))]
        = \mathbb{E}_z[\zeta(-f(G(z)))]

    Args:
        fake_scores: ``[B]`` floating, logits of generated examples.

    Returns:
        Scalar > 0 of the scores' dtype. Its gradient is largest where the
        critic is sure that an example is generated.

    Raises:
        AssertionError: if the scores are not a floating vector.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, section 3, last paragraph.
    """
    _assert_scores(fake_scores)
    return jnp.mean(jax.nn.softplus(-fake_scores))


def maximum_likelihood_generator_loss(fake_scores: Array) -> Array:
    r"""Minus the mean likelihood ratio, whose descent is that of KL(data || model).

    .. math:: L_G = -\mathbb{E}_z[e^{f(G(z))}]

    For the best critic of the cross-entropy, exp f is the ratio of the
    densities of data and model, and the gradient is that of maximum likelihood.

    Args:
        fake_scores: ``[B]`` floating, logits of generated examples. Above 88
            the exponential overflows float32: that is the estimator's
            variance, and no clipping hides it.

    Returns:
        Scalar < 0 of the scores' dtype.

    Raises:
        AssertionError: if the scores are not a floating vector.

    Reference:
        Goodfellow 2014, arXiv:1412.6515; on logits in Goodfellow 2016,
        arXiv:1701.00160, section 3.2.4, there with a factor 1/2.
    """
    _assert_scores(fake_scores)
    return -jnp.mean(jnp.exp(fake_scores))


def hinge_critic_loss(real_scores: Array, fake_scores: Array) -> Array:
    r"""Shortfall of real scores below 1 and excess of fake ones above -1.

    .. math:: L_C = \mathbb{E}_x[\max(0, 1 - f(x))]
        + \mathbb{E}_{\tilde x}[\max(0, 1 + f(\tilde x))]

    Its generator minimizes :math:`-\mathbb{E}_z[f(G(z))]`, the Wasserstein
    generator's loss.

    Args:
        real_scores: ``[B]`` floating, critic scores of data.
        fake_scores: ``[B']`` floating, critic scores of generated examples.

    Returns:
        Scalar >= 0 of the scores' dtype; examples beyond their margin have no
        gradient.

    Raises:
        AssertionError: if the scores are not floating vectors.

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
    r"""Squared distances of the scores from one label for data and one for fakes.

    .. math:: L_C = \tfrac{1}{2} \mathbb{E}_x[(f(x) - b)^2]
        + \tfrac{1}{2} \mathbb{E}_{\tilde x}[(f(\tilde x) - a)^2]

    Args:
        real_scores: ``[B]`` floating, critic scores of data.
        fake_scores: ``[B']`` floating, critic scores of generated examples.
        real_label: b.
        fake_label: a.

    Returns:
        Scalar >= 0 of the scores' dtype.

    Raises:
        AssertionError: if the scores are not floating vectors.

    Reference:
        Mao et al. 2017, arXiv:1611.04076, equation 2; the defaults, with c = 1 for
        the generator, are those of equation 9.
    """
    _assert_scores(real_scores, fake_scores)
    real = jnp.mean(jnp.square(real_scores - real_label))
    return (real + jnp.mean(jnp.square(fake_scores - fake_label))) / 2


def least_squares_generator_loss(
    fake_scores: Array, *, generator_label: float = 1.0
) -> Array:
    r"""Squared distance of the fake scores from the label that the generator aims at.

    .. math:: L_G = \tfrac{1}{2} \mathbb{E}_z[(f(G(z)) - c)^2]

    Args:
        fake_scores: ``[B]`` floating, critic scores of generated examples.
        generator_label: c.

    Returns:
        Scalar >= 0 of the scores' dtype. Where a score is above c its gradient
        lowers it.

    Raises:
        AssertionError: if the scores are not a floating vector.

    Reference:
        Mao et al. 2017, arXiv:1611.04076, equations 2 and 9.
    """
    _assert_scores(fake_scores)
    return jnp.mean(jnp.square(fake_scores - generator_label)) / 2


def relativistic_critic_loss(real_scores: Array, fake_scores: Array) -> Array:
    r"""Cross-entropy of telling which of a pair is real.

    .. math:: L_C = \mathbb{E}_{x, z}[\zeta(-(f(x_i) - f(G(z_i))))]

    Args:
        real_scores: ``[B]`` floating, critic scores of data.
        fake_scores: ``[B]`` floating, as many; score i is paired with real i.

    Returns:
        Scalar > 0 of the scores' dtype; log 2 for a critic that cannot tell.

    Raises:
        AssertionError: if the scores are not floating vectors of one length.

    Reference:
        Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang, Gokaslan, Kuleshov,
        Tompkin 2024, arXiv:2501.05441, equation 2.
    """
    _assert_scores(real_scores, fake_scores)
    chex.assert_equal_shape([real_scores, fake_scores])
    return jnp.mean(jax.nn.softplus(fake_scores - real_scores))


def relativistic_generator_loss(real_scores: Array, fake_scores: Array) -> Array:
    r"""The critic's loss with the parts of a pair exchanged.

    .. math:: L_G = \mathbb{E}_{x, z}[\zeta(-(f(G(z_i)) - f(x_i)))]

    This is the non-saturating form, of the authors' code; minus the critic's
    loss, the zero-sum form, would vanish where the critic is sure.

    Args:
        real_scores: ``[B]`` floating, critic scores of data.
        fake_scores: ``[B]`` floating, as many; score i is paired with real i.

    Returns:
        Scalar > 0 of the scores' dtype.

    Raises:
        AssertionError: if the scores are not floating vectors of one length.

    Reference:
        As ``relativistic_critic_loss``.
    """
    return relativistic_critic_loss(fake_scores, real_scores)


def _assert_scores(*scores: Array) -> None:
    chex.assert_rank(scores, 1)
    chex.assert_type(scores, float)
