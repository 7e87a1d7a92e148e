"""A GAN as a value: ``Gan`` holds its static parts, ``GanState`` its arrays."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import struct
from jax.sharding import Mesh

from wgan_jax.losses.objectives import Objective
from wgan_jax.schedules import constant
from wgan_jax.sharding import replicated
from wgan_jax.types import Array, Constraint, CriticFn, Params, Penalty, PRNGKey, PyTree


@dataclass(frozen=True, eq=False, kw_only=True)
class Gan:
    """The static parts of a GAN: modules and functions, no arrays.

    Two Gans are equal only if they are the same object, so a compiled step
    belongs to the Gan that it was made with.

    Attributes:
        generator: linen module, ``(latent [B, Z], *, train) -> images [B, ...]``.
        critic: linen module, ``(images [B, ...], *, train) -> scores [B]``.
        objective: what the two players minimise.
        generator_optimizer: its learning rate at iteration 0 included.
        critic_optimizer: likewise.
        latent_size: Z; latents are standard normal.
        penalties: pairs of a term of the critic's loss and its weight.
        constraint: projection of the critic's parameters, or None.
        constrain_before_update: project before the critic's update instead of
            after it, as the authors' 2017 code did; the critic that the
            generator meets is then one update outside the constraint.
        learning_rate_scale: factor on both players' updates as a function of
            the iteration (scalar int32).
        generator_batch_size: latents per generator update, or None for as many
            as the critic sees of each kind.
        ema_decay: of the moving average of the generator, in [0, 1), or None
            for no average. The first iterations use (1 + t) / (10 + t) where
            that is smaller, so that the average forgets the initial weights.
        dequantize: add uniform noise of one grey level to uint8 images.
    """

    generator: nn.Module
    critic: nn.Module
    objective: Objective
    generator_optimizer: optax.GradientTransformation
    critic_optimizer: optax.GradientTransformation
    latent_size: int
    penalties: tuple[tuple[Penalty, float], ...] = ()
    constraint: Constraint | None = None
    constrain_before_update: bool = False
    learning_rate_scale: Callable[[Array], Array] = constant
    generator_batch_size: int | None = None
    ema_decay: float | None = 0.999
    dequantize: bool = False

    def __post_init__(self) -> None:
        for player in (self.generator, self.critic):
            if "train" not in inspect.signature(type(player).__call__).parameters:
                raise ValueError(
                    f"{type(player).__name__}.__call__ takes no keyword 'train'; "
                    "a player is called as module(x, train=True or False)."
                )
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            raise ValueError(
                f"ema_decay is {self.ema_decay}; it must be in [0, 1), or None."
            )
        if self.constrain_before_update and self.constraint is None:
            raise ValueError(
                "constrain_before_update is set, but there is no constraint to apply."
            )

    def generate(
        self, params: Params, model_state: PyTree, latent: Array, *, train: bool
    ) -> tuple[Array, PyTree]:
        """Images ``[B, ...]`` of latents ``[B, Z]``, and the new model state."""
        return _apply(self.generator, params, model_state, latent, train=train)

    def score(
        self, params: Params, model_state: PyTree, images: Array, *, train: bool
    ) -> tuple[Array, PyTree]:
        """Scores ``[B]`` of images ``[B, ...]``, and the new model state."""
        return _apply(self.critic, params, model_state, images, train=train)

    def critic_fn(self, params: Params, model_state: PyTree) -> CriticFn:
        """The critic as a fixed function of images, as penalties want it."""
        return lambda images: self.score(params, model_state, images, train=False)[0]


class PlayerState(struct.PyTreeNode):
    """Arrays of one player.

    Attributes:
        params: what the optimiser moves.
        model_state: other collections of the module (batch statistics); {} if
            there are none.
        opt_state: of the player's optimiser.
    """

    params: Params
    model_state: PyTree
    opt_state: PyTree


class GanState(struct.PyTreeNode):
    """All arrays of a run, and no random key: keys are functions of the counters.

    Attributes:
        step: int32 scalar, generator updates so far.
        critic_updates: int32 scalar, critic updates so far.
        critic: its arrays.
        generator: its arrays.
        ema_params: moving average of the generator's params, or None.
        ema_model_state: moving average of its model state, or None.
    """

    step: Array
    critic_updates: Array
    critic: PlayerState
    generator: PlayerState
    ema_params: Params | None
    ema_model_state: PyTree | None


def init_state(gan: Gan, key: PRNGKey, mesh: Mesh | None = None) -> GanState:
    """Fresh arrays for both players.

    Args:
        gan: the static parts; the critic is shaped by what the generator makes.
        key: typed key; equal keys give equal states on any mesh.
        mesh: where to put a copy on each device; the default device otherwise.

    Returns:
        The state at step 0. The moving average starts as a copy of the
        generator.

    Raises:
        ValueError: if the critic keeps batch statistics and is penalised, does
            not return one score per example, or the network cannot make images
            of the size asked for.
    """
    _check_critic(gan, jax.eval_shape(lambda k: _init(gan, k), key))
    sharding = None if mesh is None else replicated(mesh)
    state = jax.jit(lambda k: _init(gan, k), out_shardings=sharding)(key)
    if gan.ema_decay is None:
        return state
    # Copies, because a step donates its state and no buffer is donated twice.
    return state.replace(
        ema_params=jax.tree.map(jnp.copy, state.generator.params),
        ema_model_state=jax.tree.map(jnp.copy, state.generator.model_state),
    )


def abstract_state(gan: Gan, mesh: Mesh | None = None) -> GanState:
    """``init_state`` as shapes, dtypes and placings, without computing.

    Args:
        gan: the static parts.
        mesh: as for ``init_state``.

    Returns:
        A state of ``jax.ShapeDtypeStruct``.

    Raises:
        ValueError: as ``init_state``.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda k: _init(gan, k), key)
    _check_critic(gan, state)
    if gan.ema_decay is not None:
        state = state.replace(
            ema_params=state.generator.params,
            ema_model_state=state.generator.model_state,
        )
    if mesh is None:
        return state
    sharding = replicated(mesh)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), state
    )


