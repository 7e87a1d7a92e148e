import jax
import numpy as np
import pytest
from tiny import tiny_gan

from wgan_jax.initialization import init_state
from wgan_jax.sampling import latents, sample


@pytest.fixture
def state(gan, key):
    return init_state(gan, key)


def test_sample_i_is_the_same_for_any_n(gan, state, key):
    hundred = sample(gan, state, key, 100)
    assert hundred.shape == (100, 4, 4, 1)
    for n in (1, 7, 64, 65):
        np.testing.assert_array_equal(sample(gan, state, key, n), hundred[:n])
    np.testing.assert_allclose(
        sample(gan, state, key, 100, batch_size=9), hundred, atol=1e-6
    )


def test_latents_depend_on_key_and_index_alone(key):
    some = latents(key, np.array([5, 2, 900]), size=4)
    np.testing.assert_array_equal(some[1], latents(key, np.arange(3), size=4)[2])
    assert not np.array_equal(some[0], some[1])
    many = latents(key, np.arange(4000), size=4)
    np.testing.assert_allclose(many.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(many.std(0), 1, atol=0.05)


def test_average_and_live_weights_differ_and_state_stays(gan, state, key):
    moved = state.replace(ema_params=jax.tree.map(lambda x: 2 * x, state.ema_params))
    before = jax.tree.map(np.array, moved)
    average, live = (sample(gan, moved, key, 4, use_ema=e) for e in (True, False))
    assert not np.array_equal(average, live)
    np.testing.assert_array_equal(live, sample(gan, state, key, 4, use_ema=False))
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(moved), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mistakes_are_sentences(gan, state, key):
    with pytest.raises(ValueError, match="n is 0"):
        sample(gan, state, key, 0)
    plain = tiny_gan(ema_decay=None)
    with pytest.raises(ValueError, match="keeps no average"):
        sample(plain, init_state(plain, key), key, 1)
