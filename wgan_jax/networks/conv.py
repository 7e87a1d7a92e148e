"""Convolution primitives that are closed under differentiation.

A convolution and its two gradients are three bilinear maps with the same
geometry (stride, padding, sizes):

    forward(x, w)   [B, H, W, I], [K, K, I, O] -> [B, h, w, O]
    backward(g, w)  [B, h, w, O], [K, K, I, O] -> [B, H, W, I]
    kernel(x, g)    [B, H, W, I], [B, h, w, O] -> [K, K, I, O]

All three are partial evaluations of one trilinear form. The transpose of each
map with respect to either argument is therefore another of the three. With
primitives that have these transpose rules, derivatives of every order consist
of the same three maps, whose implementations are chosen in ``forms``. Without
them, a penalty on the critic's gradient, which needs second derivatives,
produces convolutions with reversed windows and permuted layouts, for which
XLA's CPU backend has only a naive loop.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from wgan_jax.networks import forms, onednn_rule
from wgan_jax.networks.geometry import Geometry, Padding
from wgan_jax.networks.standard import uses_standard_operations
from wgan_jax.types import Array


def conv(x: Array, w: Array, *, stride: int = 1, padding: Padding) -> Array:
    r"""Computes the cross-correlation of images with a kernel.

    .. math:: y_{b,i,o} = \sum_{t,c} x_{b,\,si+t-p,\,c}\, w_{t,c,o}

    Args:
        x: floating-point ``[B, H, W, I]``, images.
        w: floating-point ``[K, K', I, O]``, kernel.
        stride: stride s of both axes, at least 1.
        padding: zero padding ``((low, high), (low, high))`` of height and
            width; p is the low padding.

    Returns:
        ``[B, h, w, O]`` in the promoted dtype of ``x`` and ``w``, with
        ``h = (H + low + high - K) // s + 1``.

    Raises:
        ValueError: if the shapes do not match.
    """
    x, w = _promote(x, w)
    if x.ndim != 4 or w.ndim != 4 or x.shape[3] != w.shape[2]:
        raise ValueError(
            f"conv: images {x.shape} and kernel {w.shape} do not match; they must be "
            "[B, H, W, I] and [K, K, I, O]."
        )
    geometry = _geometry(w, stride, padding, x.shape[1:3])
    if min(geometry.output) < 1:
        raise ValueError(
            f"conv: a {w.shape[:2]} kernel does not fit into images of {x.shape[1:3]} "
            f"padded by {padding}. Use a smaller kernel or more padding."
        )
    if uses_standard_operations():
        return forms.forward(x, w, geometry=geometry)
    return FORWARD.bind(x, w, geometry=geometry)


def conv_transpose(
    x: Array, w: Array, *, stride: int, padding: Padding, output_size: Sequence[int]
) -> Array:
    r"""Computes a transposed convolution, the gradient of ``conv`` in its images.

    .. math:: y_{b,u,o} = \sum_{i,t \,:\, si+t-p=u} \sum_c x_{b,i,c}\, w_{t,o,c}

    Args:
        x: floating-point ``[B, h, w, I]``, shaped like the output of the
            ``conv`` with this geometry.
        w: floating-point ``[K, K', O, I]``, the kernel of that ``conv``. Its
            *output* channels are the input channels here.
        stride: stride s of that ``conv``, at least 1.
        padding: padding of that ``conv``, by which the result is cropped.
        output_size: ``(H, W)``, image size of that ``conv``. It is required
            because s different image sizes give the same (h, w).

    Returns:
        ``[B, H, W, O]`` in the promoted dtype of ``x`` and ``w``.

    Raises:
        ValueError: if the shapes do not match.

    Reference:
        Dumoulin, Visin 2016, arXiv:1603.07285, section 4.
    """
    x, w = _promote(x, w)
    if x.ndim != 4 or w.ndim != 4 or x.shape[3] != w.shape[3]:
        raise ValueError(
            f"conv_transpose: input {x.shape} and kernel {w.shape} do not match; they "
            "must be [B, h, w, I] and [K, K, O, I]."
        )
    geometry = _geometry(w, stride, padding, output_size)
    if geometry.output != x.shape[1:3]:
        raise ValueError(
            f"conv_transpose: an input of {x.shape[1:3]} cannot give an output of "
            f"{tuple(output_size)}; with this kernel, stride and padding the input "
            f"must be {geometry.output}."
        )
    if uses_standard_operations():
        return forms.backward(x, w, geometry=geometry)
    return BACKWARD.bind(x, w, geometry=geometry)


def conv_mean_pool(x: Array, w: Array) -> Array:
    r"""Computes a size-preserving convolution followed by 2x2 mean pooling.

    .. math:: y_i = \tfrac14 \sum_{a\in\{0,1\}^2} \sum_t x_{2i+a+t-p}\, w_t
        = \tfrac14 \sum_t x_{2i+t-p} \sum_a w_{t-a}

    This is a single stride-2 convolution whose kernel is summed over its four
    shifts by 0 or 1 pixel. For K = 3, it needs 16 instead of 36 multiplications
    per output pixel and channel pair.

    Args:
        x: floating-point ``[B, H, W, I]``; H and W even.
        w: floating-point ``[K, K, I, O]``; K odd.

    Returns:
        ``[B, H/2, W/2, O]`` in the promoted dtype.

    Raises:
        ValueError: if H or W is odd, or K is even.
    """
    _check_odd("conv_mean_pool", w)
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ValueError(
            f"conv_mean_pool: images are {x.shape[1:3]}; both sides must be even."
        )
    half = w.shape[0] // 2
    return conv(x, _shifts(w) / 4, stride=2, padding=((half, half), (half, half)))


def upsample_conv(x: Array, w: Array) -> Array:
    r"""Computes 2x2 nearest-neighbor upsampling followed by a convolution.

    .. math:: y_u = \sum_t x_{\lfloor (u+t-p)/2 \rfloor}\, w_t
        = \sum_i x_i \sum_{a\in\{0,1\}^2} w_{2i+a-u+p}

    The convolution preserves the size. Both steps are a single stride-2
    transposed convolution whose kernel is reversed and summed over its four
    shifts by 0 or 1 pixel. For K = 3, it needs 4 instead of 9 multiplications
    per output pixel and channel pair.

    Args:
        x: floating-point ``[B, h, w, I]``.
        w: floating-point ``[K, K, I, O]``; K odd.

    Returns:
        ``[B, 2h, 2w, O]`` in the promoted dtype.

    Raises:
        ValueError: if K is even.
    """
    _check_odd("upsample_conv", w)
    half = w.shape[0] // 2
    reversed_ = jnp.flip(_shifts(w), (0, 1)).swapaxes(2, 3)
    return conv_transpose(
        x,
        reversed_,
        stride=2,
        padding=((half, half), (half, half)),
        output_size=(2 * x.shape[1], 2 * x.shape[2]),
    )


def _shifts(w: Array) -> Array:
    """Sums the four shifts of a kernel by 0 or 1 along each side; K + 1 wide."""
    corners = ((0, 1), (1, 0))
    padded = [jnp.pad(w, (a, b, (0, 0), (0, 0))) for a in corners for b in corners]
    return padded[0] + padded[1] + padded[2] + padded[3]


def _check_odd(name: str, w: Array) -> None:
    if w.ndim != 4 or w.shape[0] % 2 == 0 or w.shape[0] != w.shape[1]:
        raise ValueError(
            f"{name}: the kernel has shape {w.shape}; it must be [K, K, I, O] with odd "
            "K."
        )


def _promote(x: Array, w: Array) -> tuple[Array, Array]:
    dtype = jnp.promote_types(x.dtype, w.dtype)
    return x.astype(dtype), w.astype(dtype)


def _geometry(w: Array, stride: int, padding: Padding, size: Sequence[int]) -> Geometry:
    """Returns the geometry, with all fields converted to plain ints."""
    (top, bottom), (left, right) = padding
    return Geometry(
        int(stride),
        ((int(top), int(bottom)), (int(left), int(right))),
        (int(size[0]), int(size[1])),
        (w.shape[0], w.shape[1]),
    )


def _primitive(
    name: str,
    form: Callable[..., Array],
    forms_on: Mapping[str, Callable[..., Array]],
    shape: Callable[..., tuple[int, ...]],
    folds: tuple[tuple[int, int], tuple[int, int]],
) -> Primitive:
    """Returns the primitive of one of the three maps.

    ``folds`` defines how an argument is batched if the other one is not. For
    each argument, it gives the axis of that argument and the axis of the result
    that absorb the batch axis.
    """
    primitive = Primitive(f"wgan_jax_{name}")
    bind = jax.jit(primitive.bind, static_argnames="geometry")

    def run(a: Array, b: Array, *, geometry: Geometry) -> Array:
        with jax.disable_jit(False):  # otherwise, bind would call run recursively
            return bind(a, b, geometry=geometry)

    primitive.def_impl(run)

    def abstract(a: Array, b: Array, *, geometry: Geometry) -> jax.core.ShapedArray:
        return jax.core.ShapedArray(shape(a.shape, b.shape, geometry), a.dtype)

    primitive.def_abstract_eval(abstract)
    lower = partial(mlir.lower_fun, multiple_results=False)
    mlir.register_lowering(primitive, lower(form))
    rules = {platform: lower(other) for platform, other in forms_on.items()}
    rules["cpu"] = onednn_rule.lowering(form.__name__, forms_on["cpu"])
    for platform, rule in rules.items():
        mlir.register_lowering(primitive, rule, platform=platform)

    def batch(
        args: Sequence[Array], dims: Sequence[int | None], *, geometry: Geometry
    ) -> tuple[Array, int]:
        if None not in dims:
            return jax.vmap(partial(form, geometry=geometry), dims)(*args), 0
        which = 0 if dims[1] is None else 1
        dim = dims[which]
        assert dim is not None
        axis, out_axis = folds[which]
        size = args[which].shape[dim]
        args = list(args)
        args[which] = _fold(args[which], dim, axis)
        out = primitive.bind(*args, geometry=geometry)
        return _unfold(out, out_axis, size), out_axis

    batching.primitive_batchers[primitive] = batch
    return primitive


def _fold(a: Array, dim: int, axis: int) -> Array:
    """Merges the batch axis ``dim`` into ``axis`` as its slow part."""
    a = jnp.moveaxis(a, dim, axis)
    return a.reshape(*a.shape[:axis], -1, *a.shape[axis + 2 :])


def _unfold(a: Array, axis: int, size: int) -> Array:
    return a.reshape(*a.shape[:axis], size, -1, *a.shape[axis + 1 :])


FORWARD = _primitive(
    "conv",
    forms.forward,
    {"cpu": forms.forward_cpu},
    lambda x, w, geometry: (x[0], *geometry.output, w[3]),
    folds=((0, 0), (3, 3)),
)
BACKWARD = _primitive(
    "conv_backward",
    forms.backward,
    {"cpu": forms.backward_cpu, "cuda": forms.backward_cuda},
    lambda g, w, geometry: (g[0], *geometry.size, w[2]),
    folds=((0, 0), (2, 3)),
)
KERNEL = _primitive(
    "conv_kernel",
    forms.kernel,
    {"cpu": forms.kernel_cpu},
    lambda x, g, geometry: (*geometry.kernel, x[3], g[3]),
    folds=((3, 2), (3, 3)),
)
ad.defbilinear(
    FORWARD,
    lambda ct, x, w, *, geometry: BACKWARD.bind(ct, w, geometry=geometry),
    lambda ct, x, w, *, geometry: KERNEL.bind(x, ct, geometry=geometry),
)
ad.defbilinear(
    BACKWARD,
    lambda ct, g, w, *, geometry: FORWARD.bind(ct, w, geometry=geometry),
    lambda ct, g, w, *, geometry: KERNEL.bind(ct, g, geometry=geometry),
)
ad.defbilinear(
    KERNEL,
    lambda ct, x, g, *, geometry: BACKWARD.bind(g, ct, geometry=geometry),
    lambda ct, x, g, *, geometry: FORWARD.bind(x, ct, geometry=geometry),
)
