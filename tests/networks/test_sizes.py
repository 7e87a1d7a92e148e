"""Sizes of images from 8 to 128 pixels, and the errors for other ones."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_networks import LATENT, SIZED, critic_of, fields_of, generator_of, jit

from wgan_jax import Gan, gradient_penalty, init_state, train_step
from wgan_jax.losses import OBJECTIVES
from wgan_jax.networks.sizes import base_of, nearest_sizes
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
@pytest.mark.parametrize("name", SIZED)
def test_both_networks_take_powers_of_two(name, side, channels):
    check_shapes(name, (side, side, channels))


@pytest.mark.parametrize("shape", [(24, 40, 4), (64, 32, 3), (16, 104, 1), (40, 24, 2)])
@pytest.mark.parametrize("name", SIZED)
def test_both_networks_take_other_images_than_squares(name, shape):
    check_shapes(name, shape)


@pytest.mark.parametrize("side", [12, 20, 28, 48])
@pytest.mark.parametrize("name", [name for name in SIZED if name != "sngan_cnn"])
def test_both_networks_take_three_five_and_seven_times_a_power_of_two(name, side):
    check_shapes(name, (side, side, 3))


@pytest.mark.parametrize("shape", [(5, 5, 1), (9, 31, 3), (36, 100, 4)])
def test_rounding_up_takes_any_size(shape):
    check_shapes("dcgan_gp", shape)


def check_shapes(name, shape):
    generator, critic = networks(name, shape)
    for module, x, expected in (
        (generator, jnp.zeros((2, LATENT)), (2, *shape)),
        (critic, jnp.zeros((2, *shape)), (2,)),
    ):
        run = partial(module.init_with_output, train=True)
        out, _ = jax.eval_shape(run, jax.random.key(0), x)
        assert (out.shape, out.dtype) == (expected, jnp.float32)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), (4, 4, 1)),
        ((28, 28), (7, 7, 2)),
        ((64, 64), (4, 4, 4)),
        ((128, 128), (4, 4, 5)),
        ((12, 12), (3, 3, 2)),
        ((24, 40), (3, 5, 3)),
        ((32, 64), (4, 8, 3)),
    ],
)
def test_the_smallest_map(size, expected):
    assert base_of((*size, 3), "a network") == expected


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
    check_step(name, (side, side, channels), key)


@pytest.mark.parametrize("shape", [(24, 40, 3), (12, 12, 1)])
@pytest.mark.parametrize("name", ["dcgan", "dcgan_gp", "resnet"])
def test_a_step_of_other_sizes_is_finite(name, shape, key):
    check_step(name, shape, key)


def check_step(name, shape, key):
    generator, critic = networks(name, shape)
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
    images = jax.random.uniform(key, (1, 2, *shape), minval=-1.0)
    state = init_state(gan, key)
    state, metrics = jit(partial(train_step, gan))(state, {"image": images}, key)
    assert {name: float(x) for name, x in metrics.items() if not np.isfinite(x)} == {}
    leaves = jax.tree.leaves((state.generator.params, state.critic.params))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3, 3), "; the smallest side is 6."),
        ((22, 22), "; the nearest sides are 20 and 24."),
        ((100, 100), "; the nearest sides are 96 and 112."),
        ((24, 41), "; the nearest sizes are 24x40 and 24x44."),
        ((20, 250), "; the nearest sizes are 20x248 and 20x252."),
        ((4, 40), "; the smallest size is 6x40."),
    ],
)
def test_the_nearest_sizes_are_named(size, expected):
    with pytest.raises(ValueError, match="a network: image shape") as error:
        base_of((*size, 3), "a network")
    assert str(error.value).endswith(expected)


def test_the_nearest_sides_are_nearest():
    def fits(height, width):
        try:
            return base_of((height, width, 1), "a network") is not None
        except ValueError:
            return False

    for side in [side for side in range(9, 120) if not fits(side, side)]:
        below = next(s for s in range(side, 0, -1) if fits(s, s))
        above = next(s for s in range(side, 999) if fits(s, s))
        found = nearest_sizes((side, side, 1), fits)
        assert found == f"; the nearest sides are {below} and {above}."


@pytest.mark.parametrize("name", SIZED)
def test_the_command_names_the_nearest_sizes(name, tmp_path, capsys):
    side = 4 if name == "dcgan_gp" else 22
    levels = np.arange(4 * side * side * 3, dtype=np.uint32) % 250
    np.save(tmp_path / "x.npy", levels.astype(np.uint8).reshape(4, side, side, 3))
    fields = ["dataset.name=arrays", f"dataset.path={tmp_path / 'x.npy'}"]
    fields += [f"generator.name={name}", f"critic.name={name}", "evaluation=None"]
    fields += ["training.batch_size=2", "samples.count=4"]
    arguments = ["--config=digits_wgan_gp", f"--workdir={tmp_path / 'run'}"]
    arguments += [f"--config.{field}" for field in fields]
    assert main(["wgan-jax", "train", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert f"image shape is ({side}, {side}, 3)" in lines[0]
    others = {"dcgan_gp": "with sides of at least 5."}
    others["sngan_cnn"] = "; the nearest sides are 16 and 24."
    assert lines[0].endswith(others.get(name, "; the nearest sides are 20 and 24."))
    assert not (tmp_path / "run").exists()
