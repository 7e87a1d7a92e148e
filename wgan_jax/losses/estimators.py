r"""Corrections of a critic's Wasserstein estimate.

A critic with a gradient penalty of weight w has gradient norms above 1 wherever
that lowers its loss. Let f be a converged critic, s its gradient norm, d the
density of the points where the penalty is evaluated, and t the density of what
the gradient of f transports from fake to real points. No perturbation g of f
lowers the loss, so

.. math:: \mathbb{E}_{real}\, g - \mathbb{E}_{fake}\, g = 2 w \int d\, (s - 1)
    \frac{\nabla f \cdot \nabla g}{s},

which means that :math:`2 w d (s - 1) \nabla f / s` is a flow from fake to real:

.. math:: s = 1 + \frac{t}{2 w d}, \qquad
    \text{estimate} = \int t s = T + \frac{K}{2 w}, \qquad
    T = \int t \ge W_1, \quad K = \int t^2 / d \ge T^2.

The raw estimate is therefore at least :math:`W + W^2 / (2 w)`. Each function
below corrects this bias in a different way, from quantities available in a
training step. The corrections assume a *converged* critic. An undertrained
critic gives too low a value, more so for larger w. Gradient norms below 3e-16
count as 0 (``example_norms``). For a critic whose gradient has vanished, such
as a deep critic clipped at 0.01, no corrected value is meaningful.

``estimate`` is ``critic/wasserstein_estimate``. The functions are pure, accept
scalars or arrays of equal shapes, and return finite values for finite inputs.
"""

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.losses.gradients import gradient_norms
from wgan_jax.types import Array, CriticFn


def estimate_by_penalty(estimate: Array, *, weight: float | Array) -> Array:
    r"""Inverts the closed-form bias that a gradient penalty adds to the estimate.

    .. math:: \hat W = w \left(\sqrt{1 + 2 E / w} - 1\right)
        = \frac{2 E}{1 + \sqrt{1 + 2 E / w}}

    which solves :math:`E = W + W^2 / (2 w)`. It is exact if the gradient norm
    is the same at all interpolates. Otherwise :math:`K > T^2`, and a converged
    critic gives a value above :math:`W_1`, never below. A negative estimate,
    which occurs only for an untrained critic, keeps its sign, because the
    function is odd.

    Args:
        estimate: E of a critic with ``gradient_penalty`` and target 1,
            one-sided or two-sided.
        weight: weight w > 0 of that penalty. The correction is not defined
            without a penalty; for large weights it tends to the estimate.

    Returns:
        The corrected estimate, in the shape of ``estimate``.

    Raises:
        ValueError: if a concrete (not traced) weight is not positive.

    Reference:
        Penalty: Gulrajani et al. 2017, arXiv:1704.00028, equation 3. The
        correction follows from the first-order condition in the module
        docstring.
    """
    if not isinstance(weight, jax.core.Tracer) and not np.all(np.asarray(weight) > 0):
        raise ValueError(
            f"estimate_by_penalty: weight is {weight}; it must be above 0."
        )
    estimate = jnp.asarray(estimate)
    # The first form would subtract nearly equal numbers.
    return 2 * estimate / (1 + jnp.sqrt(1 + 2 * jnp.abs(estimate) / weight))


def estimate_by_flow(estimate: Array, penalty: Array) -> Array:
    r"""Computes the cost of the flow along the critic's gradients.

    .. math:: \hat W = E - 2 P = T, \qquad
        P = w\, \mathbb{E}_{\hat x}[(s - 1)^2] = \frac{K}{4 w}

    This is exact for :math:`T`, however the gradient norm varies between
    points. For a converged critic it is therefore at least :math:`W_1`. It is
    the tightest of the upper corrections, because the flow exceeds the optimal
    cost only by second order in 1 / w. It is also the most sensitive to
    undertraining, above all with the two-sided penalty, which includes gradient
    norms below 1 that belong to no flow.

    Args:
        estimate: E.
        penalty: weighted penalty P of the same critic: ``critic/penalty`` if
            the gradient penalty is the only penalty.

    Returns:
        The corrected estimate, in the shape of ``estimate``.

    Reference:
        The first-order condition in the module docstring. T and K of a flow are
        those of Beckmann 1952, "A continuous model of transportation", with
        congestion.
    """
    return jnp.asarray(estimate) - 2 * penalty


