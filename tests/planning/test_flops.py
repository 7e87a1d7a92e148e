"""Tests of counted operations of traced functions against manual counts."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from wgan_jax.networks.conv import conv
from wgan_jax.planning.flops import operations, taps


def test_operations_exclude_padding():
    x, w = jnp.ones((2, 4, 4, 3)), jnp.ones((3, 3, 3, 5))
    pads = ((1, 1), (1, 1))
    # On each axis, 2 results use two of the 3 taps, and 2 results use all.
    assert taps(4, 3, 4, stride=1, low=1) == 10
    # The first 3 of 9 pixels are skipped, and one zero is added after the last.
    assert taps(9, 2, 6, stride=1, low=-3) == 11
    once = 2 * 2 * 10 * 10 * 3 * 5

    def score(w):
        return jnp.sum(conv(x, w, stride=1, padding=pads) ** 2)

    assert operations(lambda w: conv(x, w, stride=1, padding=pads), w) == once
    assert operations(jax.grad(score), w) == 2 * once
    assert operations(lambda a, b: (a @ b, a + 1)[1], x, x.mT) == 0
    looped = jax.lax.scan
    matrix = jnp.ones((3, 3))
    run = lambda a: looped(lambda c, _: (c @ c, None), a, length=7)[0]
    assert operations(run, matrix) == 7 * 2 * 27


def test_cond_counts_the_more_expensive_branch():
    matrix = jnp.ones((3, 3))

    def power(a):
        return jax.lax.cond(a[0, 0] > 0, lambda: a @ a @ a, lambda: a @ a)

    assert operations(power, matrix) == 2 * 2 * 27


@pytest.mark.parametrize(
    ("image", "kernel", "options"),
    [
        ((2, 5, 6, 4), (3, 2, 4, 6), {}),
        ((2, 5, 6, 4), (3, 2, 4, 6), {"padding": ((1, 2), (0, 3))}),
        ((2, 5, 6, 4), (3, 2, 4, 6), {"window_strides": (2, 3)}),
        ((2, 5, 6, 4), (3, 2, 4, 6), {"lhs_dilation": (2, 3)}),
        ((2, 5, 6, 4), (2, 2, 4, 6), {"rhs_dilation": (3, 2)}),
        ((2, 9, 9, 4), (3, 2, 4, 6), {"padding": ((-1, -2), (-3, -1))}),
        ((2, 5, 6, 4), (3, 2, 2, 6), {"feature_group_count": 2}),
        ((2, 5, 6, 4), (3, 2, 1, 4), {"feature_group_count": 4}),
        ((6, 5, 6, 4), (3, 2, 4, 6), {"batch_group_count": 3}),
        (
            (4, 5, 6, 4),
            (3, 2, 2, 6),
            {
                "feature_group_count": 2,
                "window_strides": (2, 1),
                "lhs_dilation": (3, 2),
                "rhs_dilation": (2, 3),
                "padding": ((2, 1), (-1, -3)),
            },
        ),
    ],
)
def test_jax_convolution_excludes_padding(image, kernel, options):
    """With ones as input and kernel, the sum of the results is the count."""
    options = {"window_strides": (1, 1), "padding": ((1, 1), (1, 1))} | options

    def run(x, w):
        names = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, w, dimension_numbers=names, **options)

    pairs = jnp.sum(run(jnp.ones(image), jnp.ones(kernel)))
    assert operations(run, jnp.ones(image), jnp.ones(kernel)) == 2 * pairs


def test_axes_follow_the_dimension_numbers():
    # 3 taps on 4 and 6 pixels give 10 and 16 pairs; 3 examples, 2 to 5 channels.
    x, w = jnp.ones((2, 4, 3, 6)), jnp.ones((3, 5, 3, 2))

    def run(x, w):
        names = ("CHNW", "HOWI", "HNCW")
        pads = ((1, 1), (1, 1))
        return jax.lax.conv_general_dilated(x, w, (1, 1), pads, dimension_numbers=names)

    assert operations(run, x, w) == 2 * 3 * 10 * 16 * 2 * 5


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_a_grouped_layer_triple_the_count(stride):
    layer = nn.Conv(6, (3, 3), stride, feature_group_count=2, use_bias=False)
    x = jnp.ones((2, 4, 4, 4))
    params = layer.init(jax.random.key(0), x)
    # On an axis, 4 results use 2, 3, 3 and 2 taps; with stride 2, they use 3 and 2.
    once = 2 * 2 * {1: 10, 2: 5}[stride] ** 2 * (4 // 2) * 6

    def score(params, x):
        return jnp.sum(layer.apply(params, x) ** 2)

    def penalty(params):
        return jnp.sum(jax.grad(score, 1)(params, x) ** 2)

    assert operations(layer.apply, params, x) == once
    assert operations(jax.grad(score, 1), params, x) == 2 * once
    assert operations(jax.grad(score), params, x) == 2 * once
    assert operations(jax.grad(score, (0, 1)), params, x) == 3 * once
    # Forward y = x w and g = y w^T, then dy = dg w and a kernel gradient of each.
    assert operations(jax.grad(penalty), params) == 5 * once
