"""The modern pair: resampling and blocks by hand, scales at the start."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from small_networks import GROUPS, apply, init, moved

from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.networks.r3gan import GroupedConv, downsample, upsample


def blurred(x):
    """[1, 2, 1] / 4 along both sides, zeros around."""
    for axis in (1, 2):
        x = np.moveaxis(x, axis, 0)
        padded = np.concatenate([0 * x[:1], x, 0 * x[:1]])
        x = np.moveaxis((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, 0, axis)
    return x


def test_upsampling_is_repetition_and_a_blur(key):
    x = np.asarray(jax.random.normal(key, (2, 3, 5, 4)))
    expected = blurred(x.repeat(2, 1).repeat(2, 2))
    np.testing.assert_allclose(upsample(x), expected, rtol=1e-5, atol=1e-6)


def test_downsampling_is_a_blur_and_a_mean(key):
    x = np.asarray(jax.random.normal(key, (2, 4, 6, 3)))
    expected = blurred(x).reshape(2, 2, 2, 3, 2, 3).mean((2, 4))
    np.testing.assert_allclose(downsample(x), expected, rtol=1e-5, atol=1e-6)


def test_downsampling_is_a_quarter_of_the_transpose(key):
    x = jax.random.normal(key, (2, 3, 5, 4))
    y = jax.random.normal(jax.random.fold_in(key, 1), (2, 6, 10, 4))
    a, b = jnp.vdot(upsample(x), y), 4 * jnp.vdot(x, downsample(y))
    np.testing.assert_allclose(a, b, rtol=1e-4)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def block(x, params, groups):
    """One residual block, with loops over groups and taps."""
    y = leaky(x @ params["widen"]["kernel"][0, 0] + params["widen"]["bias"])
    kernel = np.asarray(params["group"]["kernel"])
    size = kernel.shape[2]
    y = np.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
    batch, height, width = x.shape[:3]
    out = np.zeros((batch, height, width, kernel.shape[3]))
    for g in range(groups):
        own = slice(g * size, (g + 1) * size)
        for i in range(3):
            for j in range(3):
                patch = y[:, i : i + height, j : j + width, own]
                out[..., own] += patch @ kernel[i, j, :, own]
    y = leaky(out + params["group"]["bias"])
    return x + y @ params["narrow"]["kernel"][0, 0]


def test_the_pair_by_hand(key):
    shape = (8, 8, 3)
    generator = GENERATORS["r3gan"](image_shape=shape, **GROUPS)
    z = jax.random.normal(key, (2, 5))
    variables = moved(init(generator, key, z), key)
    p = jax.tree.map(np.asarray, variables["params"])
    x = (z @ p["project"]["kernel"])[:, None, None] * p["basis"][None]
    x = block(np.asarray(x), p["stage_0_block_0"], 2)
    x = block(blurred(x.repeat(2, 1).repeat(2, 2)), p["stage_1_block_0"], 2)
    expected = x @ p["output"]["kernel"][0, 0]
    images = apply(generator, variables, z, train=True)
    np.testing.assert_allclose(images, expected, rtol=1e-3, atol=1e-4)

    critic = CRITICS["r3gan"](**GROUPS)
    variables = moved(init(critic, key, images), key)
    p = jax.tree.map(np.asarray, variables["params"])
    x = np.asarray(images) @ p["input"]["kernel"][0, 0]
    x = blurred(block(x, p["stage_0_block_0"], 2))
    x = x.reshape(2, 4, 2, 4, 2, 4).mean((2, 4))
    x = np.sum(block(x, p["stage_1_block_0"], 2) * p["basis"], (1, 2))
    scores = apply(critic, variables, images, train=True)
    np.testing.assert_allclose(scores, x @ p["output"]["kernel"][:, 0], rtol=1e-3)


def test_the_critics_basis_has_the_scale_of_its_size(key):
    """Of 1 / sqrt(h w), so that sums over the map start with the scale of a pixel."""
    for side in (8, 14, 24):  # halved to 4, 7 and 3
        base = init(
            CRITICS["r3gan"](width=64, cardinality=2, blocks_per_stage=1),
            key,
            jnp.zeros((1, side, side, 1)),
        )["params"]["basis"]
        assert float(base.std() * base[..., 0].size ** 0.5) == pytest.approx(1, rel=0.1)


def test_blocks_start_as_the_identity(key):
    images = jax.random.normal(key, (2, 8, 8, 3))
    deep, shallow = (
        CRITICS["r3gan"](**GROUPS | {"blocks_per_stage": n}) for n in (3, 1)
    )
    params = init(deep, key, images)
    a = apply(deep, params, images, train=True)
    b = apply(shallow, params, images, train=True)
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_grouped_convolution_is_that_of_flax(key):
    x = jax.random.normal(key, (2, 5, 4, 6))
    ours = GroupedConv(4, 3, 2, kernel_init=nn.initializers.lecun_normal())
    flax = nn.Conv(4, (3, 3), feature_group_count=2)
    first = ours.init(key, x)
    chex.assert_trees_all_equal(first, flax.init(key, x))
    variables = moved(first, key)
    expected = flax.apply(variables, x)
    np.testing.assert_allclose(ours.apply(variables, x), expected, rtol=1e-6)


def test_groups_that_do_not_divide_are_refused(key):
    critic = CRITICS["r3gan"](width=4, cardinality=3)
    with pytest.raises(ValueError, match="must divide the 8 channels"):
        critic.init(key, jnp.zeros((2, 8, 8, 3)), train=False)
