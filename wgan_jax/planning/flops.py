"""Counts floating-point operations of a function's products and convolutions.

They are counted in the program that JAX has traced, after what nobody reads is left
out: an addition and a multiplication for each pair of numbers that meet. Pairs with
a zero that pads or dilates are not counted, nor is anything but products. Where a
condition chooses, the way with the most of them counts.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
from jax.extend.core import jaxprs_in_params
from jax.interpreters import partial_eval

OURS = "wgan_jax_conv"  # the three maps of networks/conv.py, and _backward, _kernel
PRODUCT = "wgan_jax_product"  # of networks/product.py


def operations(function: Callable[..., Any], *arguments: Any) -> float:
    """Of one call.

    Args:
        function: pure.
        *arguments: pytrees of arrays, or of their shapes and dtypes.

    Returns:
        Twice the multiplications.

    Raises:
        ValueError: for a convolution that is not known here.
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


def _product(equation: Any) -> int:
    """As ``_dot``, of a product whose flags say which side is summed."""
    left = equation.invars[0].aval.shape
    summed = left[int(not equation.params["transpose_a"])]
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
    """The same for JAX's own convolution, whose shapes reflect its groups.

    With groups of channels the kernel has the input channels of one group and the
    output channels of all. With groups of examples the result has as many examples
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
    """Pairs of a result and a tap of the kernel that fall on a pixel, on one axis.

    Args:
        image: pixels.
        kernel: taps.
        result: numbers.
        stride: of the window.
        low: zeros before the first pixel, negative where pixels are left out.
        image_dilation: distance of two pixels, with zeros between them.
        kernel_dilation: distance of two taps.

    Returns:
        How many.
    """
    places = (
        stride * i - low + kernel_dilation * t
        for i in range(result)
        for t in range(kernel)
    )
    last = (image - 1) * image_dilation
    return sum(0 <= at <= last and at % image_dilation == 0 for at in places)
