"""Networks of a user, as named on the command line: ``own_pairs:equinox_generator``."""

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import nnx

from wgan_jax.networks import from_functions


class EquinoxGenerator(eqx.Module):
    """A linear layer, and two convolutions of channels first."""

    project: eqx.nn.Linear
    norm: eqx.nn.GroupNorm
    grow: eqx.nn.ConvTranspose2d
    output: eqx.nn.Conv2d

    def __init__(self, latent_size, channels, width, *, key):
        keys = jax.random.split(key, 3)
        self.project = eqx.nn.Linear(latent_size, 16 * width, key=keys[0])
        self.norm = eqx.nn.GroupNorm(2, width)
        self.grow = eqx.nn.ConvTranspose2d(width, 4, 4, 2, padding=1, key=keys[1])
        self.output = eqx.nn.Conv2d(4, channels, 3, padding=1, key=keys[2])

    def __call__(self, z):
        x = self.project(z).reshape(-1, 4, 4)
        x = jax.nn.relu(self.grow(jax.nn.silu(self.norm(x))))
        return jnp.tanh(self.output(x)).transpose(1, 2, 0)


class EquinoxCritic(eqx.Module):
    """Two convolutions and a linear layer."""

    layers: list

    def __init__(self, shape, width, *, key):
        side, _, channels = shape
        keys = jax.random.split(key, 3)
        self.layers = [
            eqx.nn.Conv2d(channels, width, 4, 2, padding=1, key=keys[0]),
            eqx.nn.Conv2d(width, width, 3, padding=1, groups=2, key=keys[1]),
            eqx.nn.Linear(width * (side // 2) ** 2, 1, key=keys[2]),
        ]

    def __call__(self, image):
        x = image.transpose(2, 0, 1)
        for layer in self.layers[:-1]:
            x = jax.nn.softplus(layer(x))
        return self.layers[-1](x.ravel())[0]


def of_equinox(constructor):
    """Returns the network of a module of one example."""
    static = eqx.filter(constructor(key=jax.random.key(0)), eqx.is_array, inverse=True)
    return from_functions(
        lambda key: eqx.filter(constructor(key=key), eqx.is_array),
        lambda params, x, *, train: jax.vmap(eqx.combine(params, static))(x),
    )


def equinox_generator(latent_size, image_shape, width: int = 6):
    """A generator of Equinox layers."""
    return of_equinox(partial(EquinoxGenerator, latent_size, image_shape[-1], width))


def equinox_critic(image_shape=(8, 8, 1), width: int = 4):
    """A critic of Equinox layers."""
    return of_equinox(partial(EquinoxCritic, image_shape, width))


def functions_generator(latent_size, image_shape, width: int = 6):
    """A generator of two functions, with a running mean in a collection."""

    def init(key):
        a, b = jax.random.split(key)
        channels = image_shape[-1]
        params = {
            "project": 0.2 * jax.random.normal(a, (latent_size, 4, 4, width)),
            "shift": jnp.zeros(width),
            "kernel": 0.2 * jax.random.normal(b, (4, 4, width, channels)),
        }
        return {"params": params, "averages": {"mean": jnp.zeros(width)}}

    def call(variables, z, *, train):
        params = variables["params"]
        x = jnp.einsum("bz,zhwc->bhwc", z, params["project"])
        found = jnp.mean(x, (0, 1, 2))
        mean = variables["averages"]["mean"]
        shift = params["shift"] - (found if train else mean)
        x = x + shift[None, None, None]
        x = jax.nn.leaky_relu(x, 0.2)
        x = jax.lax.conv_transpose(x, params["kernel"], (2, 2), "SAME")
        changed = {"averages": {"mean": 0.9 * mean + 0.1 * found}} if train else {}
        return jnp.tanh(x), changed

    return from_functions(init, call)


def functions_critic(width: int = 8):
    """A critic of two functions, for images of 64 numbers."""

    def init(key):
        a, b = jax.random.split(key)
        return {
            "hidden": 0.2 * jax.random.normal(a, (64, width)),
            "output": 0.2 * jax.random.normal(b, (width,)),
        }

    def call(params, images, *, train):
        x = images.reshape(len(images), -1)
        return jax.nn.softplus(x @ params["hidden"]) @ params["output"]

    return from_functions(init, call)


class NNXGenerator(nnx.Module):
    """A spectrally normalized layer, batch norm, and a convolution."""

    def __init__(self, latent_size, image_shape, width: int = 6, *, rngs):
        self.width = width
        self.project = nnx.SpectralNorm(
            nnx.Linear(latent_size, 16 * width, rngs=rngs), rngs=rngs
        )
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        self.output = nnx.ConvTranspose(
            width, image_shape[-1], (4, 4), strides=(2, 2), rngs=rngs
        )

    def __call__(self, z):
        x = self.project(z).reshape(-1, 4, 4, self.width)
        return jnp.tanh(self.output(nnx.relu(self.norm(x))))


class NNXCritic(nnx.Module):
    """Spectrally normalized layers."""

    def __init__(self, image_shape, width: int = 8, *, rngs):
        size = math.prod(image_shape)
        self.hidden = nnx.SpectralNorm(nnx.Linear(size, width, rngs=rngs), rngs=rngs)
        self.output = nnx.SpectralNorm(nnx.Linear(width, 1, rngs=rngs), rngs=rngs)

    def __call__(self, images):
        x = self.hidden(images.reshape(len(images), -1))
        return self.output(nnx.leaky_relu(x))[:, 0]


PAIRS = {
    "equinox": ("own_pairs:equinox_generator", "own_pairs:equinox_critic"),
    "functions": ("own_pairs:functions_generator", "own_pairs:functions_critic"),
    "nnx": ("own_pairs:NNXGenerator", "own_pairs:NNXCritic"),
}