def estimate_by_gradient_norm(estimate: Array, mean_norm: Array) -> Array:
    r"""Divides the estimate by the critic's mean gradient norm.

    .. math:: \hat W = E \,/\, \mathbb{E}_{\hat x}
        \left[\lVert \nabla f(\hat x) \rVert\right]

    It adds no training cost and does not depend on a penalty weight. It is
    available for every penalty, and for weight clipping and spectral
    normalization if the gradient norm is measured at interpolates. For those
    two it is only a change of units. Like the closed form, it is at least
    :math:`W_1` for a converged penalized critic.

    Args:
        estimate: E.
        mean_norm: mean gradient norm at interpolates, >= 0
            (``critic/gradient_norm_mean``).

    Returns:
        The corrected estimate, in the shape of ``estimate``; 0 where
        ``mean_norm`` is 0.
    """
    return _ratio(estimate, mean_norm)


def lipschitz_bound(estimate: Array, max_norm: Array) -> Array:
    r"""Divides the estimate by the largest gradient norm, giving a lower bound.

    .. math:: \frac{E}{\sup_x \lVert \nabla f(x) \rVert} \le W_1

    The bound holds for any critic, trained or not. By Kantorovich duality, :math:`W_1`
    is the largest estimate of a 1-Lipschitz function, and :math:`f / \sup \lVert
    \nabla f \rVert` is 1-Lipschitz.

    Args:
        estimate: E over both distributions. An estimate over samples bounds the
            distance between these samples.
        max_norm: largest gradient norm, >= 0, on a convex set that contains
            both distributions, such as ``grid_max_norm``. A maximum over
            interpolates is smaller and gives no valid bound.

    Returns:
        The lower bound, in the shape of ``estimate``; 0 where ``max_norm`` is
        0.

    Reference:
        Villani 2009, "Optimal transport: old and new", remark 6.5; Arjovsky,
        Chintala, Bottou 2017, arXiv:1701.07875, equation 2.
    """
    return _ratio(estimate, max_norm)


def extrapolated_estimate(
    estimates: tuple[Array, Array], *, weights: tuple[float, float]
) -> Array:
    r"""Extrapolates the estimates of two critics to an infinite penalty weight.

    .. math:: \hat W = \frac{w_1 E_1 - w_2 E_2}{w_1 - w_2}

    which is exact if :math:`E = W + K / (2 w)`. K itself grows with the weight,
    because the flow contracts towards an optimal one. The result is therefore
    too high by second order in 1 / w. An undertrained critic at the larger
    weight makes the result too low by more than that.

    Args:
        estimates: estimates of two critics between the same distributions.
        weights: their penalty weights, > 0 and different.

    Returns:
        The extrapolated estimate, in the shape of the estimates.

    Raises:
        ValueError: if the weights are equal or not positive.
    """
    first, second = weights
    if first == second or not min(weights) > 0:
        raise ValueError(
            f"extrapolated_estimate: weights are {weights}; they must be two different "
            "numbers above 0."
        )
    return (first * jnp.asarray(estimates[0]) - second * jnp.asarray(estimates[1])) / (
        first - second
    )


def grid_max_norm(
    critic_fn: CriticFn, low: Array, high: Array, *, points: int
) -> Array:
    r"""Computes the largest gradient norm of a critic on a grid in the plane.

    .. math:: \max_{i, j < n} \lVert \nabla f(x_{ij}) \rVert, \qquad
        x_{ij} = l + \left(\tfrac{i}{n - 1}, \tfrac{j}{n - 1}\right) \odot (h - l)

    This is a lower bound of the supremum, because points between the grid
    points are not evaluated. The memory is that of a batch of size n.

    Args:
        critic_fn: scores ``[B]`` of points ``[B, 2]``.
        low: ``[2]``, lower left corner of the rectangle.
        high: ``[2]``, upper right corner of the rectangle.
        points: number n of grid points along each side, at least 2.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the corners are not points in the plane, or n is below 2.
    """
    low, high = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
    if low.shape != (2,) or high.shape != (2,):
        raise ValueError(
            f"grid_max_norm: the corners have shapes {low.shape} and {high.shape}; "
            "both must be [2]."
        )
    if points < 2:
        raise ValueError(f"grid_max_norm: points is {points}; it must be at least 2.")
    across = jnp.linspace(low[0], high[0], points)
    up = jnp.linspace(low[1], high[1], points)

    def largest_in_row(y: Array) -> Array:
        row = jnp.stack([across, jnp.broadcast_to(y, across.shape)], axis=1)
        return jnp.max(gradient_norms(critic_fn, row))

    return jnp.max(jax.lax.map(largest_in_row, up))


def _ratio(estimate: Array, norm: Array) -> Array:
    estimate, norm = jnp.asarray(estimate), jnp.asarray(norm)
    flat = norm <= 0
    return jnp.where(flat, 0.0, estimate / jnp.where(flat, 1.0, norm))
