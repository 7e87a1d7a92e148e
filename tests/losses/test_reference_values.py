"""Values and parameter gradients against PyTorch; see golden/make_golden.py."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import OBJECTIVES, PENALTIES, REGULARIZERS

HERE = Path(__file__).parent / "golden"
KEY, KEEP = 11, 0.6  # those of golden/make_draws.py
DRAWS, GOLDEN = (dict(np.load(HERE / f"{name}.npz")) for name in ("draws", "golden"))
OPTIONS = {
    "gradient_penalty_target": {"target": 1.2},
    "gradient_penalty_one_sided": {"target": 1.2, "one_sided": True},
    "divergence_power": {"power": 2.5},
    "divergence_ends": {"at": "ends"},
    "consistency_margin": {"margin": 0.2},  # 0.4 in the authors' scale
}


def names(kind):
    return sorted({k.split("/")[1] for k in GOLDEN if k.startswith(f"{kind}/")})


def row(name, table):
    return max((r for r in table if name.startswith(r)), key=len)


def params_of(player):
    return {
        k.removeprefix(f"{player}/"): jnp.asarray(v)
        for k, v in DRAWS.items()
        if k.startswith(f"{player}/")
    }


class Critic:
    """The golden file's critic as a plain function, with dropout by key."""

    def __init__(self, params):
        self.params = params

    def _pass(self, x, key):
        p = self.params
        h = jax.lax.conv_general_dilated(
            x, p["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        h = jnp.tanh(h + p["offset"].reshape(1, 1, 1, -1)).reshape(x.shape[0], -1)
        h = jnp.tanh(h @ p["dense"] + p["bias"][None])
        if key is not None:
            h = h * jax.random.bernoulli(key, KEEP, h.shape) / KEEP
        return h @ p["out"] + p["level"][0], h

    def __call__(self, x):
        return self._pass(x, None)[0]

    def perturbed(self, x, key):
        return self._pass(x, key)


def generate(params, z):
    h = jnp.tanh(z @ params["dense"] + params["bias"][None])
    images = jnp.tanh(h @ params["out"] + params["offset"][None])
    return images.reshape(-1, *DRAWS["real"].shape[1:])


def compare(kind, name, player, loss):
    with jax.enable_x64(True):
        params = params_of(player)
        value, gradients = jax.jit(jax.value_and_grad(loss))(params)
        gradient = np.concatenate([np.ravel(gradients[k]) for k in params])
    assert value.dtype == np.float64
    want_value = GOLDEN[f"{kind}/{name}/value"]
    want_gradient = GOLDEN[f"{kind}/{name}/gradient"]
    np.testing.assert_allclose(value, want_value, rtol=1e-9)
    largest = np.abs(want_gradient).max()
    assert largest > 0
    np.testing.assert_allclose(gradient, want_gradient, rtol=0, atol=1e-9 * largest)


def real_and_fake():
    real, latent = jnp.asarray(DRAWS["real"]), jnp.asarray(DRAWS["latent"])
    return real, generate(params_of("generator"), latent)


def test_golden_file_covers_the_tables():
    assert str(GOLDEN["torch_version"]).startswith("2.")
    assert {row(name, PENALTIES) for name in names("penalty")} == set(PENALTIES)
    assert set(names("critic_loss")) == set(names("generator_loss")) == set(OBJECTIVES)
    assert {row(n, REGULARIZERS) for n in names("regularizer")} == set(REGULARIZERS)


@pytest.mark.parametrize("name", names("penalty"))
def test_penalty(name):
    penalty = partial(PENALTIES[row(name, PENALTIES)], **OPTIONS.get(name, {}))

    def loss(params):
        result = penalty(Critic(params), *real_and_fake(), jax.random.key(KEY))
        return result[0] if isinstance(result, tuple) else result

    compare("penalty", name, "critic", loss)


@pytest.mark.parametrize("name", names("critic_loss"))
def test_critic_loss(name):
    def loss(params):
        return OBJECTIVES[name].critic_loss(*map(Critic(params), real_and_fake()))

    compare("critic_loss", name, "critic", loss)


@pytest.mark.parametrize("name", names("generator_loss"))
def test_generator_loss(name):
    objective = OBJECTIVES[name]

    def loss(params):
        critic = Critic(params_of("critic"))
        real = critic(jnp.asarray(DRAWS["real"]))
        fake = critic(generate(params, jnp.asarray(DRAWS["latent"])))
        return objective.generator_loss(*((real,) if objective.paired else ()), fake)

    compare("generator_loss", name, "generator", loss)


@pytest.mark.parametrize(
    ("name", "before"), [("path_length", 0.0), ("path_length_later", 0.8)]
)
def test_regularizer(name, before):
    regularizer = REGULARIZERS["path_length"]()

    def loss(params):
        latent, key = jnp.asarray(DRAWS["latent"]), jax.random.key(KEY)
        state = regularizer.init() | {"mean": jnp.asarray(before)}
        return regularizer.apply(partial(generate, params), latent, key, state)[0]

    compare("regularizer", name, "generator", loss)
