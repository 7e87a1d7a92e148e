"""Operations of traced functions, against counts by hand."""

import jax
import jax.numpy as jnp

from wgan_jax.networks.conv import conv
from wgan_jax.networks.geometry import Geometry
from wgan_jax.operations import operations, taps


def test_operations_are_those_of_products_without_padding():
    x, w = jnp.ones((2, 4, 4, 3)), jnp.ones((3, 3, 3, 5))
    pads = ((1, 1), (1, 1))
    # On each axis 2 results miss one tap of 3 and 2 none.
    assert taps(Geometry(1, pads, (4, 4), (3, 3)), 0) == 10
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


def test_of_two_ways_the_longer_counts():
    matrix = jnp.ones((3, 3))

    def power(a):
        return jax.lax.cond(a[0, 0] > 0, lambda: a @ a @ a, lambda: a @ a)

    assert operations(power, matrix) == 2 * 2 * 27
