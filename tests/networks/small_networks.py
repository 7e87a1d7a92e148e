"""Small networks of every row of the tables, and how tests compile them.

What a row needs is derived: its sizes from the fields of its class, its image shape
by trying. ``FIELDS`` and ``CASES`` hold what cannot be, and none has to be there.
"""

import functools
import math
from functools import partial

import jax
import jax.numpy as jnp
from table_rows import fields, small_fields

from wgan_jax.networks import CRITICS, GENERATORS

# These programs run once: most of their time would go into optimising them.
QUICK = {"xla_backend_optimization_level": 0}
jit = partial(jax.jit, compiler_options=QUICK)

LATENT = 5
# Tried in turn, until both networks of a row take one.
SHAPES = [(8, 8, 3), (16, 16, 3), (32, 32, 3), (64, 64, 3), (8, 8, 1), (28, 28, 1)]
SHAPES += [(2,), (8,)]
# Other values than those of ``small_fields``, for either network that has the field.
FIELDS = {
    "mlp": {"width": 16},  # of fewer units too many are dead
    "r3gan": {"cardinality": 2, "blocks_per_stage": 1},
}
GROUPS = {"width": 4} | FIELDS["r3gan"]
# Image shape and latent size, and further fields of the generator: other cases than
# the one of the first shape that fits.
CASES = {
    "mlp": [((2,), 2, {}), ((4, 4, 1), LATENT, {"bounded": True})],
    "dcgan": [((8, 8, 1), LATENT, {}), ((28, 28, 1), LATENT, {})],
    "dcgan_gp": [((8, 8, 3), LATENT, {}), ((28, 28, 1), LATENT, {})],
    "article": [((6, 5, 3), LATENT, {})],
}
NAMES = list(GENERATORS | CRITICS)
# Rows of networks that need images of certain sizes.
SIZED = ("dcgan", "dcgan_gp", "sngan_cnn", "resnet", "resnet64", "r3gan")


def generator_of(name):
    """The row's generator; of a critic alone one that makes anything."""
    return GENERATORS.get(name, GENERATORS["mlp"])


def critic_of(name):
    """The row's critic; of a generator alone one that takes anything."""
    return CRITICS.get(name, CRITICS["mlp"])


def fields_of(name, module, **more):
    """Fields of a small network of this row."""
    wanted = FIELDS.get(name, {}) | more
    return small_fields(module) | {k: wanted[k] for k in wanted if k in fields(module)}


@functools.cache
def shape_of(name, first=SHAPES[0]):
    """The first of some image shapes that both networks of a row take."""
    refusals = []
    for shape in (first, *SHAPES):
        generator = generator_of(name)(
            image_shape=shape, **fields_of(name, generator_of(name))
        )
        critic = critic_of(name)(**fields_of(name, critic_of(name), batch_norm=False))
        try:
            for module, x in ((generator, (2, LATENT)), (critic, (2, *shape))):
                start(module, jnp.zeros(x))
        except ValueError as error:
            refusals.append(f"{shape}: {error}")
        else:
            return shape
    raise ValueError(f"{name} takes none of SHAPES: " + " ".join(refusals))


def start(module, *inputs):
    """Shapes of a module's variables; where mistakes are refused."""
    return jax.eval_shape(
        lambda key: module.init(key, *inputs, train=False), jax.random.key(0)
    )


def small_cases(name):
    """Pair, image shape, latent size, fields of generator and critic."""
    shapes = CASES.get(name)
    if shapes is None:
        shapes = [(shape_of(name), LATENT, {})]
    # Batch norm mixes the examples of a batch.
    of_critic = fields_of(name, critic_of(name), batch_norm=False)
    return [
        (name, shape, size, fields_of(name, generator_of(name)) | more, of_critic)
        for shape, size, more in shapes
    ]


SMALL = [case for name in NAMES for case in small_cases(name)]
# One case of each pair.
ROWS = list({case[0]: case for case in reversed(SMALL)}.values())[::-1]


def having(field, of=critic_of):
    """The rows whose critic (or generator) has this field."""
    return [row for row in ROWS if field in fields(of(row[0]))]


def init(module, key, *inputs):
    return jit(partial(module.init, train=False))(key, *inputs)


def apply(module, variables, *inputs, **options):
    return jit(partial(module.apply, **options))(variables, *inputs)


def call(module, variables, *inputs, train):
    """The output alone, of a module that may move any of its collections."""
    moving = [name for name in variables if name != "params"]
    return apply(module, variables, *inputs, train=train, mutable=moving)[0]


def small_generator(case, key, **fields):
    name, shape, size, of_generator, _ = case
    generator = generator_of(name)(image_shape=shape, **of_generator, **fields)
    dtype = fields.get("param_dtype", "float32")
    return generator, jax.random.normal(key, (6, size), dtype)


def small_critic(case, key, **fields):
    name, shape, _, _, of_critic = case
    dtype = fields.get("param_dtype", "float32")
    images = jax.random.uniform(key, (6, *shape), dtype, minval=-1.0)
    return critic_of(name)(**of_critic | fields), images


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
