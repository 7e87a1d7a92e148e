"""Several runs in one program: seeds, or values of one setting.

A replica is a run of its own: its key, its batches, its state. ``vmap`` puts K
of them into one compiled step, whose number of kernels does not grow with K;
an accelerator that one small network leaves idle computes them together. A CPU
has nothing idle, and K states at once leave its caches: there the same step
takes the replicas one after the other.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.stages import Wrapped

from wgan_jax.gan import Gan, GanState
from wgan_jax.parallel.sharding import DATA_AXIS, check_divisible, make_mesh
from wgan_jax.training.compilation import compiler_options
from wgan_jax.training.init import check_gan, initial_state
from wgan_jax.training.steps import train_step
from wgan_jax.types import Array, Batch, PRNGKey, PyTree

GanOf = Gan | Callable[[Any], Gan]
"""A Gan, or a function from one scalar setting to a Gan."""


def init_replicas(
    gan: GanOf,
    keys: PRNGKey,
    *,
    settings: Array | np.ndarray | None = None,
    mesh: Mesh | None = None,
) -> GanState:
    """Fresh arrays of K runs.

    Args:
        gan: the static parts, or with ``settings`` a function from one of them
            to the static parts, such as the weight of a penalty.
        keys: typed keys ``[K]``; replica k starts as ``init_state`` does with
            key k.
        settings: ``[K]``, the setting of each replica, or None.
        mesh: devices to divide the replicas among; the default device if None.

    Returns:
        The state, each leaf with a leading axis K.

    Raises:
        ValueError: if the parts do not go together, the replicas do not divide
            among the devices, or there is not one key and setting for each.
    """
    mesh = mesh or make_mesh(jax.devices()[:1])
    if keys.ndim != 1:
        raise ValueError(
            f"init_replicas: keys have the shape {keys.shape}; give one a replica, [K]."
        )
    check_divisible(mesh, replicas=len(keys))
    values = _settings(gan, settings, len(keys))
    for value in {0.0} if settings is None else set(np.asarray(settings).tolist()):
        check_gan(_gan_of(gan, value))

    def init(key: PRNGKey, setting: Array) -> GanState:
        return initial_state(_gan_of(gan, setting), key)

    return jax.jit(jax.vmap(init), out_shardings=_apart(mesh))(keys, values)


def abstract_replicas(
    gan: GanOf, *, settings: Array | np.ndarray, mesh: Mesh | None = None
) -> GanState:
    """``init_replicas`` as shapes, dtypes and placings, without computing.

    Args:
        gan: as for ``init_replicas``, like all other arguments.
        settings: ``[K]``; one that is not read will do where ``gan`` is a Gan.
        mesh: devices.

    Returns:
        A state of ``jax.ShapeDtypeStruct``.

    Raises:
        ValueError: as ``init_replicas``.
    """
    mesh = mesh or make_mesh(jax.devices()[:1])
    check_divisible(mesh, replicas=len(settings))
    state = check_gan(_gan_of(gan, float(settings[0])))
    shape = (len(settings),)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(shape + x.shape, x.dtype, sharding=_apart(mesh)),
        state,
    )


def make_replicas_step(
    gan: GanOf,
    mesh: Mesh | None = None,
    *,
    settings: Array | np.ndarray | None = None,
    together: bool | None = None,
    donate: bool = True,
) -> Wrapped:
    """``train_step`` of K runs at once, compiled.

    Args:
        gan: as for ``init_replicas``.
        mesh: as for ``init_replicas``.
        settings: as for ``init_replicas``.
        together: ``vmap`` over the replicas, or one after the other in one
            program (``lax.map``); None takes the second on a CPU.
        donate: let the new state take the old one's memory.

    Returns:
        ``step(state, batch, keys) -> (state, metrics)``: everything with a
        leading axis K, the batch ``[K, N, B, ...]``; replica k does what
        ``train_step`` does with its own part.
    """
    mesh = mesh or make_mesh(jax.devices()[:1])
    platform = mesh.devices.flat[0].platform
    if together is None:
        together = platform != "cpu" or mesh.size > 1
    apart = _apart(mesh)

    def one(replica: tuple[GanState, Any, PRNGKey, Array]) -> tuple[GanState, PyTree]:
        state, batch, key, setting = replica
        return train_step(_gan_of(gan, setting), state, batch, key)

    def step(state: GanState, batch: Batch | Array, keys: PRNGKey) -> Any:
        values = _settings(gan, settings, len(keys))
        every = jax.vmap(one) if together else partial(jax.lax.map, one)
        return every((state, batch, keys, values))

    return jax.jit(
        step,
        in_shardings=(apart, apart, apart),
        out_shardings=(apart, apart),
        donate_argnums=0 if donate else (),
        compiler_options=compiler_options(platform),
    )


def replica(state: PyTree, index: int) -> PyTree:
    """One run's part of a state or of metrics.

    Args:
        state: pytree of ``[K, ...]``.
        index: in [0, K).

    Returns:
        The same tree without the leading axis.
    """
    return jax.tree.map(lambda x: x[index], state)


def put_replicas(mesh: Mesh, batches: PyTree) -> PyTree:
    """Host arrays ``[K, ...]`` to the devices, K divided among them."""
    return jax.device_put(batches, _apart(mesh))


def _settings(gan: GanOf, settings: Any, count: int) -> Array:
    """The setting of each replica, 0 where none is read."""
    if settings is None and not isinstance(gan, Gan):
        raise ValueError(
            "replicas: the Gan is given as a function of a setting, but settings is "
            "None; give one setting a replica."
        )
    values = jnp.zeros(count) if settings is None else jnp.asarray(settings)
    if values.shape != (count,):
        raise ValueError(
            f"replicas: settings have the shape {values.shape}; there are {count} "
            "replicas, each with one."
        )
    return values


def _gan_of(gan: GanOf, setting: Array | float) -> Gan:
    return gan if isinstance(gan, Gan) else gan(setting)


def _apart(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))
