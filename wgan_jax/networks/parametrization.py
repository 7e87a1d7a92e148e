r"""Reparametrizations of a kernel: spectral and weight normalization.

A parametrization is a function ``(layer, kernel, *, axis) -> kernel``. It may
keep parameters and variables of its own in the layer. The kernel is seen as a
matrix ``[I, O]`` whose O columns are the ``axis`` of output channels.
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.ranges import OneOf
from wgan_jax.types import Array

SPECTRAL = "spectral"
"""The collection of the vectors of spectral normalization."""

# After as many from a random vector, sigma is right to a few percent even for
# random kernels, whose singular values crowd below the largest.
_ITERATIONS_AT_START = 15


def plain(layer: nn.Module, kernel: Array, *, axis: int) -> Array:
    """The kernel itself."""
    return kernel


def spectral(layer: nn.Module, kernel: Array, *, axis: int) -> Array:
    r"""The kernel divided by its largest singular value.

    .. math:: \bar W = W / \sigma, \qquad \sigma = v^T W u, \qquad
        v = \frac{W u_0}{\|W u_0\|}, \quad u = \frac{W^T v}{\|W^T v\|}

    The vectors carry no gradient; it flows through W in :math:`\sigma`. Each
    call takes one step of the power iteration from the stored vector
    :math:`u_0`, and stores :math:`u` where the caller made the collection
    ``"spectral"`` mutable. The arithmetic is float32 at least.

    Args:
        layer: that keeps the vector, ``[O]``.
        kernel: floating, of any shape.
        axis: of its output channels.

    Returns:
        The kernel, of norm 1 as the vector converges; a zero kernel as it is.

    Reference:
        Miyato et al. 2018, arXiv:1802.05957, algorithm 1. Their code moves the
        vector in the pass of the generator's update too; here an update of the
        generator leaves the critic alone.
    """
    exact = jnp.promote_types(jnp.float32, kernel.dtype)
    matrix = _columns(kernel, axis).astype(exact)
    fixed = jax.lax.stop_gradient(matrix)

    def start() -> Array:
        u = jax.random.normal(layer.make_rng("params"), matrix.shape[1:], exact)
        step = lambda _, u: _power_iteration(fixed, u)[0]  # noqa: E731
        return jax.lax.fori_loop(0, _ITERATIONS_AT_START, step, u)

    stored = layer.variable(SPECTRAL, "u", start)
    u, v = _power_iteration(fixed, stored.value)
    if layer.is_mutable_collection(SPECTRAL) and not layer.is_initializing():
        stored.value = u
    sigma = _dot(v, _dot(matrix, u))
    sigma = jnp.where(sigma > 0, sigma, 1)
    return (kernel.astype(exact) / sigma).astype(kernel.dtype)


def weight_norm(layer: nn.Module, kernel: Array, *, axis: int) -> Array:
    r"""Each output channel of the kernel scaled to a norm that is learned.

    .. math:: w_o = g_o\, v_o / \|v_o\|

    The gains start at :math:`\|v_o\|`, so the layer starts as a plain one.

    Args:
        layer: that keeps the parameter ``gain``, ``[O]``.
        kernel: v, floating, of any shape.
        axis: of its output channels.

    Returns:
        The kernel w; channels that are zero stay zero.

    Reference:
        Salimans, Kingma 2016, arXiv:1602.07868, equation 2.
    """
    exact = jnp.promote_types(jnp.float32, kernel.dtype)
    squares = jnp.sum(jnp.square(_columns(kernel, axis).astype(exact)), 0)
    # The root has no slope at 0: zero channels are kept away from it.
    norms = jnp.sqrt(jnp.where(squares > 0, squares, 1))
    at_start = jnp.where(squares > 0, norms, 0)
    gain = layer.param("gain", lambda _: at_start.astype(kernel.dtype))
    shape = [1] * kernel.ndim
    shape[axis] = -1
    factor = (gain.astype(exact) / norms).reshape(shape)
    return (kernel.astype(exact) * factor).astype(kernel.dtype)


PARAMETRIZATIONS: dict[str, Callable[..., Array]] = {
    "plain": plain,
    "spectral": spectral,
    "weight_norm": weight_norm,
}
Parametrization = Annotated[str, OneOf(PARAMETRIZATIONS)]


def parametrize(layer: nn.Module, kernel: Array, *, name: str, axis: int) -> Array:
    """The kernel as the parametrization of that name makes it.

    Args:
        layer: whose kernel it is.
        kernel: floating, of any shape.
        name: a row of ``PARAMETRIZATIONS``.
        axis: of the kernel's output channels.

    Returns:
        A kernel of the same shape and dtype.

    Raises:
        ValueError: for another name.
    """
    if name not in PARAMETRIZATIONS:
        raise ValueError(
            f"{type(layer).__name__}: parametrization is {name!r}, and must be one of "
            f"{', '.join(PARAMETRIZATIONS)}."
        )
    return PARAMETRIZATIONS[name](layer, kernel, axis=axis)


def field(name: str) -> dict[str, str]:
    """The layer field of that parametrization; none if plain.

    Plain networks can then be built of flax's own layers, which have no such
    field.
    """
    return {} if name == "plain" else {"parametrization": name}


def _columns(kernel: Array, axis: int) -> Array:
    """``[I, O]``, with O the channels of ``axis``."""
    return jnp.moveaxis(kernel, axis, -1).reshape(-1, kernel.shape[axis])


def _power_iteration(matrix: Array, u: Array) -> tuple[Array, Array]:
    """The next u ``[O]`` and its v ``[I]``; the old u where the matrix is zero."""
    v = _dot(matrix, u)
    v = v / (jnp.linalg.norm(v) + 1e-12)
    new = _dot(v, matrix)
    norm = jnp.linalg.norm(new)
    return jnp.where(norm > 0, new / (norm + 1e-12), u), v


def _dot(a: Array, b: Array) -> Array:
    return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)
