"""Matrix product primitive that is closed under differentiation, like ``conv``.

The gradients of ``A B`` are products of the same kind, with one factor
transposed. With one primitive that has transpose flags, derivatives of every
order consist of the same primitive. Its implementation is chosen by platform;
on a CPU, oneDNN is used where it is faster.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from wgan_jax.networks import onednn, onednn_rule, onednn_support
from wgan_jax.networks.standard import uses_standard_operations
from wgan_jax.types import Array


def product(x: Array, w: Array) -> Array:
    r"""Computes the product of two matrices.

    .. math:: y_{b,o} = \sum_i x_{b,i}\, w_{i,o}

    Args:
        x: floating-point ``[B, I]``.
        w: floating-point ``[I, O]``.

    Returns:
        ``[B, O]`` in the promoted dtype of ``x`` and ``w``.

    Raises:
        ValueError: if the shapes do not match.
    """
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0]:
        raise ValueError(
            f"product: {x.shape} and {w.shape} do not match; they must be [B, I] and "
            "[I, O]."
        )
    dtype = jnp.promote_types(x.dtype, w.dtype)
    x, w = x.astype(dtype), w.astype(dtype)
    if uses_standard_operations():
        return _dot(x, w, transpose_a=False, transpose_b=False)
    return PRODUCT.bind(x, w, transpose_a=False, transpose_b=False)


def _dot(a: Array, b: Array, *, transpose_a: bool, transpose_b: bool) -> Array:
    """Computes the product with XLA."""
    contract = ((int(not transpose_a),), (int(transpose_b),))
    return lax.dot_general(a, b, (contract, ((), ())))


def _shape(a: Any, b: Any, *, transpose_a: bool, transpose_b: bool) -> Any:
    shape = a.shape[int(transpose_a)], b.shape[int(not transpose_b)]
    return jax.core.ShapedArray(shape, a.dtype)


def _batch(
    args: Sequence[Array], dims: Sequence[int | None], **flags: Any
) -> tuple[Array, int]:
    (a, b), (at, bt) = args, dims
    if bt is None and not flags["transpose_a"]:
        assert at is not None  # at least one of the two is batched
        # With a shared right factor, the batch becomes additional rows of one product.
        a = jnp.moveaxis(a, at, 0)
        y = PRODUCT.bind(a.reshape(-1, a.shape[2]), b, **flags)
        return y.reshape(*a.shape[:2], -1), 0
    form: Callable[..., Array] = partial(_dot, **flags)
    return jax.vmap(form, (at, bt))(a, b), 0


def _lower_on_cpu(ctx: Any, a: Any, b: Any, **flags: bool) -> Any:
    first, (result,) = ctx.avals_in[0], ctx.avals_out
    inner = first.shape[int(not flags["transpose_a"])]
    form: Callable[..., Array] = _dot
    dtype = first.dtype.name
    faster = onednn_rule.takes_product(
        dtype, result.size * inner, inner=inner, transposed=flags["transpose_a"]
    )
    if faster and onednn_support.takes(ctx, dtype):
        form = onednn.product
    return mlir.lower_fun(form, multiple_results=False)(ctx, a, b, **flags)


def _run(a: Array, b: Array, **flags: bool) -> Array:
    with jax.disable_jit(False):  # otherwise, bind would call _run recursively
        return _bind(a, b, **flags)


PRODUCT = Primitive("wgan_jax_product")
_bind = jax.jit(PRODUCT.bind, static_argnames=("transpose_a", "transpose_b"))
PRODUCT.def_impl(_run)
PRODUCT.def_abstract_eval(_shape)
mlir.register_lowering(PRODUCT, mlir.lower_fun(_dot, multiple_results=False))
mlir.register_lowering(PRODUCT, _lower_on_cpu, platform="cpu")
batching.primitive_batchers[PRODUCT] = _batch
ad.defbilinear(
    PRODUCT,
    lambda ct, a, b, *, transpose_a, transpose_b: (
        PRODUCT.bind(b, ct, transpose_a=transpose_b, transpose_b=True)
        if transpose_a
        else PRODUCT.bind(ct, b, transpose_a=False, transpose_b=not transpose_b)
    ),
    lambda ct, a, b, *, transpose_a, transpose_b: (
        PRODUCT.bind(ct, a, transpose_a=True, transpose_b=transpose_a)
        if transpose_b
        else PRODUCT.bind(a, ct, transpose_a=not transpose_a, transpose_b=False)
    ),
)
