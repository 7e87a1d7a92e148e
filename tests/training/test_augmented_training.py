"""Tests of training with a changing probability of augmentation."""

from dataclasses import replace
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_gan

from wgan_jax.augmentation import (
    AdaptiveProbability,
    ScheduledProbability,
    diff_augment,
)
from wgan_jax.losses import OBJECTIVES
from wgan_jax.training.init import init_state
from wgan_jax.training.steps import critic_step, train_step

COLOR = partial(diff_augment, policy="color")
CLASSIFYING = {"objective": OBJECTIVES["non_saturating"], "penalties": ()}


def always(probability):
    return ScheduledProbability(initial=probability, final=probability, iterations=1)


def after_one_step(key, images, **changes):
    gan = tiny_gan(**changes)
    return train_step(gan, init_state(gan, key), images, key)


def test_probabilities_0_and_1_are_without_and_always(key, images):
    without = after_one_step(key, images)[0]
    with_it = after_one_step(key, images, augment=COLOR)[0]
    for p, expected in ((0.0, without), (1.0, with_it)):
        scheduled = {"augment": COLOR, "augment_probability": always(p)}
        state = after_one_step(key, images, **scheduled)[0]
        found = state.critic.params, state.generator.params
        chex.assert_trees_all_close(
            found, (expected.critic.params, expected.generator.params), rtol=1e-5
        )
    differ = jax.tree.map(jnp.array_equal, without.critic.params, with_it.critic.params)
    assert not all(jax.tree.leaves(differ))


def test_each_image_is_augmented_with_the_probability(key):
    images = jnp.zeros((4000, 2, 2, 1))
    changed = diff_augment(images, key, policy="color", probability=0.3)
    assert np.mean(np.any(changed != 0, (1, 2, 3))) == pytest.approx(0.3, abs=0.03)


def test_augmentations_of_a_policy_are_chosen_separately(key):
    images = jnp.ones((4000, 8, 8, 1))
    policy = "translation,cutout"
    changed = diff_augment(images, key, policy=policy, probability=0.5)
    share = np.mean(np.any(changed != 1, (1, 2, 3)))
    # A shift by (0, 0) of 3 x 3 is invisible; a cut of half the sides never is.
    assert share == pytest.approx(1 - 0.5 * (1 - 0.5 * 8 / 9), abs=0.03)


def test_scheduled_probability_follows_half_a_cosine():
    probability = ScheduledProbability(initial=0.1, final=0.5, iterations=10)
    for t, expected in ((0, 0.1), (5, 0.3), (10, 0.5), (20, 0.5)):
        assert float(probability.at((), jnp.asarray(t))) == pytest.approx(expected)


def test_adaptive_probability_moves_every_kth_update():
    probability = AdaptiveProbability(initial=0.5, target=0.6, images=100, interval=2)
    state, found = probability.init(), []
    for sign in (1.0, 1.0, 0.0, 1.0, 0.9, 0.3):  # means 1, 0.5 and 0.6
        state = probability.update(state, jnp.asarray(sign), 5)
        found.append(float(state["probability"]))
    # Each adjustment is 2 updates of 5 images, 0.1 of 100.
    assert found == pytest.approx([0.5, 0.6, 0.6, 0.5, 0.5, 0.5], abs=1e-6)
    assert int(state["updates"]) == 0
    assert float(state["sign_sum"]) == 0.0


@pytest.mark.parametrize(("sign", "end"), [(1.0, 1.0), (-1.0, 0.0)])
def test_adaptive_probability_stays_between_0_and_1(sign, end):
    probability = AdaptiveProbability(initial=0.5, images=10, interval=1)
    state = probability.init()
    for _ in range(3):
        state = probability.update(state, jnp.asarray(sign), 4)
    assert float(state["probability"]) == end


def test_critic_update_adapts_to_the_sign_of_its_scores(key, images):
    probability = AdaptiveProbability(initial=0.0, target=-1.0, images=80, interval=1)
    gan = tiny_gan(**CLASSIFYING, augment=COLOR, augment_probability=probability)
    state = init_state(gan, key)
    state, metrics = critic_step(gan, state, images[0], key)
    assert -1 < float(metrics["critic/real_sign"]) <= 1
    assert float(metrics["critic/augment_probability"]) == 0.0
    assert float(state.augmentation["probability"]) == pytest.approx(8 / 80)
    _, metrics = critic_step(gan, state, images[1], key)
    assert float(metrics["critic/augment_probability"]) == pytest.approx(8 / 80)


def test_microbatches_count_all_examples(key, images):
    probability = AdaptiveProbability(initial=0.0, target=-1.0, images=80, interval=1)
    gan = tiny_gan(**CLASSIFYING, augment=COLOR, augment_probability=probability)
    found = []
    for parts in (1, 4):
        split = replace(gan, microbatches=parts)
        state, metrics = critic_step(split, init_state(split, key), images[0], key)
        found.append((state.augmentation, metrics["critic/real_sign"]))
    chex.assert_trees_all_close(*found, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augment_probability": always(0.5)}, "augment is None"),
        (
            {"augment": COLOR, "augment_probability": AdaptiveProbability()},
            "the sign has no meaning",
        ),
    ],
)
def test_unusable_probabilities_are_rejected(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_gan(**changes)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (AdaptiveProbability, {"initial": 1.5}, "initial is 1.5"),
        (AdaptiveProbability, {"target": 2.0}, "target is 2.0"),
        (AdaptiveProbability, {"images": 0}, "images is 0"),
        (
            ScheduledProbability,
            {"initial": 0.0, "final": -0.1, "iterations": 5},
            "final is -0.1",
        ),
    ],
)
def test_values_out_of_range_are_rejected(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)
