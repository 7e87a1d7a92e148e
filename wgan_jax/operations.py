"""Floating-point operations of a function's matrix products and convolutions.

They are counted in the program that JAX has traced, after what nobody reads is left
out: an addition and a multiplication for each pair of numbers that meet. Pairs with
a zero of the padding are not counted, nor is anything but products. Where a condition
chooses, the way with the most of them counts.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import jaxprs_in_params
from jax.interpreters import partial_eval

OURS = "wgan_jax_conv"  # the three maps of networks/conv.py, and _backward, _kernel


def operations(function: Callable[..., Any], *arguments: Any) -> float:
    """Of one call.

    Args:
        function: pure.
        *arguments: pytrees of arrays, or of their shapes and dtypes.

    Returns:
        Twice the multiplications.

    Raises:
        ValueError: for a convolution of the package's that is not known here.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.out_avals))
    return 2.0 * _products(jaxpr)


def _products(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            total += _dot(equation)
        elif name in (OURS, f"{OURS}_backward", f"{OURS}_kernel"):
            total += _convolution(equation)
        elif "conv_" in name:
            raise ValueError(f"{name} is in the step, whose products nobody counts")
        length = equation.params.get("length", 1) if name == "scan" else 1
        inner = map(_products, jaxprs_in_params(equation.params))
        total += max(inner) if name == "cond" else length * sum(inner)
    return total


def _dot(equation: Any) -> int:
    """Numbers of the result times those summed for each."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    summed = math.prod(left[axis] for axis in contracted)
    return summed * math.prod(equation.outvars[0].aval.shape)


def _convolution(equation: Any) -> int:
    """Examples times taps that meet a pixel times pairs of channels.

    The three maps are slices of one trilinear form over images, kernel and
    results, so it is the same number for each.
    """
    geometry = equation.params["geometry"]
    a, b = (v.aval.shape for v in equation.invars)
    if equation.primitive.name == f"{OURS}_kernel":
        channels = a[3] * b[3]
    else:
        channels = b[2] * b[3]
    return a[0] * channels * math.prod(taps(geometry, axis) for axis in range(2))


def taps(geometry: Any, axis: int) -> int:
    """Pairs of a result and a tap of the kernel that fall on a pixel, on one axis."""
    low, size = geometry.padding[axis][0], geometry.size[axis]
    return sum(
        0 <= geometry.stride * i + t - low < size
        for i in range(geometry.output[axis])
        for t in range(geometry.kernel[axis])
    )
