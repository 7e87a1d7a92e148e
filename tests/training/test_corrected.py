"""Tests of the corrected Wasserstein estimates that a step logs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_gan

from wgan_jax import (
    CONSTRAINTS,
    OBJECTIVES,
    Term,
    critic_step,
    gradient_penalty,
    init_state,
    train_step,
)
from wgan_jax.losses import PENALTIES
from wgan_jax.losses.estimators import (
    estimate_by_flow,
    estimate_by_gradient_norm,
    estimate_by_penalty,
)

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 8, 4, 4, 1)).astype(np.float32)
BY_PENALTY, BY_FLOW, BY_GRADIENT_NORM, BY_GRADIENT_NORM_AT_FAKES = (
    f"critic/wasserstein_by_{name}"
    for name in ("penalty", "flow", "gradient_norm", "gradient_norm_at_fakes")
)
MEASURED = PENALTIES["gradient_penalty"]


def metrics_of(**changes):
    gan = tiny_gan(**changes)
    step = jax.jit(partial(train_step, gan))
    return step(init_state(gan, KEY), IMAGES, KEY)[1]


def readings_in(metrics):
    return {name for name in metrics if "wasserstein_by" in name}


def test_readings_match_the_logged_estimate():
    metrics = metrics_of(penalties=((MEASURED, 0.3),))
    assert readings_in(metrics) == {BY_PENALTY, BY_FLOW, BY_GRADIENT_NORM}
    estimate = metrics["critic/wasserstein_estimate"]
    assert metrics[BY_PENALTY] == pytest.approx(
        estimate_by_penalty(estimate, weight=0.3)
    )
    flow = estimate_by_flow(estimate, metrics["critic/penalty"])
    assert metrics[BY_FLOW] == pytest.approx(flow)
    slope = estimate_by_gradient_norm(estimate, metrics["critic/gradient_norm_mean"])
    assert metrics[BY_GRADIENT_NORM] == pytest.approx(slope)


def test_readings_use_the_weight_of_the_iteration():
    falling = lambda t: jnp.where(t == 0, 0.5, 99.0)
    metrics = metrics_of(penalties=(Term(MEASURED, falling),))
    estimate = metrics["critic/wasserstein_estimate"]
    assert metrics[BY_PENALTY] == pytest.approx(
        estimate_by_penalty(estimate, weight=0.5)
    )


def test_one_sided_penalty_has_all_readings():
    one_sided = partial(partial(gradient_penalty, one_sided=True), target=1.0)
    metrics = metrics_of(penalties=((one_sided, 10.0),))
    assert readings_in(metrics) == {BY_PENALTY, BY_FLOW, BY_GRADIENT_NORM}


@pytest.mark.parametrize(
    "changes",
    [
        {"penalties": ((partial(MEASURED, target=0.0), 1.0),)},
        {"penalties": ((MEASURED, 1.0), (PENALTIES["drift"], 0.1))},
        {"penalties": ((PENALTIES["dragan"], 1.0),)},
        {"penalties": ()},
        {
            "penalties": ((MEASURED, 1.0),),
            "constraint": partial(CONSTRAINTS["clip_weights"], bound=0.01),
        },
    ],
    ids=["target", "with drift", "dragan", "none", "clipped"],
)
def test_other_constraints_use_the_gradient_norm_at_fakes(changes):
    metrics = metrics_of(**changes)
    assert readings_in(metrics) == {BY_GRADIENT_NORM_AT_FAKES}
    reading = estimate_by_gradient_norm(
        metrics["critic/wasserstein_estimate"],
        metrics["critic/gradient_norm_at_fakes"],
    )
    assert metrics[BY_GRADIENT_NORM_AT_FAKES] == pytest.approx(reading)


def test_other_objectives_have_no_readings():
    metrics = metrics_of(objective=OBJECTIVES["hinge"], penalties=((MEASURED, 10.0),))
    assert not readings_in(metrics)


def test_critic_step_has_readings():
    gan = tiny_gan(penalties=((MEASURED, 10.0),))
    _, metrics = critic_step(gan, init_state(gan, KEY), IMAGES[0], KEY)
    assert readings_in(metrics) == {BY_PENALTY, BY_FLOW, BY_GRADIENT_NORM}