def _apply(
    module: nn.Module, params: Params, model_state: PyTree, x: Array, *, train: bool
) -> tuple[Array, PyTree]:
    variables: dict[str, Any] = {"params": params, **model_state}
    if not (train and model_state):
        output = module.apply(variables, x, train=train)
    else:
        output, model_state = module.apply(
            variables, x, train=True, mutable=list(model_state)
        )
    return cast(Array, output), model_state


def _init(gan: Gan, key: PRNGKey) -> GanState:
    latent = jnp.zeros((2, gan.latent_size))
    generator = _init_player(
        gan.generator, gan.generator_optimizer, jax.random.fold_in(key, 0), latent
    )
    images = jax.eval_shape(
        lambda: gan.generate(
            generator.params, generator.model_state, latent, train=False
        )[0]
    )
    critic = _init_player(
        gan.critic,
        gan.critic_optimizer,
        jax.random.fold_in(key, 1),
        jnp.zeros(images.shape, images.dtype),
    )
    return GanState(
        step=jnp.zeros((), jnp.int32),
        critic_updates=jnp.zeros((), jnp.int32),
        critic=critic,
        generator=generator,
        ema_params=None,
        ema_model_state=None,
    )


def _init_player(
    module: nn.Module,
    optimizer: optax.GradientTransformation,
    key: PRNGKey,
    example: Array,
) -> PlayerState:
    variables = dict(module.init(key, example, train=False))
    params = variables.pop("params")
    return PlayerState(
        params=params, model_state=variables, opt_state=optimizer.init(params)
    )


def _check_critic(gan: Gan, state: GanState) -> None:
    name = type(gan.critic).__name__
    if gan.penalties and "batch_stats" in state.critic.model_state:
        raise ValueError(
            f"{name} has batch norm and a penalty on its gradients: batch norm mixes "
            "the examples of a batch, so the gradient of one example means nothing; "
            "build the critic without batch norm, or constrain it without a penalty."
        )
    latent = jax.ShapeDtypeStruct((2, gan.latent_size), jnp.result_type(float))

    def shape_of(generator: PlayerState, critic: PlayerState, z: Array) -> Array:
        images = gan.generate(generator.params, generator.model_state, z, train=False)
        return gan.critic_fn(critic.params, critic.model_state)(images[0])

    shape = jax.eval_shape(shape_of, state.generator, state.critic, latent).shape
    if shape != (2,):
        raise ValueError(
            f"{name} returns scores of shape {shape} for a batch of 2; "
            "a critic returns one score per example, shape (2,)."
        )
