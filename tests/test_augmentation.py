"""Tests of augmentations: the draws are read from test images and then reproduced."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.augmentation import AUGMENTATIONS, diff_augment, random_flip
from wgan_jax.losses import gradient_norms

POLICY = ",".join(AUGMENTATIONS)
SIDES = (16, 24)  # shifts are at most 2 and 3
RUN = {name: jax.jit(function) for name, function in AUGMENTATIONS.items()}
RUN["all"] = jax.jit(lambda images, key: diff_augment(images, key, policy=POLICY))
RUN["flip"] = jax.jit(random_flip)
LINEAR = ("translation", "cutout", "flip")
# Each affine in the images, by selections and sums alone.
AFFINE = ("color", *LINEAR)
KNOWN = set(AUGMENTATIONS) <= set(AFFINE)  # then all in turn are affine, too
AFFINE += ("all",) if KNOWN else ()


def some(count, seed=0, channels=3):
    random = np.random.RandomState(seed)
    return random.uniform(-1, 1, (count, *SIDES, channels)).astype(np.float32)


def read_shifts(key, count):
    """Returns the shifts of each image, measured with a single dot."""
    dots = np.zeros((count, *SIDES, 1), np.float32)
    dots[:, 8, 12] = 1
    moved = np.asarray(RUN["translation"](dots, key))
    index, rows, columns, _ = np.nonzero(moved)
    np.testing.assert_array_equal(index, np.arange(count))
    return rows - 8, columns - 12


@pytest.mark.parametrize("name", RUN)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_shape_and_dtype_are_preserved(name, dtype, key):
    images = jnp.asarray(some(4), dtype)
    changed = RUN[name](images, key)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)


@pytest.mark.parametrize("name", RUN)
def test_image_depends_only_on_key_and_index(name, key):
    same = np.repeat(some(1), 32, axis=0)
    changed = np.asarray(RUN[name](same, key))
    np.testing.assert_array_equal(RUN[name](same, key), changed)
    several = 8 if name in ("color", "translation", "cutout", "all") else 2
    assert len({image.tobytes() for image in changed}) >= several
    assert not np.array_equal(RUN[name](same, jax.random.key(8)), changed)
    # Not exactly, because the rounding of a mean may depend on the batch.
    few = np.asarray(RUN[name](same[:5], key))
    np.testing.assert_allclose(few, changed[:5], atol=1e-6)


def test_translation_matches_slicing(key):
    images = some(64)
    moved = np.asarray(RUN["translation"](images, key))
    padded = np.pad(images, ((0, 0), (2, 2), (3, 3), (0, 0)))
    for i, (down, right) in enumerate(zip(*read_shifts(key, 64), strict=True)):
        window = padded[i, 2 - down : 18 - down, 3 - right : 27 - right]
        np.testing.assert_array_equal(moved[i], window)


def test_translation_shifts_are_uniform(key):
    count = 7000
    down, right = read_shifts(key, count)
    table = np.zeros((5, 7))
    np.add.at(table, (down + 2, right + 3), 1)
    assert table.shape == (5, 7)
    # 200 expected per cell; with 34 degrees of freedom, p < 1e-4 above 76.
    assert np.sum((table - 200) ** 2 / 200) < 76


@pytest.mark.parametrize("name", ["translation", "cutout"])
def test_shifts_of_both_axes_are_independent(name, key):
    # With one draw for both axes, shifts would be along the diagonal only.
    dots = np.zeros((2000, 16, 16, 1), np.float32)
    dots[:, 8, 8] = 1
    if name == "translation":
        _, rows, columns, _ = np.nonzero(RUN[name](dots, key))
    else:
        cut = np.asarray(RUN[name](np.ones_like(dots), key))[..., 0] == 0
        rows, columns = cut.any(axis=2).argmax(axis=1), cut.any(axis=1).argmax(axis=1)
    assert np.corrcoef(rows, columns)[0, 1] == pytest.approx(0, abs=0.09)


def test_cutout_size_and_distribution_of_centers(key):
    count = 6000
    left = np.asarray(RUN["cutout"](np.ones((count, *SIDES, 2), np.float32), key))
    assert set(np.unique(left)) == {0.0, 1.0}
    np.testing.assert_array_equal(left[..., 0], left[..., 1])
    cut = left[..., 0] == 0
    rows, columns = cut.any(axis=2), cut.any(axis=1)
    np.testing.assert_array_equal(cut, rows[:, :, None] & columns[:, None, :])
    for lines, side in ((rows, SIDES[0]), (columns, SIDES[1])):
        first, length = lines.argmax(axis=1), lines.sum(axis=1)
        last = side - lines[:, ::-1].argmax(axis=1)
        np.testing.assert_array_equal(last - first, length)
        # There are side + 1 centers. k pixels off the edge shorten the cut by k.
        middle = np.where(first == 0, last - side // 4, first + side // 4)
        found = np.bincount(middle, minlength=side + 1)
        expected = count / (side + 1)
        assert len(found) == side + 1
        assert np.sum((found - expected) ** 2 / expected) < 2.5 * side
        assert length.min() == side // 4
        assert length.max() == side // 2


@pytest.mark.parametrize(
    ("side", "expected"),  # first pixel and length of each cut
    [
        (1, {(0, 1)}),
        (3, {(0, 1), (0, 2), (1, 2), (2, 1)}),
        (5, {(0, 2), (0, 3), (1, 3), (2, 3), (3, 2)}),
    ],
)
def test_cutout_of_odd_sides_is_rounded_up(side, expected, key):
    cut = np.asarray(RUN["cutout"](jnp.ones((400, side, side, 1)), key))[..., 0] == 0
    for lines in (cut.any(axis=1), cut.any(axis=2)):
        first, length = lines.argmax(axis=1), lines.sum(axis=1)
        assert {*zip(first.tolist(), length.tolist(), strict=True)} == expected


def read_colors(key, count):
    """Returns the drawn brightness, saturation and contrast, from test images."""
    flat = np.zeros((count, 2, 2, 3), np.float32)
    brightness = np.asarray(RUN["color"](flat, key))[:, 0, 0, 0]
    grey = flat.copy()
    grey[:, 0] = 1
    answer = np.asarray(RUN["color"](grey, key))
    contrast = answer[:, 0, 0, 0] - answer[:, 1, 0, 0]
    tint = flat.copy()
    tint[..., 0] = 1
    answer = np.asarray(RUN["color"](tint, key))
    saturation = (answer[:, 0, 0, 0] - answer[:, 0, 0, 1]) / contrast
    return brightness, saturation, contrast


def test_color_draws_are_uniform_and_independent(key):
    draws = read_colors(key, 20_000)
    for values, low, high in zip(draws, (-0.5, 0, 0.5), (0.5, 2, 1.5), strict=True):
        width = high - low
        assert values.min() == pytest.approx(low, abs=1e-3 * width)
        assert values.max() == pytest.approx(high, abs=1e-3 * width)
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.01 * width)
        assert values.var() == pytest.approx(width**2 / 12, rel=0.03)
    np.testing.assert_allclose(np.corrcoef(draws), np.eye(3), atol=0.03)


def test_color_matches_its_formula(key):
    images = some(16).astype(np.float64)
    shape = (16, 1, 1, 1)
    draws = [np.reshape(x, shape).astype(np.float64) for x in read_colors(key, 16)]
    brightness, saturation, contrast = draws
    bright = images + brightness
    grey = bright.mean(axis=3, keepdims=True)
    vivid = grey + saturation * (bright - grey)
    level = vivid.mean(axis=(1, 2, 3), keepdims=True)
    expected = level + contrast * (vivid - level)
    changed = np.asarray(RUN["color"](images.astype(np.float32), key))
    np.testing.assert_allclose(changed, expected, atol=2e-5)


def test_range_of_augmented_images(key):
    ends = np.sign(some(256))
    # |1 + b| is at most 1.5; saturation and contrast scale deviations from a mean.
    assert 2 < np.abs(RUN["color"](ends, key)).max() <= 1.5 * 3 * 2
    for name in LINEAR:
        assert np.abs(RUN[name](ends, key)).max() == 1


@pytest.mark.parametrize("name", LINEAR)
def test_augmentation_is_linear_in_the_images(name, key):
    one, other = some(8, 1), some(8, 2)
    # With powers of two, only the sum is rounded.
    mixed = RUN[name](0.5 * one - 2 * other, key)
    expected = 0.5 * RUN[name](one, key) - 2 * RUN[name](other, key)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


@pytest.mark.parametrize("name", AFFINE)
def test_gradient_matches_finite_difference(name, key):
    # Affine in the images, so the finite difference is exact for any step.
    images, step, weights = some(4, 1), some(4, 2), some(4, 3)
    loss = jax.jit(lambda x: jnp.vdot(weights, RUN[name](x, key)))
    slope = np.vdot(jax.grad(loss)(images), step)
    assert slope == pytest.approx(float(loss(images + step) - loss(images)), rel=1e-3)


@pytest.mark.parametrize("name", RUN)
def test_gradient_penalty_is_differentiable(name, key):
    def penalty(x):
        norms = gradient_norms(lambda y: jnp.sum(RUN[name](y, key) ** 2, (1, 2, 3)), x)
        return jnp.sum(norms**2) / 8

    images = some(4)
    slope = np.asarray(jax.jit(jax.grad(penalty))(images))
    assert np.isfinite(slope).all()
    if name in LINEAR:  # each pixel is kept or dropped
        kept = jax.vjp(lambda x: RUN[name](x, key), images)[1](jnp.ones((4, *SIDES, 3)))
        np.testing.assert_allclose(slope, images * np.asarray(kept[0]), rtol=1e-5)
    elif name in AFFINE:
        step = 1e-2 * some(4, 5)
        rise = penalty(images + step) - penalty(images - step)
        assert np.vdot(slope, step) * 2 == pytest.approx(float(rise), rel=2e-2)


@pytest.mark.parametrize("name", AFFINE)
def test_gradient_uses_neither_gather_nor_scatter(name, key):
    slope = jax.grad(lambda x: jnp.sum(RUN[name](x, key) ** 2))
    text = str(jax.make_jaxpr(slope)(some(4)))
    assert "scatter" not in text
    assert "gather" not in text


def test_augmentation_can_be_vmapped(key):
    keys = jax.random.split(key, 3)
    images = np.stack([some(4, seed) for seed in range(3)])
    together = jax.vmap(RUN["all"])(images, keys)
    for i in range(3):
        alone = RUN["all"](images[i], keys[i])
        np.testing.assert_allclose(together[i], alone, atol=1e-5)


def test_mesh_needs_no_communication():
    code = """
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp, numpy as np
from wgan_jax.augmentation import AUGMENTATIONS, diff_augment
from wgan_jax.parallel.sharding import make_mesh, put_batches, with_mesh
mesh, key = make_mesh(), jax.random.key(0)
images = np.random.RandomState(0).uniform(-1, 1, (1, 8, 16, 16, 3)).astype("float32")
loss = lambda x: jnp.sum(
    diff_augment(x[0], key, policy=",".join(AUGMENTATIONS)) ** 2, (1, 2, 3))
