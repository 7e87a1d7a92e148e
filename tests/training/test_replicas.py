"""Tests that K replicas are equivalent to K separate runs."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TinyCritic, tiny_gan

from wgan_jax.losses import gradient_penalty
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.training.compiled import make_train_step
from wgan_jax.training.init import init_state
from wgan_jax.training.replicas import (
    abstract_replicas,
    init_replicas,
    make_replicas_step,
    replica,
)

K, ITERATIONS = 3, 10
SETTINGS = np.array([0.1, 1.0, 10.0])


def mlp_gan(weight, dtype="float32"):
    return tiny_gan(
        generator=GENERATORS["mlp"](image_shape=(2,), width=16, param_dtype=dtype),
        critic=CRITICS["mlp"](width=16, param_dtype=dtype),
        penalties=((gradient_penalty, weight),),
        latent_size=2,
    )


@pytest.fixture(scope="module")
def keys():
    return jax.vmap(jax.random.key)(np.array([4, 5, 6]))


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("swept", [False, True])
def test_replicas_equal_separate_runs(keys, together, swept):
    """Uses float64, because Adam and ReLU amplify float32 rounding errors."""
    points = np.random.default_rng(0).normal(size=(ITERATIONS, K, 2, 16, 2))
    with jax.enable_x64(True):
        settings = SETTINGS if swept else None
        of = partial(mlp_gan, dtype="float64")
        gan = of if swept else of(1.0)
        states = init_replicas(gan, keys, settings=settings)
        step = make_replicas_step(gan, settings=settings, together=together)
        history = []
        for batch in points:
            states, metrics = step(states, batch, keys)
            history.append(metrics)
        for k in range(K):
            alone = of(float(SETTINGS[k]) if swept else 1.0)
            state = init_state(alone, keys[k])
            one = make_train_step(alone)
            for t, batch in enumerate(points):
                state, metrics = one(state, batch[k], keys[k])
                mine = {name: values[k] for name, values in history[t].items()}
                chex.assert_trees_all_close(mine, metrics, rtol=1e-5)
            assert int(state.step) == ITERATIONS
            assert state.critic.params["output"]["kernel"].dtype == "float64"
            chex.assert_trees_all_close(
                replica(states, k), state, rtol=1e-5, atol=1e-12
            )


def test_replicas_differ_and_are_initialized_as_separate_runs(keys):
    gan = tiny_gan()
    states = init_replicas(gan, keys)
    for k in range(K):
        jax.tree.map(
            np.testing.assert_array_equal,
            replica(states, k),
            init_state(gan, keys[k]),
        )
    first, second = (jax.tree.leaves(replica(states, k).critic.params) for k in (0, 1))
    assert any(np.any(a != b) for a, b in zip(first, second, strict=True))


def test_abstract_replicas_match_real_ones(keys):
    gan = tiny_gan()
    described = abstract_replicas(gan, settings=np.zeros(K))
    chex.assert_trees_all_equal_shapes_and_dtypes(described, init_replicas(gan, keys))


def test_replicas_reject_what_a_single_run_rejects(keys):
    gan = tiny_gan(critic=TinyCritic(batch_norm=True))
    with pytest.raises(ValueError, match="batch norm, which mixes"):
        init_replicas(gan, keys)
    with pytest.raises(ValueError, match="batch norm, which mixes"):
        abstract_replicas(gan, settings=np.zeros(K))


def test_number_of_kernels_is_independent_of_replicas():
    """Counts operations of the program given to XLA, each of which is one kernel."""

    def operations(count):
        gan, keys = mlp_gan(1.0), jax.vmap(jax.random.key)(np.arange(count))
        states = jax.eval_shape(lambda: init_replicas(gan, keys))
        step = make_replicas_step(gan, together=True, donate=False)
        batch = jax.ShapeDtypeStruct((count, 2, 16, 2), jnp.float32)
        text = step.lower(states, batch, keys).as_text()
        return text.count("stablehlo.")

    assert operations(8) == operations(2)


def test_mismatched_settings_and_keys_are_rejected(keys):
    step = make_replicas_step(mlp_gan)
    states = init_replicas(mlp_gan, keys, settings=SETTINGS)
    with pytest.raises(ValueError, match="settings is None; it must be"):
        step(states, np.zeros((K, 1, 4, 2), np.float32), keys)
    with pytest.raises(ValueError, match="settings is None; it must be"):
        init_replicas(mlp_gan, keys)
    with pytest.raises(ValueError, match="one setting per replica"):
        init_replicas(mlp_gan, keys, settings=SETTINGS[:2])
    with pytest.raises(ValueError, match="one key per replica"):
        init_replicas(tiny_gan(), keys[0])
    with pytest.raises(ValueError, match=r"weight is -1\.0"):
        init_replicas(mlp_gan, keys, settings=np.array([1.0, 1.0, -1.0]))
