"""Small networks whose steps are compared with float64 references.

Each case is one pair of networks with the objective and the penalties used to
train it. The widths are small to keep the references small. The cases still
cover every form that ``networks/forms.py`` chooses between on CUDA: strided,
pooled and upsampling convolutions, kernels computed from parameters, and
grouped kernels.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

from wgan_jax import OBJECTIVES, Gan
from wgan_jax.losses import PENALTIES, REGULARIZERS
from wgan_jax.networks import CRITICS, GENERATORS

BATCH = 8
UPDATES = 2  # critic updates per iteration
LATENT_SIZE = 8
IMAGE = (16, 16, 3)
# Penalties that are tested with every image critic, and their options. The consistency
# term is excluded: it has no second derivative, and needs dropout.
TERMS: dict[str, tuple[str, dict[str, Any]]] = {
    "gradient_penalty": ("gradient_penalty", {}),
    "one_sided": ("gradient_penalty", {"one_sided": True, "target": 0.01}),
    "r1": ("r1", {}),
    "r2": ("r2", {}),
    "dragan": ("dragan", {}),
    "divergence": ("divergence", {}),
    "drift": ("drift", {}),
}


class Small(NamedTuple):
    """One pair of networks.

    Attributes:
        pair: name of the generator and the critic.
        shape: shape of one example.
        objective: name of the objective.
        penalties: names and weights of penalties.
        generator: fields of the generator besides its shape.
        critic: fields of the critic.
        regularizers: names and weights of regularizers.
    """

    pair: str
    shape: tuple[int, ...]
    objective: str
    penalties: tuple[tuple[str, float], ...]
    generator: dict[str, Any]
    critic: dict[str, Any]
    regularizers: tuple[tuple[str, float], ...] = ()


CASES = {
    "mlp": Small(
        "mlp",
        (2,),
        "wasserstein",
        (("gradient_penalty", 0.1),),
        {"width": 32},
        {"width": 32},
    ),
    "dcgan": Small(
        "dcgan",
        IMAGE,
        "wasserstein",
        (("gradient_penalty", 10.0),),
        {"width": 8},
        {"width": 8, "batch_norm": False},
    ),
    "resnet": Small(
        "resnet",
        IMAGE,
        "wasserstein",
        (("gradient_penalty", 10.0),),
        {"width": 8, "batch_norm": False},
        {"width": 8},
        (("path_length", 2.0),),
    ),
    "sngan": Small(
        "resnet",
        IMAGE,
        "hinge",
        (),
        {"width": 8},
        {"width": 8, "parametrization": "spectral", "pool": "sum"},
    ),
    "r3gan": Small(
        "r3gan",
        IMAGE,
        "relativistic",
        (("r1", 0.05), ("r2", 0.05)),
        {"width": 8, "cardinality": 2, "blocks_per_stage": 1},
        {"width": 8, "cardinality": 2, "blocks_per_stage": 1},
    ),
}


def build(case: Small, dtype: Any = None) -> Gan:
    """Returns the Gan of a case.

    Args:
        case: the case.
        dtype: computation dtype of the networks; None for that of their inputs.

    Returns:
        The Gan. Adam's epsilon is large, so that its first updates are smooth
        functions of the gradient. With a small epsilon, they are the signs of
        the gradient, and rounding determines the sign where the gradient is 0.
    """
    adam = partial(optax.adam, 1e-3, b1=0.5, b2=0.9, eps=1e-2)
    return Gan(
        generator=GENERATORS[case.pair](
            image_shape=case.shape, dtype=dtype, **case.generator
        ),
        critic=CRITICS[case.pair](dtype=dtype, **case.critic),
        objective=OBJECTIVES[case.objective],
        penalties=tuple((PENALTIES[name], w) for name, w in case.penalties),
        regularizers=tuple((REGULARIZERS[name](), w) for name, w in case.regularizers),
        generator_optimizer=adam(),
        critic_optimizer=adam(),
        latent_size=LATENT_SIZE,
    )


def real_batches(gan: Gan, case: Small) -> np.ndarray:
    """Returns float32 ``[N, B, ...]`` in (-1, 1), one more if the loss is paired."""
    count = UPDATES + int(gan.objective.paired)
    rng = np.random.default_rng(7)
    return rng.uniform(-0.9, 0.9, (count, BATCH, *case.shape)).astype(np.float32)


def named(tree: Any) -> dict[str, np.ndarray]:
    """Returns arrays of a pytree by path, such as ``critic/params/conv_0/kernel``."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {path_name(path): np.asarray(leaf) for path, leaf in leaves}


def path_name(path: Any) -> str:
    """Returns the path of a leaf: its fields, keys and indices joined by ``/``."""
    parts = []
    for key in path:
        (part,) = (getattr(key, f) for f in ("name", "key", "idx") if hasattr(key, f))
        parts.append(str(part).replace("/", "."))
    return "/".join(parts)


@contextlib.contextmanager
def same_draws() -> Iterator[None]:
    """Makes all precisions draw the same random numbers: in float32, then cast.

    In float64, ``jax.random`` uses twice the bits, so latents and interpolates
    would differ.
    """

    def in_single(function: Any) -> Any:
        def draw(
            key: Any, shape: Any = (), dtype: Any = float, *rest: Any, **more: Any
        ) -> Any:
            drawn = function(key, shape, jnp.float32, *rest, **more)
            return drawn.astype(jnp.result_type(dtype))

        return draw

    names = ("normal", "uniform")
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(
                mock.patch.object(
                    jax.random, name, in_single(getattr(jax.random, name))
                )
            )
        yield
