"""Values and parameter gradients against PyTorch; see golden/make_golden.py.

The cases are those of the golden files, ``golden/TABLE/ROW.npz``.
"""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES, REGULARIZERS

HERE = Path(__file__).parent / "golden"
KEY, KEEP = 11, 0.6  # those of golden/make_draws.py
TABLES = {
    "objectives": OBJECTIVES,
    "penalties": PENALTIES,
    "constraints": CONSTRAINTS,
    "regularizers": REGULARIZERS,
}


def read(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


DRAWS = read(HERE / "draws.npz")
GOLDEN = {
    table: {path.stem: read(path) for path in sorted((HERE / table).glob("*.npz"))}
    for table in TABLES
}


def cases(table):
    """Row and case of every golden value of a table."""
    return [
        (row, name.removesuffix("/options"))
        for row, golden in GOLDEN[table].items()
        for name in golden
        if name.endswith("/options")
    ]


def found_in(table, row, case):
    """Options, state and expected arrays of a case."""
    start = f"{case}/"
    arrays = {
        name.removeprefix(start): value
        for name, value in GOLDEN[table][row].items()
        if name.startswith(start)
    }
    options, state = (json.loads(str(arrays.pop(k))) for k in ("options", "state"))
    return options, state, arrays


def params_of(player):
    return {
        k.removeprefix(f"{player}/"): jnp.asarray(v)
        for k, v in DRAWS.items()
        if k.startswith(f"{player}/")
    }


class Critic:
    """The golden files' critic as a plain function, with dropout by key."""

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


def in_order(tree, params):
    return np.concatenate([np.ravel(tree[name]) for name in params])


def compare(player, loss, expected):
    with jax.enable_x64(True):
        params = params_of(player)
        value, gradients = jax.jit(jax.value_and_grad(loss))(params)
        gradient = in_order(gradients, params)
    assert value.dtype == np.float64
    np.testing.assert_allclose(value, expected["value"], rtol=1e-9)
    largest = np.abs(expected["gradient"]).max()
    assert largest > 0
    np.testing.assert_allclose(
        gradient, expected["gradient"], rtol=0, atol=1e-9 * largest
    )


def real_and_fake():
    real, latent = jnp.asarray(DRAWS["real"]), jnp.asarray(DRAWS["latent"])
    return real, generate(params_of("generator"), latent)


@pytest.mark.parametrize("table", TABLES)
def test_golden_files_are_of_rows_and_by_pytorch(table):
    assert GOLDEN[table].keys() <= TABLES[table].keys()
    for row, golden in GOLDEN[table].items():
        assert str(golden["torch_version"]).startswith("2."), row
        assert (HERE / table / f"{row}.py").exists(), row


@pytest.mark.parametrize(("row", "case"), cases("penalties"))
def test_penalty(row, case):
    options, _, expected = found_in("penalties", row, case)

    def loss(params):
        result = PENALTIES[row](
            Critic(params), *real_and_fake(), jax.random.key(KEY), **options
        )
        return result[0] if isinstance(result, tuple) else result

    compare("critic", loss, expected)


def of_objective(row, case, loss):
    options, _, arrays = found_in("objectives", row, case)
    start = f"{loss}/"
    expected = {
        k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)
    }
    return OBJECTIVES[row].with_options(**options), expected


@pytest.mark.parametrize(("row", "case"), cases("objectives"))
def test_critic_loss(row, case):
    objective, expected = of_objective(row, case, "critic_loss")

    def loss(params):
        return objective.critic_loss(*map(Critic(params), real_and_fake()))

    compare("critic", loss, expected)


@pytest.mark.parametrize(("row", "case"), cases("objectives"))
def test_generator_loss(row, case):
    objective, expected = of_objective(row, case, "generator_loss")

    def loss(params):
        critic = Critic(params_of("critic"))
        real = critic(jnp.asarray(DRAWS["real"]))
        fake = critic(generate(params, jnp.asarray(DRAWS["latent"])))
        return objective.generator_loss(*((real,) if objective.paired else ()), fake)

    compare("generator", loss, expected)


@pytest.mark.parametrize(("row", "case"), cases("regularizers"))
def test_regularizer(row, case):
    options, before, expected = found_in("regularizers", row, case)
    regularizer = REGULARIZERS[row](**options)

    def loss(params):
        latent, key = jnp.asarray(DRAWS["latent"]), jax.random.key(KEY)
        state = regularizer.init()
        if before:  # a memory of names
            state |= {name: jnp.asarray(value) for name, value in before.items()}
        return regularizer.apply(partial(generate, params), latent, key, state)[0]

    compare("generator", loss, expected)


@pytest.mark.parametrize(("row", "case"), cases("constraints"))
def test_constraint(row, case):
    options, _, expected = found_in("constraints", row, case)
    with jax.enable_x64(True):
        params = params_of("critic")
        projected = in_order(CONSTRAINTS[row](params, **options), params)
        before = in_order(params, params)
    assert projected.dtype == np.float64
    assert not np.array_equal(projected, before)
    np.testing.assert_allclose(projected, expected["params"], rtol=0, atol=1e-9)