slope = lambda x: jax.vjp(loss, x)[1](jnp.ones(8))[0]
split = put_batches(mesh, images)
compiled = jax.jit(with_mesh(mesh, slope)).lower(split).compile()
for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute"):
    assert word not in compiled.as_text(), word
assert len(compiled(split).sharding.device_set) == 4
np.testing.assert_allclose(compiled(split), jax.jit(slope)(images), atol=1e-5)
"""
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_policy_order_and_keys(key):
    images = some(4)
    fold = jax.random.fold_in
    first = RUN["cutout"](images, fold(key, 0))
    expected = RUN["translation"](first, fold(key, 1))
    found = diff_augment(images, key, policy=" cutout, translation")
    np.testing.assert_array_equal(found, expected)
    twice = diff_augment(images, key, policy="cutout,cutout")
    assert np.mean(np.asarray(twice) == 0) > np.mean(np.asarray(first) == 0)


@pytest.mark.parametrize("policy", ["", "no_such", "color,", "color;cutout", "Color"])
def test_unknown_policy_error_lists_choices(policy, key):
    with pytest.raises(ValueError, match=f"one or more of {', '.join(AUGMENTATIONS)}"):
        jax.eval_shape(lambda x: diff_augment(x, key, policy=policy), some(1))


@pytest.mark.parametrize(
    "function",
    [lambda x, k: diff_augment(x, k, policy="color"), *AUGMENTATIONS.values()],
)
def test_invalid_images_are_rejected(function, key):
    for images in (jnp.zeros((4, 2)), jnp.zeros((4, 8, 8))):
        with pytest.raises(ValueError, match=r"they must be \[B, H, W, C\]"):
            function(images, key)
        with pytest.raises(ValueError, match="random_flip: the images are"):
            random_flip(images, key)
    with pytest.raises(ValueError, match="uint8; they must be floating point"):
        function(jnp.zeros((4, 8, 8, 1), jnp.uint8), key)


def test_random_flip_mirrors_half_of_the_images(key):
    images = np.random.RandomState(0).randint(0, 256, (4000, 2, 3, 1), np.uint8)
    images[:, 0, 0], images[:, 0, 2] = 0, 255  # no image is symmetric
    flipped = np.asarray(RUN["flip"](images, key))
    assert flipped.dtype == np.uint8
    mirrored = flipped[:, 0, 0, 0] == 255
    for choice, expected in ((mirrored, images[:, :, ::-1]), (~mirrored, images)):
        np.testing.assert_array_equal(flipped[choice], expected[choice])
    # Four standard deviations of a binomial distribution.
    assert np.mean(mirrored) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(4000))
    assert np.corrcoef(mirrored[1:], mirrored[:-1])[0, 1] == pytest.approx(0, abs=0.07)
    np.testing.assert_array_equal(RUN["flip"](flipped, key), images)
