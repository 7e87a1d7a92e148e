r"""Corrected readings of a critic's Wasserstein estimate.

A critic with a gradient penalty of weight w is steeper than 1 wherever that
pays. Let f be converged, s its gradient norm, d the density of the points where the
penalty is taken and t the density of what f's gradient transports from fakes to
real points. No change g of f helps, so

.. math:: \mathbb{E}_{real}\, g - \mathbb{E}_{fake}\, g = 2 w \int d\, (s - 1)
    \frac{\nabla f \cdot \nabla g}{s},

which says that :math:`2 w d (s - 1) \nabla f / s` is a flow from fake to real:

.. math:: s = 1 + \frac{t}{2 w d}, \qquad
    \text{estimate} = \int t s = T + \frac{K}{2 w}, \qquad
    T = \int t \ge W_1, \quad K = \int t^2 / d \ge T^2.

The raw estimate is thus at least :math:`W + W^2 / (2 w)`. Each reading below
undoes that in its own way, from what a training step has at hand. All of them
speak of a *converged* critic: one that is undertrained reads too low, and the
more so the larger w is. Gradient norms below 3e-16 count as 0 (``example_norms``): of a
critic that has died, such as a deep one clipped at 0.01, no reading means anything.

``estimate`` is ``critic/wasserstein_estimate``. The functions are pure, take
scalars or arrays of equal shapes, and return a finite number for a finite one.
"""

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.losses.gradients import gradient_norms
from wgan_jax.types import Array, CriticFn


def penalty_reading(estimate: Array, *, weight: float | Array) -> Array:
    r"""The distance that a penalty's closed form leaves of an estimate.

    .. math:: \hat W = w \left(\sqrt{1 + 2 E / w} - 1\right)
        = \frac{2 E}{1 + \sqrt{1 + 2 E / w}}

    the solution of :math:`E = W + W^2 / (2 w)`: what remains if the gradient norm is
    the same at all interpolates. Where it is not, :math:`K > T^2` and a converged
    critic reads above :math:`W_1`, never below. A negative estimate, which only
    an untrained critic has, keeps its sign: the reading is odd.

    Args:
        estimate: E, of a critic with ``gradient_penalty``, target 1, one-sided or
            not.
        weight: w > 0, of that penalty; a critic without one has none. In the
            limit of a large weight the reading is the estimate.

    Returns:
        The reading, of the estimate's shape.

    Raises:
        ValueError: if the weight is not positive, as far as it is known.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, equation 3, for the penalty; the
        reading is solved from its first-order condition above.
    """
    if not isinstance(weight, jax.core.Tracer) and not np.all(np.asarray(weight) > 0):
        raise ValueError(f"penalty_reading: weight is {weight}, and must be above 0.")
    estimate = jnp.asarray(estimate)
    # The second form: the first one subtracts nearly equal numbers.
    return 2 * estimate / (1 + jnp.sqrt(1 + 2 * jnp.abs(estimate) / weight))


def flow_reading(estimate: Array, penalty: Array) -> Array:
    r"""The cost of the flow along the critic's gradients.

    .. math:: \hat W = E - 2 P = T, \qquad
        P = w\, \mathbb{E}_{\hat x}[(s - 1)^2] = \frac{K}{4 w}

    Exact for :math:`T`, whatever the gradient norm does from point to point, so for a
    converged critic it is at least :math:`W_1`, and the closest reading from
    above: the flow costs more than an optimal one by second order in 1 / w. It
    is the first to suffer from too little training, above all with the two-sided
    penalty, which counts gradient norms below 1 that belong to no flow.

    Args:
        estimate: E.
        penalty: P, with its weight, of the same critic: ``critic/penalty`` if the
            gradient penalty is the only one.

    Returns:
        The reading, of the estimate's shape.

    Reference:
        The first-order condition above; T and K of a flow are those of Beckmann
        1952, "A continuous model of transportation", with a congestion.
    """
    return jnp.asarray(estimate) - 2 * penalty


