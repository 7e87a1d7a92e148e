"""Several runs in one program, with different seeds or values of one setting.

A replica is an independent run with its own key, batches and state. ``vmap``
combines K replicas in one compiled step whose number of kernels does not depend
on K. This helps on an accelerator that a single small network does not
saturate. A CPU has no idle resources, and K states together exceed its caches.
On a CPU, the same step therefore processes the replicas one after the other.
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
from wgan_jax.training.arguments import check_is_gan
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
    """Initializes the states of K replicas.

    Args:
        gan: static definition of the GAN; with ``settings``, a function from
            one setting, such as the weight of a penalty, to the static
            definition.
        keys: PRNG keys ``[K]``; replica k is initialized as by ``init_state``
            with key k.
        settings: ``[K]`` setting of each replica, or None.
        mesh: devices over which the replicas are split; None for the default
            device.

    Returns:
        The state, where each leaf has a leading axis K.

    Raises:
        ValueError: if the parts of the GAN are incompatible, K is not divisible
            by the number of devices, or the number of keys and settings
            differs.
    """
    mesh = mesh or make_mesh(jax.devices()[:1])
    if keys.ndim != 1:
        raise ValueError(
            f"init_replicas: keys have the shape {keys.shape}; they must be [K], one "
            "key per replica."
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
    """Returns shapes, dtypes and shardings of ``init_replicas`` without computing it.

    Args:
        gan: as for ``init_replicas``.
        settings: ``[K]``; its values are ignored if ``gan`` is a Gan.
        mesh: as for ``init_replicas``.

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
    """Compiles ``train_step`` for K replicas.

    Args:
        gan: as for ``init_replicas``.
        mesh: as for ``init_replicas``.
        settings: as for ``init_replicas``.
        together: True to ``vmap`` over the replicas, False to process them one
            after the other (``lax.map``). None selects False on a single CPU
            device and True otherwise.
        donate: reuse the memory of the old state for the new one.

    Returns:
        ``step(state, batch, keys) -> (state, metrics)``, where everything has a
        leading axis K and the batch is ``[K, N, B, ...]``. Replica k performs
        ``train_step`` on its own part.
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
    """Returns the part of one replica from a state or from metrics.

    Args:
        state: pytree of ``[K, ...]``.
        index: replica index in [0, K).

    Returns:
        The same tree without the leading axis.

    Raises:
        ValueError: if there is no such replica, or an array has no leading axis.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        count = leaf.shape[0] if leaf.ndim else 0
        if not 0 <= index < count:
            where = jax.tree_util.keystr(path)
            raise ValueError(
                f"replica: index is {index}, but {where} has the shape "
                f"{list(leaf.shape)}; it must be [K, ...] with K above the index."
            )
    return jax.tree.map(lambda x: x[index], state)


def put_replicas(mesh: Mesh, batches: PyTree) -> PyTree:
    """Puts host arrays ``[K, ...]`` on the devices, sharded along K."""
    return jax.device_put(batches, _apart(mesh))


def _settings(gan: GanOf, settings: Any, count: int) -> Array:
    """Returns the setting of each replica, or 0 if settings are not used."""
    if settings is None and not isinstance(gan, Gan):
        raise ValueError(
            "replicas: the Gan is a function of a setting, but settings is None; it "
            "must be [K], one setting per replica."
        )
    values = jnp.zeros(count) if settings is None else jnp.asarray(settings)
    if values.shape != (count,):
        raise ValueError(
            f"replicas: settings have the shape {values.shape}; they must be "
            f"[{count}], one setting per replica."
        )
    return values


def _gan_of(gan: GanOf, setting: Array | float) -> Gan:
    found = gan(setting) if callable(gan) else gan
    check_is_gan(found)
    return found


def _apart(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))
