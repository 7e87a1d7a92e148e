"""Sizes of images from 8 to 128 pixels, and the errors for other ones."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_networks import LATENT, SQUARE, critic_of, fields_of, generator_of, jit

from wgan_jax import Gan, gradient_penalty, init_state, train_step
from wgan_jax.losses import OBJECTIVES
from wgan_jax.networks.sizes import nearest_sides
from wgan_jax.program.cli import main

SIDES = (8, 16, 32, 64, 128)


def networks(name, shape):
    """A narrow generator and critic of images of this shape."""
    # Groups of r3gan are of this width.
    width = {} if name == "r3gan" else {"width": 2}
    generator = generator_of(name)(
        image_shape=shape, **fields_of(name, generator_of(name)) | width
    )
    of_critic = fields_of(name, critic_of(name), batch_norm=False) | width
    return generator, critic_of(name)(**of_critic)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", SQUARE)
def test_both_networks_take_powers_of_two(name, side, channels):
    shape = (side, side, channels)
    generator, critic = networks(name, shape)
    for module, x, expected in (
        (generator, jnp.zeros((2, LATENT)), (2, *shape)),
        (critic, jnp.zeros((2, *shape)), (2,)),
    ):
        run = partial(module.init_with_output, train=True)
        out, _ = jax.eval_shape(run, jax.random.key(0), x)
        assert (out.shape, out.dtype) == (expected, jnp.float32)


@pytest.mark.parametrize(
    ("name", "side", "channels"),
    [
        ("dcgan", 128, 1),
        ("dcgan_gp", 128, 3),
        ("sngan_cnn", 128, 1),
        ("resnet", 128, 3),
        ("resnet64", 16, 1),
        ("r3gan", 64, 1),
    ],
)
def test_a_step_with_a_gradient_penalty_is_finite(name, side, channels, key):
    generator, critic = networks(name, (side, side, channels))
    gan = Gan(
        generator=generator,
        critic=critic,
        objective=OBJECTIVES["wasserstein"],
        generator_optimizer=optax.adam(1e-3),
        critic_optimizer=optax.adam(1e-3),
        latent_size=LATENT,
        penalties=((gradient_penalty, 10.0),),
    )
    # One critic update with two images.
    images = jax.random.uniform(key, (1, 2, side, side, channels), minval=-1.0)
    state = init_state(gan, key)
    state, metrics = jit(partial(train_step, gan))(state, {"image": images}, key)
    assert {name: float(x) for name, x in metrics.items() if not np.isfinite(x)} == {}
    leaves = jax.tree.leaves((state.generator.params, state.critic.params))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (3, "; the smallest side is 8."),
        (24, "; the nearest sides are 16 and 32."),
        (32, "."),
        (100, "; the nearest sides are 64 and 128."),
    ],
)
def test_the_nearest_sides_are_named(side, expected):
    found = nearest_sides((side, side, 3), lambda s: s >= 8 and s & (s - 1) == 0)
    assert found == expected


@pytest.mark.parametrize("name", SQUARE)
def test_the_command_names_the_nearest_sizes(name, tmp_path, capsys):
    levels = np.arange(4 * 20 * 20 * 3, dtype=np.uint32) % 250
    np.save(tmp_path / "x.npy", levels.astype(np.uint8).reshape(4, 20, 20, 3))
    fields = ["dataset.name=arrays", f"dataset.path={tmp_path / 'x.npy'}"]
    fields += [f"generator.name={name}", f"critic.name={name}", "evaluation=None"]
    fields += ["training.batch_size=2", "samples.count=4"]
    arguments = ["--config=digits_wgan_gp", f"--workdir={tmp_path / 'run'}"]
    arguments += [f"--config.{field}" for field in fields]
    assert main(["wgan-jax", "train", *arguments]) == 2
    nearest = {"dcgan": "16 and 28", "dcgan_gp": "16 and 25", "sngan_cnn": "16 and 24"}
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "image shape is (20, 20, 3)" in lines[0]
    found = nearest.get(name, "16 and 32")
    assert lines[0].endswith(f"; the nearest sides are {found}.")
    assert not (tmp_path / "run").exists()
