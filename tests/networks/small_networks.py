"""Small networks of every row of the tables, and how tests compile them."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from wgan_jax.networks import CRITICS, GENERATORS

# These programs run once: most of their time would go into optimising them.
QUICK = {"xla_backend_optimization_level": 0}
jit = partial(jax.jit, compiler_options=QUICK)

GROUPS = {"width": 4, "cardinality": 2, "blocks_per_stage": 1}
# Pair, image shape, latent size, fields of generator and critic.
SMALL = [
    ("mlp", (2,), 2, {"width": 16}, {"width": 16}),
    ("mlp", (4, 4, 1), 5, {"width": 16, "bounded": True}, {"width": 16}),
    ("dcgan", (8, 8, 1), 5, {"width": 4}, {"width": 4, "batch_norm": False}),
    ("dcgan", (28, 28, 1), 5, {"width": 4}, {"width": 4, "batch_norm": False}),
    ("dcgan_gp", (8, 8, 3), 5, {"width": 4}, {"width": 4}),
    ("dcgan_gp", (28, 28, 1), 5, {"width": 4}, {"width": 4}),
    ("sngan_cnn", (8, 8, 3), 5, {"width": 4}, {"width": 4}),
    ("resnet", (8, 8, 3), 5, {"width": 4}, {"width": 4}),
    ("resnet64", (8, 8, 1), 5, {"width": 4}, {"width": 4}),
    ("r3gan", (8, 8, 3), 5, GROUPS, GROUPS),
    ("article", (6, 5, 3), 5, {}, {"width": 4}),
]
# One case of each pair.
ROWS = list({case[0]: case for case in reversed(SMALL)}.values())[::-1]


def having(field):
    """The rows whose critic has this field."""
    return [row for row in ROWS if hasattr(CRITICS[row[0]], field)]


def init(module, key, *inputs):
    return jit(partial(module.init, train=False))(key, *inputs)


def apply(module, variables, *inputs, **options):
    return jit(partial(module.apply, **options))(variables, *inputs)


def small_generator(case, key, **fields):
    name, shape, size, of_generator, _ = case
    generator = GENERATORS[name](image_shape=shape, **of_generator, **fields)
    dtype = fields.get("param_dtype", "float32")
    return generator, jax.random.normal(key, (6, size), dtype)


def small_critic(case, key, **fields):
    name, shape, _, _, of_critic = case
    dtype = fields.get("param_dtype", "float32")
    images = jax.random.uniform(key, (6, *shape), dtype, minval=-1.0)
    return CRITICS[name](**of_critic, **fields), images


def moved(variables, key, size=0.1):
    """The variables with noise on every parameter, so that no path starts dead."""
    leaves, tree = jax.tree.flatten(variables["params"])
    keys = jax.random.split(key, len(leaves))
    noise = [
        x + size * jax.random.normal(k, x.shape, x.dtype)
        for x, k in zip(leaves, keys, strict=True)
    ]
    return {**variables, "params": jax.tree.unflatten(tree, noise)}


def count(module, *inputs):
    """Parameters of a module called with such inputs."""
    variables = jax.eval_shape(
        partial(module.init, train=False), jax.random.key(0), *inputs
    )
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


def labels(*values):
    return jnp.asarray(values, jnp.int32)
