r"""Reparametrizations of a kernel: spectral and weight normalization.

A parametrization is a function ``(layer, kernel, *, axis) -> kernel``. It may
store parameters and variables in the layer. The kernel is treated as a matrix
``[I, O]`` whose O columns are the output channels along ``axis``.
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.ranges import OneOf
from wgan_jax.types import Array

SPECTRAL = "spectral"
"""Name of the collection that holds the vectors of spectral normalization."""

# After this many iterations from a random vector, sigma is accurate to a few percent
# even for random kernels, whose largest singular values are close together.
_ITERATIONS_AT_START = 15


def plain(layer: nn.Module, kernel: Array, *, axis: int) -> Array:
    """Returns the kernel unchanged."""
    return kernel


def spectral(layer: nn.Module, kernel: Array, *, axis: int) -> Array:
    r"""Divides the kernel by its largest singular value.

    .. math:: \bar W = W / \sigma, \qquad \sigma = v^T W u, \qquad
        v = \frac{W u_0}{\|W u_0\|}, \quad u = \frac{W^T v}{\|W^T v\|}

    The vectors carry no gradient; the gradient flows through W in
    :math:`\sigma`. Each call performs one power iteration from the stored
    vector :math:`u_0`. It stores :math:`u` if the caller made the collection
    ``"spectral"`` mutable. The computation is in at least float32.

    Args:
        layer: module that stores the vector ``[O]``.
        kernel: floating-point kernel of any shape.
        axis: axis of the output channels.

    Returns:
        The normalized kernel, whose norm tends to 1 as the vector converges. A
        zero kernel is unchanged.

    Reference:
        Miyato et al. 2018, arXiv:1802.05957, algorithm 1. Their code also
        updates the vector in the generator update; here, generator updates do
        not change the critic.
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
    r"""Scales each output channel of the kernel to a learned norm.

    .. math:: w_o = g_o\, v_o / \|v_o\|

    The gains are initialized to :math:`\|v_o\|`, so the layer initially equals
    a plain one.

    Args:
        layer: module that stores the parameter ``gain``, ``[O]``.
        kernel: floating-point kernel v of any shape.
        axis: axis of the output channels.

    Returns:
        The kernel w; zero channels stay zero.

    Reference:
        Salimans, Kingma 2016, arXiv:1602.07868, equation 2.
    """
    exact = jnp.promote_types(jnp.float32, kernel.dtype)
    squares = jnp.sum(jnp.square(_columns(kernel, axis).astype(exact)), 0)
    # The square root is not differentiable at 0, so zero channels are masked out.
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
    """Applies a parametrization by name.

    Args:
        layer: the layer that the kernel belongs to.
        kernel: floating-point kernel of any shape.
        name: a key of ``PARAMETRIZATIONS``.
        axis: axis of the output channels of the kernel.

    Returns:
        A kernel with the same shape and dtype.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in PARAMETRIZATIONS:
        raise ValueError(
            f"{type(layer).__name__}: parametrization is {name!r}; it must be one of "
            f"{', '.join(PARAMETRIZATIONS)}."
        )
    return PARAMETRIZATIONS[name](layer, kernel, axis=axis)


def field(name: str) -> dict[str, str]:
    """Returns the layer field for a parametrization; empty if it is plain.

    Plain networks can therefore be built from flax's own layers, which do not
    have this field.
    """
    return {} if name == "plain" else {"parametrization": name}


def _columns(kernel: Array, axis: int) -> Array:
    """Returns the kernel as ``[I, O]``, where O are the channels of ``axis``."""
    return jnp.moveaxis(kernel, axis, -1).reshape(-1, kernel.shape[axis])


def _power_iteration(matrix: Array, u: Array) -> tuple[Array, Array]:
    """Returns the next u ``[O]`` and v ``[I]``; u is unchanged for a zero matrix."""
    v = _dot(matrix, u)
    v = v / (jnp.linalg.norm(v) + 1e-12)
    new = _dot(v, matrix)
    norm = jnp.linalg.norm(new)
    return jnp.where(norm > 0, new / (norm + 1e-12), u), v


def _dot(a: Array, b: Array) -> Array:
    return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)
