"""What the residual critic has been made of by others: pooling, bias, dropout."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import apply, init, jit

from wgan_jax.networks import CRITICS

make = partial(CRITICS["resnet"], width=4)


@pytest.fixture
def images(key):
    return jax.random.uniform(key, (4, 8, 8, 3), minval=-1.0)


def test_sum_pooling_is_the_mean_times_the_pixels(images, key):
    variables = init(make(), key, images)
    a, b = (
        apply(
            make(pool=pool), variables, images, train=False, mutable=["intermediates"]
        )[1]["intermediates"]["features"][0]
        for pool in ("sum", "mean")
    )
    np.testing.assert_allclose(a, 4 * b, rtol=1e-5)


def test_the_score_has_a_bias_unless_told(images, key):
    assert "bias" in init(make(), key, images)["params"]["output"]
    assert "bias" not in init(make(output_bias=False), key, images)["params"]["output"]


def scores(critic, variables, images, **rngs):
    return jit(partial(critic.apply, train=False))(variables, images, rngs=rngs)


def test_dropout_is_on_where_it_is_given_a_key(images, key):
    variables = init(make(), key, images)
    critic = make(dropout=(0.2, 0.5, 0.5))
    plain = scores(make(), variables, images)
    np.testing.assert_array_equal(scores(critic, variables, images), plain)
    keys = jax.random.split(key)
    a, b = (scores(critic, variables, images, dropout=k) for k in keys)
    assert np.all(a != plain)
    assert np.all(a != b)
    np.testing.assert_array_equal(scores(critic, variables, images, dropout=keys[0]), a)
    np.testing.assert_array_equal(
        scores(make(), variables, images, dropout=keys[0]), plain
    )


@pytest.mark.parametrize("index", range(3))
def test_a_rate_belongs_to_its_block(index, images, key):
    """All but dropped after block 1, 2 or 3, nothing reaches the score."""
    variables = init(make(), key, images)
    rates = [0.0] * 3
    rates[index] = 1 - 1e-7
    critic = make(dropout=tuple(rates))
    assert not np.any(scores(critic, variables, images, dropout=key))


def test_dropout_keeps_the_mean_of_the_features(images, key):
    variables, critic = init(make(), key, images), make(dropout=(0.0, 0.0, 0.5))
    kept = jnp.mean(
        jax.vmap(
            lambda k: critic.apply(variables, images, train=False, rngs={"dropout": k})
        )(jax.random.split(key, 400)),
        0,
    )
    plain = scores(make(), variables, images)
    np.testing.assert_allclose(kept, plain, atol=0.1 * float(jnp.abs(plain).max()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pool": "max"}, "'mean' or 'sum'"),
        ({"dropout": (0.5,)}, "empty or three rates"),
        ({"dropout": (0.5, 0.5, 1.0)}, r"rates in \[0, 1\)"),
    ],
)
def test_what_has_no_meaning_is_refused(fields, message, images, key):
    with pytest.raises(ValueError, match=message):
        make(**fields).init(key, images, train=False)
