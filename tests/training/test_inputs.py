"""Tests of the checks of batches, in the library's steps."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from tiny import tiny_gan

from wgan_jax.conditioning import Conditional
from wgan_jax.training.compiled import (
    make_critic_step,
    make_train_step,
    make_train_steps,
)
from wgan_jax.training.gradients import Pairs
from wgan_jax.training.init import init_state
from wgan_jax.training.inputs import check_labels
from wgan_jax.training.steps import critic_step, critic_update, train_step, train_steps

KEY = jax.random.key(0)
IMAGES = np.random.RandomState(0).uniform(-1, 1, (3, 8, 4, 4, 1)).astype(np.float32)


class ByClass(nn.Module):
    @nn.compact
    def __call__(self, x, labels, *, train):
        h = nn.Dense(16)(x.reshape(len(x), -1)) + nn.Embed(3, 16)(labels)
        if x.ndim == 2:
            return jnp.tanh(h).reshape(-1, 4, 4, 1)
        return nn.Dense(1)(nn.softplus(h))[:, 0]


def by_class():
    networks = {"generator": ByClass(), "critic": ByClass()}
    return tiny_gan(**networks, conditional=Conditional(classes=3))


def labelled(labels):
    return {"image": IMAGES, "label": np.asarray(labels)}


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (
            {"images": IMAGES},
            "has the keys 'images'; the examples must be under 'image'",
        ),
        ({}, "has the keys none"),
        ([IMAGES], "the batch is list; it must be an array of examples"),
        (None, "the batch is NoneType"),
        (SimpleNamespace(shape=IMAGES.shape), "the batch is SimpleNamespace"),
        (IMAGES.astype(np.int32), "the examples are int32; they must be uint8 in 0"),
        (IMAGES > 0, "the examples are bool"),
        (IMAGES.astype(np.complex64), "the examples are complex64"),
        (IMAGES[0], r"\[8, 4, 4, 1\]; it must be \[N, B, 4, 4, 1\].*The first axis"),
        (IMAGES[0, 0], r"the examples have the shape \[4, 4, 1\]; it must be"),
        (IMAGES[..., 0], r"the examples have the shape \[3, 8, 4, 4\]; it must be"),
        (
            np.moveaxis(IMAGES, -1, 2),
            r"\[3, 8, 1, 4, 4\].*Move the channels to the end",
        ),
        (IMAGES[:, :, :1], r"\[3, 8, 1, 4, 1\].*, as the generator's images are\.$"),
        (IMAGES[:, :, :3], r"the examples have the shape \[3, 8, 3, 4, 1\]"),
        (IMAGES[:, :0], r"has the shape \[3, 0, 4, 4, 1\] and no examples"),
        (127.5 * IMAGES + 127.5, r"the images are from .* to 25.*\[-1, 1\]"),
        ((IMAGES + 1) / 2, r"they seem to be in \[0, 1\] instead of \[-1, 1\]"),
        (np.where(IMAGES > 0.99, np.nan, IMAGES), "have values that are not finite"),
        (np.where(IMAGES > 0.99, np.inf, IMAGES), "have values that are not finite"),
    ],
)
def test_wrong_batches_are_rejected_before_the_step(batch, message):
    gan = tiny_gan()
    state = init_state(gan, KEY)
    with pytest.raises(ValueError, match=message):
        make_train_step(gan)(state, batch, KEY)
    assert np.all(np.isfinite(jax.tree.leaves(state)[3]))  # was not donated


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((3, 8), 3), "the labels are in 3 to 3; they must be in 0 to 2."),
        (np.full((3, 8), -1), "the labels are in -1 to -1"),
        (
            np.zeros((3, 7), int),
            r"the labels have the shape \[3, 7\]; it must be \[3, 8\]",
        ),
        (np.zeros((3, 8)), "the labels are float64; they must be int32"),
    ],
)
def test_wrong_labels_are_rejected(labels, message):
    gan = by_class()
    with pytest.raises(ValueError, match=message):
        make_train_step(gan)(init_state(gan, KEY), labelled(labels), KEY)


def test_labels_without_a_dtype_are_read_as_an_array():
    class Column:
        shape = (4,)

        def __array__(self, *_, **__):
            return np.zeros(3)

    with pytest.raises(ValueError, match=r"the labels have the shape \[3\]; .* \[4\]"):
        check_labels(by_class(), Column(), (4,))


def test_a_conditional_step_needs_labels():
    gan = by_class()
    with pytest.raises(ValueError, match="the batch has no 'label'"):
        make_train_step(gan)(init_state(gan, KEY), IMAGES, KEY)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_right_batches_are_taken(dtype):
    gan = tiny_gan()
    batch = (127.5 * IMAGES + 127.5).astype(dtype) if dtype == np.uint8 else IMAGES
    state, _ = make_train_step(gan)(init_state(gan, KEY), batch.astype(dtype), KEY)
    assert int(state.step) == 1
    gan = by_class()
    labels = (np.arange(24) % 3).reshape(3, 8).astype(np.int32)
    make_train_step(gan)(init_state(gan, KEY), labelled(labels), key=KEY)


def test_pure_steps_check_shapes_when_they_are_traced():
    gan = tiny_gan()
    state = init_state(gan, KEY)
    for step, axes in ((critic_step, 1), (train_step, 2), (train_steps, 3)):
        wrong = np.zeros((2,) * axes + (4, 4, 2), np.float32)
        with pytest.raises(ValueError, match="the examples have the shape"):
            jax.eval_shape(lambda s, b, f=step: f(gan, s, b, KEY), state, wrong)


def test_several_iterations_and_critic_steps_are_checked():
    gan = tiny_gan()
    state = init_state(gan, KEY)
    for make, batch in (
        (make_train_steps, np.stack([IMAGES, IMAGES])),
        (make_critic_step, IMAGES[0]),
    ):
        with pytest.raises(ValueError, match="the images are from"):
            make(gan)(state, 3 * batch, KEY)
        make(gan, donate=False)(state, batch, KEY)


def test_values_are_checked_once_and_only_if_asked():
    gan = tiny_gan()
    step = make_train_step(gan)
    state, _ = step(init_state(gan, KEY), IMAGES, KEY)
    step(state, 3 * IMAGES, KEY)
    free = make_train_step(gan, check_values=False)
    free(init_state(gan, KEY), 3 * IMAGES, KEY)
    constant = np.ones_like(IMAGES)  # has no range
    make_train_step(gan)(init_state(gan, KEY), constant, KEY)
    assert step.lower(init_state(gan, KEY), IMAGES, KEY).compile() is not None


class Points(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(2)(x)


class OfPoints(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1)(nn.softplus(nn.Dense(4)(x)))[:, 0]


def test_points_may_be_anywhere():
    gan = tiny_gan(
        generator=Points(), critic=OfPoints(), generator_optimizer=optax.sgd(0.1)
    )
    points = np.random.RandomState(0).normal(5, 9, (2, 8, 2)).astype(np.float32)
    make_train_step(gan)(init_state(gan, KEY), points, KEY)
    make_train_steps(gan)(init_state(gan, KEY), points[None], KEY)
    with pytest.raises(ValueError, match=r"it must be \[N, B, 2\]"):
        make_train_step(gan)(init_state(gan, KEY), points[..., :1], KEY)


def test_labels_are_checked_in_steps_that_are_not_compiled():
    # tensorflow/models #15
    gan = by_class()
    state = init_state(gan, KEY)
    images, right = IMAGES[0], np.arange(8) % 3
    match = r"the labels are in .*; they must be in 0"
    for wrong in (np.arange(1, 9) % 4, -right, jnp.asarray(right + 1)):
        with pytest.raises(ValueError, match=match):
            critic_step(gan, state, {"image": images, "label": wrong}, KEY)
        with pytest.raises(ValueError, match=match):
            critic_update(gan, state, Pairs(images, images, right, wrong), KEY)
    with pytest.raises(ValueError, match="the labels are float32; they must be int32"):
        wrong = right.astype(np.float32)
        critic_update(gan, state, Pairs(images, images, wrong, right), KEY)


def test_labels_of_later_batches_are_checked():
    gan = by_class()
    step = make_critic_step(gan, donate=False)
    state = init_state(gan, KEY)
    right = np.arange(8) % 3
    step(state, {"image": IMAGES[0], "label": right}, KEY)
    with pytest.raises(ValueError, match="the labels are in 1 to 3; they must be in 0"):
        step(state, {"image": IMAGES[0], "label": right + 1}, KEY)
