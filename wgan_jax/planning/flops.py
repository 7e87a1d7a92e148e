"""Counts floating-point operations of a function's products and convolutions.

They are counted in the traced program, after dead-code elimination: one
addition and one multiplication for each pair of multiplied numbers. Pairs with
a zero from padding or dilation are not counted, and nor are operations other
than products. For a conditional, the branch with the most operations counts.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
from jax.extend.core import jaxprs_in_params
from jax.interpreters import partial_eval

OURS = "wgan_jax_conv"  # the primitives of networks/conv.py: this, _backward, _kernel
PRODUCT = "wgan_jax_product"  # the primitive of networks/product.py


def operations(function: Callable[..., Any], *arguments: Any) -> float:
    """Counts the operations of one call.

    Args:
        function: pure function.
        *arguments: pytrees of arrays, or of their shapes and dtypes.

    Returns:
        Twice the number of multiplications.

    Raises:
        ValueError: if the function contains an unknown convolution.
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
        elif name == PRODUCT:
            total += _product(equation)
        elif name in (OURS, f"{OURS}_backward", f"{OURS}_kernel"):
            total += _convolution(equation)
        elif name == "conv_general_dilated":
            total += _general(equation)
        elif "conv_" in name:
            raise ValueError(
                f"the operations of {name}, which is in the step, cannot be counted"
            )
        length = equation.params.get("length", 1) if name == "scan" else 1
        inner = map(_products, jaxprs_in_params(equation.params))
        total += max(inner) if name == "cond" else length * sum(inner)
    return total


def _dot(equation: Any) -> int:
    """Returns the size of the result times the number of terms of each sum."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    summed = math.prod(left[axis] for axis in contracted)
    return summed * math.prod(equation.outvars[0].aval.shape)


def _product(equation: Any) -> int:
    """Counts like ``_dot``, for a product with transpose flags."""
    left = equation.invars[0].aval.shape
    summed = left[int(not equation.params["transpose_a"])]
    return summed * math.prod(equation.outvars[0].aval.shape)


def _convolution(equation: Any) -> int:
    """Returns examples times taps on pixels times pairs of channels.

    The three maps are partial evaluations of one trilinear form over images,
    kernel and results, so the number is the same for each.
    """
    geometry = equation.params["geometry"]
    a, b = (v.aval.shape for v in equation.invars)
    if equation.primitive.name == f"{OURS}_kernel":
        channels = a[3] * b[3]
    else:
        channels = b[2] * b[3]
    sides = zip(
        geometry.size, geometry.kernel, geometry.output, geometry.padding, strict=True
    )
    return (
        a[0]
        * channels
        * math.prod(
            taps(image, kernel, result, stride=geometry.stride, low=low)
            for image, kernel, result, (low, _) in sides
        )
    )


def _general(equation: Any) -> int:
    """Counts like ``_convolution`` for JAX's own convolution, including groups.

    With channel groups, the kernel has the input channels of one group and the
    output channels of all. With batch groups, the result has as many examples
    as one group.
    """
    params = equation.params
    names = params["dimension_numbers"]
    image, kernel = (v.aval.shape for v in equation.invars)
    result = equation.outvars[0].aval.shape
    outputs, inputs, *_ = names.rhs_spec
    count = result[names.out_spec[0]] * kernel[outputs] * kernel[inputs]
    for axis, (low, _) in enumerate(params["padding"]):
        count *= taps(
            image[names.lhs_spec[axis + 2]],
            kernel[names.rhs_spec[axis + 2]],
            result[names.out_spec[axis + 2]],
            stride=params["window_strides"][axis],
            low=low,
            image_dilation=params["lhs_dilation"][axis],
            kernel_dilation=params["rhs_dilation"][axis],
        )
    return count


@cache
def taps(
    image: int,
    kernel: int,
    result: int,
    *,
    stride: int,
    low: int,
    image_dilation: int = 1,
    kernel_dilation: int = 1,
) -> int:
    """Counts the pairs of a result and a kernel tap that hit a pixel, on one axis.

    Args:
        image: number of pixels.
        kernel: number of taps.
        result: number of results.
        stride: stride of the window.
        low: zeros before the first pixel; negative if pixels are cropped.
        image_dilation: distance between two pixels, with zeros between them.
        kernel_dilation: distance between two taps.

    Returns:
        The number of pairs.
    """
    places = (
        stride * i - low + kernel_dilation * t
        for i in range(result)
        for t in range(kernel)
    )
    last = (image - 1) * image_dilation
    return sum(0 <= at <= last and at % image_dilation == 0 for at in places)
