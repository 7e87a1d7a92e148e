import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import clip_weights


def test_clip_moves_only_what_is_outside():
    params = {"a": jnp.array([-3.0, -0.01, 0.0, 0.02]), "b": (jnp.array([[0.5]]),)}
    clipped = clip_weights(params, bound=0.01)
    np.testing.assert_array_equal(
        clipped["a"], jnp.array([-0.01, -0.01, 0.0, 0.01], jnp.float32)
    )
    np.testing.assert_array_equal(clipped["b"][0], jnp.array([[0.01]], jnp.float32))


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_bound_must_be_positive(bound):
    with pytest.raises(ValueError, match="must be above 0"):
        clip_weights({"a": jnp.ones(2)}, bound=bound)