def slope_reading(estimate: Array, mean_norm: Array) -> Array:
    r"""The estimate in units of the critic's mean gradient norm.

    .. math:: \hat W = E \,/\, \mathbb{E}_{\hat x}
        \left[\lVert \nabla f(\hat x) \rVert\right]

    It costs nothing in training, and needs no weight: it is there for every
    penalty, and for clipping and spectral normalization if the gradient norm is
    measured at interpolates. For those two it is no more than a change of units. Like
    the closed form it is at least :math:`W_1` for a converged penalized critic.

    Args:
        estimate: E.
        mean_norm: mean gradient norm at interpolates, ``critic/gradient_norm_mean``, >=
            0.

    Returns:
        The reading, of the estimate's shape; 0 where the gradient norm is 0.
    """
    return _ratio(estimate, mean_norm)


def lipschitz_reading(estimate: Array, max_norm: Array) -> Array:
    r"""The estimate in units of the critic's largest gradient norm: a lower bound.

    .. math:: \frac{E}{\sup_x \lVert \nabla f(x) \rVert} \le W_1

    For any critic, trained or not: by Kantorovich duality :math:`W_1` is the
    largest estimate of a 1-Lipschitz function, and :math:`f / \sup \lVert
    \nabla f \rVert` is one.

    Args:
        estimate: E, over both distributions. Over samples it bounds the
            distance between these samples.
        max_norm: largest gradient norm on a convex set that holds both distributions,
            >= 0, such as ``grid_max_norm``. A maximum over interpolates is
            smaller, and with it the bound is lost.

    Returns:
        The reading, of the estimate's shape; 0 where the gradient norm is 0.

    Reference:
        Villani 2009, "Optimal transport: old and new", remark 6.5; Arjovsky,
        Chintala, Bottou 2017, arXiv:1701.07875, equation 2.
    """
    return _ratio(estimate, max_norm)


def extrapolated_reading(
    estimates: tuple[Array, Array], *, weights: tuple[float, float]
) -> Array:
    r"""Two critics' estimates, extrapolated to an infinite penalty weight.

    .. math:: \hat W = \frac{w_1 E_1 - w_2 E_2}{w_1 - w_2}

    which is exact for :math:`E = W + K / (2 w)`. K itself grows with the
    weight, as the flow draws together towards an optimal one, so this reads too
    high, by second order in 1 / w; an undertrained critic at the larger weight
    makes it read too low by more.

    Args:
        estimates: of two critics between the same distributions.
        weights: their penalty weights, > 0 and not equal.

    Returns:
        The reading, of the estimates' shape.

    Raises:
        ValueError: if the weights are equal or not positive.
    """
    first, second = weights
    if first == second or not min(weights) > 0:
        raise ValueError(
            f"extrapolated_reading: weights are {weights}; two different ones above 0 "
            "fix a line."
        )
    return (first * jnp.asarray(estimates[0]) - second * jnp.asarray(estimates[1])) / (
        first - second
    )


def grid_max_norm(
    critic_fn: CriticFn, low: Array, high: Array, *, points: int
) -> Array:
    r"""Largest gradient norm of a critic on a grid in the plane.

    .. math:: \max_{i, j < n} \lVert \nabla f(x_{ij}) \rVert, \qquad
        x_{ij} = l + \left(\tfrac{i}{n - 1}, \tfrac{j}{n - 1}\right) \odot (h - l)

    From below: what happens between the points of the grid is not seen. The
    memory is that of a batch of n.

    Args:
        critic_fn: scores ``[B]`` of points ``[B, 2]``.
        low: ``[2]``, the lower left corner of the rectangle.
        high: ``[2]``, the upper right one.
        points: n along each side, at least 2.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: if the corners are no points of the plane, or n is below 2.
    """
    low, high = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
    if low.shape != (2,) or high.shape != (2,):
        raise ValueError(
            f"grid_max_norm: corners of shapes {low.shape} and {high.shape}; a grid "
            "is of the plane, so each is [2]."
        )
    if points < 2:
        raise ValueError(f"grid_max_norm: points is {points}, and must be at least 2.")
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
