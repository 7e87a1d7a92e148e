"""Static definition of a GAN, ``Gan``, and its training state, ``GanState``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import optax
from flax import linen as nn
from flax import struct

from wgan_jax.conditioning import Conditional
from wgan_jax.losses.objectives import Objective
from wgan_jax.losses.terms import as_term
from wgan_jax.modules import CriticOutput, accepts_argument, apply, is_random, sown_as
from wgan_jax.ranges import Count, Decay, check_fields
from wgan_jax.schedules import constant
from wgan_jax.types import (
    Array,
    Constraint,
    CriticFn,
    Metrics,
    Params,
    PRNGKey,
    PyTree,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Gan:
    """The static parts of a GAN: modules and functions, no arrays.

    Two Gans are equal only if they are the same object, so a compiled step
    belongs to the Gan that it was made with.

    Attributes:
        generator: linen module, ``(latent [B, Z], *, train) -> images [B, ...]``;
            a conditional one takes ``labels [B]`` second.
        critic: linen module, ``(images [B, ...], *, train) -> scores [B]``; a
            conditional one takes ``labels [B]`` second. It may sow ``features``
            and ``class_logits`` into ``intermediates``, and be random where it
            is given the rng ``dropout``.
        objective: what generator and critic minimize.
        generator_optimizer: its learning rate at iteration 0 included.
        critic_optimizer: likewise.
        latent_size: Z; latents are standard normal.
        penalties: terms of the critic's loss.
        regularizers: terms of the generator's loss that see the generator.
        constraint: projection of the critic's parameters, or None.
        constrain_before_update: project before the critic's update instead of
            after it, as the authors' 2017 code did; the critic that the
            generator meets is then one update outside the constraint.
        conditional: for generation by class, or None.
        augment: ``(images, key) -> images``, applied to whatever the critic
            sees, differentiable; or None. Penalties see the critic through it.
        learning_rate_scale: factor on both networks' updates as a function of
            the iteration (scalar int32).
        generator_batch_size: latents per generator update, or None for as many
            as the critic sees of each kind.
        microbatches: parts that each update's batch is split into; the
            gradients of the parts are averaged, in the memory of one. Batch
            norm sees one part at a time, and a regularizer's memory moves once
            a part.
        ema_decay: of the moving average of the generator, in [0, 1), or None
            for no average. The first iterations use (1 + t) / (10 + t) where
            that is smaller, so that the average forgets the initial weights.
        dequantize: add uniform noise of one gray level to uint8 images.
        flip: mirror each real image left to right with probability 1/2.
    """

    generator: nn.Module
    critic: nn.Module
    objective: Objective
    generator_optimizer: optax.GradientTransformation
    critic_optimizer: optax.GradientTransformation
    latent_size: int
    penalties: tuple[Any, ...] = ()
    regularizers: tuple[Any, ...] = ()
    constraint: Constraint | None = None
    constrain_before_update: bool = False
    conditional: Conditional | None = None
    augment: Callable[[Array, PRNGKey], Array] | None = None
    learning_rate_scale: Callable[[Array], Array] = constant
    generator_batch_size: Count | None = None
    microbatches: Count = 1
    ema_decay: Decay | None = 0.999
    dequantize: bool = False
    flip: bool = False

    def __post_init__(self) -> None:
        for name in ("penalties", "regularizers"):
            terms = tuple(as_term(entry, name) for entry in getattr(self, name))
            object.__setattr__(self, name, terms)
        for player in (self.generator, self.critic):
            if not accepts_argument(player, "train"):
                raise ValueError(
                    f"{type(player).__name__}.__call__ takes no keyword 'train'; "
                    "a player is called as module(x, train=True or False)."
                )
        check_fields(self)
        if self.objective.paired and self.generator_batch_size is not None:
            raise ValueError(
                f"generator_batch_size is {self.generator_batch_size}, but the "
                "objective pairs each fake with a real example; leave it out."
            )
        if self.constrain_before_update and self.constraint is None:
            raise ValueError(
                "constrain_before_update is set, but there is no constraint to apply."
            )

    def generate(
        self,
        params: Params,
        model_state: PyTree,
        latent: Array,
        *,
        train: bool,
        labels: Array | None = None,
    ) -> tuple[Array, PyTree]:
        """Images ``[B, ...]`` of latents ``[B, Z]``, and the new model state."""
        inputs = self.inputs(self.generator, latent, labels)
        images, model_state, _ = apply(
            self.generator, params, model_state, inputs, train=train, key=None
        )
        return images, model_state

    def score(
        self,
        params: Params,
        model_state: PyTree,
        images: Array,
        *,
        train: bool,
        labels: Array | None = None,
        key: PRNGKey | None = None,
        augment: bool = True,
    ) -> tuple[CriticOutput, PyTree]:
        """What the critic says of images ``[B, ...]``, and its new model state.

        Args:
            params: the critic's.
            model_state: the critic's.
            images: ``[B, ...]``.
            train: training mode, in which the model state moves.
            labels: int32 ``[B]`` if the GAN is conditional.
            key: typed key of augmentation and dropout, or None for neither.
            augment: whether to augment the images where there is a key.

        Returns:
            Scores, at least float32, and side outputs; and the model state.
        """
        if key is not None:
            if self.augment is not None and augment:
                images = self.augment(images, jax.random.fold_in(key, 0))
            key = jax.random.fold_in(key, 1)
        inputs = self.inputs(self.critic, images, labels)
        scores, model_state, sown = apply(
            self.critic, params, model_state, inputs, train=train, key=key
        )
        side = [sown_as(sown, name) for name in ("features", "class_logits")]
        return CriticOutput(scores, *side), model_state

    def critic_fn(
        self,
        params: Params,
        model_state: PyTree,
        *,
        labels: Array | None = None,
        key: PRNGKey | None = None,
    ) -> "BoundCritic":
        """The critic as a fixed function of images, as penalties want it."""
        return BoundCritic(self, params, model_state, labels, key)

    def inputs(
        self, player: nn.Module, x: Array, labels: Array | None
    ) -> tuple[Array, ...]:
        """What a network is called with: ``x``, and the labels if it takes them."""
        if (
            self.conditional is None
            or labels is None
            or not accepts_argument(player, "labels")
        ):
            return (x,)
        return x, labels


@dataclass(frozen=True, eq=False)
class BoundCritic(CriticFn):
    """A critic with parameters, labels and random numbers bound.

    Attributes:
        gan: whose critic.
        params: its parameters.
        model_state: its other collections; they do not move.
        labels: int32 ``[B]`` of the examples it will be called with, or None.
        key: of augmentation and dropout, or None for neither.
    """

    gan: Gan
    params: Params
    model_state: PyTree
    labels: Array | None
    key: PRNGKey | None

    def __call__(self, images: Array, /) -> Array:
        """Scores ``[B]`` of images ``[B, ...]``."""
        return self._output(images, self.key).scores

    def perturbed(self, images: Array, key: PRNGKey) -> tuple[Array, Array]:
        """Scores ``[B]`` and features ``[B, F]`` with dropout drawn from ``key``.

        The augmentation is the bound one, so two calls differ by dropout alone.

        Raises:
            ValueError: if the critic has no dropout, or sows no features.
        """
        inputs = self.gan.inputs(self.gan.critic, images, self.labels)
        if not is_random(self.gan.critic, self.params, self.model_state, inputs):
            raise ValueError(
                f"{type(self.gan.critic).__name__} has no dropout, so two passes of it "
                "never differ; give it a dropout rate, or leave the consistency term "
                "out."
            )
        if self.gan.augment is not None and self.key is not None:
            images = self.gan.augment(images, jax.random.fold_in(self.key, 0))
        output = self._output(images, key, augment=False)
        if output.features is None:
            raise ValueError(
                f"{type(self.gan.critic).__name__} sows no features; a critic for the "
                "consistency term calls self.sow('intermediates', 'features', h) with "
                "the input of its last layer."
            )
        return output.scores, output.features

    def _output(
        self, images: Array, key: PRNGKey | None, *, augment: bool = True
    ) -> CriticOutput:
        return self.gan.score(
            self.params,
            self.model_state,
            images,
            train=False,
            labels=self.labels,
            key=key,
            augment=augment,
        )[0]


class PlayerState(struct.PyTreeNode):
    """Arrays of one player.

    Attributes:
        params: what the optimizer moves.
        model_state: other collections of the module (batch statistics, vectors
            of spectral normalization); {} if there are none.
        opt_state: of the network's optimizer.
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
        penalties: what each lazy penalty last measured, in their order.
        regularizers: what each regularizer remembers, in their order.
    """

    step: Array
    critic_updates: Array
    critic: PlayerState
    generator: PlayerState
    ema_params: Params | None
    ema_model_state: PyTree | None
    penalties: tuple[Metrics, ...] = ()
    regularizers: tuple[PyTree, ...] = ()
