"""Static definition of a GAN (``Gan``) and its training state (``GanState``)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import optax
from flax import struct

from wgan_jax.augmentation import AdaptiveProbability, ScheduledProbability
from wgan_jax.conditioning import Conditional
from wgan_jax.latents import find_prior
from wgan_jax.losses.bounds import bounds_gradient
from wgan_jax.losses.objectives import SCORE_GAP, WASSERSTEIN_GAP, Objective
from wgan_jax.losses.terms import as_term
from wgan_jax.modules import (
    CriticOutput,
    Network,
    accepts_argument,
    apply,
    check_network,
    is_random,
    sown_as,
    title,
)
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

AugmentationProbability = ScheduledProbability | AdaptiveProbability


@dataclass(frozen=True, eq=False, kw_only=True)
class Gan:
    """Static definition of a GAN: modules and functions, no arrays.

    Instances compare by identity, so a compiled step is tied to the ``Gan`` it
    was built with.

    Attributes:
        generator: linen module
            ``(latent [B, Z], *, train) -> images [B, ...]``. A conditional
            generator takes ``labels [B]`` as its second argument. Or an NNX
            module or two functions, adapted by ``networks.from_nnx`` or
            ``networks.from_functions``. With ``train=True`` it may use the rng
            streams ``dropout`` and ``noise``.
        critic: linen module ``(images [B, ...], *, train) -> scores [B]``. A
            conditional critic takes ``labels [B]`` as its second argument. It
            may sow ``features`` and ``class_logits`` into ``intermediates``.
            Dropout can be active whenever the rng stream ``dropout`` is
            provided, or with ``deterministic=not train``; losses and penalties
            see the same.
        objective: losses of the critic and the generator. The gap of the scores is
            named ``critic/score_gap`` if nothing bounds the gradient of the critic,
            because it then estimates no distance; see ``bounds_gradient``.
        generator_optimizer: optimizer of the generator, including its learning
            rate at iteration 0.
        critic_optimizer: optimizer of the critic, including its learning rate.
        latent_size: Z.
        penalties: terms added to the critic loss.
        regularizers: terms added to the generator loss; they receive the
            generator.
        constraint: projection of the critic parameters, or None.
        constrain_before_update: project before the critic update instead of
            after it, as in the authors' 2017 code. The generator is then
            trained against a critic that is one update outside the constraint
            set.
        conditional: settings of class-conditional generation, or None.
        augment: differentiable ``(images, key) -> images`` applied to all
            inputs of the critic, or None. Penalties see the augmented critic.
        augment_probability: schedule or adaptation of the probability that is
            passed to ``augment`` as ``probability=p``; None for no such
            argument.
        learning_rate_scale: factor on the updates of both networks, as a
            function of the iteration (scalar int32).
        generator_batch_size: latents per generator update, or None for the
            critic's batch size.
        microbatches: number of parts into which the batch of each update is
            split. Gradients are averaged over the parts, and peak memory is
            that of one part. Batch normalization sees one part at a time, and
            the state of a regularizer is updated once per part.
        ema_decay: decay of the generator's exponential moving average (EMA), in
            [0, 1), or None for no EMA. The decay at iteration t is at most
            (1 + t) / (10 + t), so that the EMA forgets the initial weights. Or a
            function from the iteration (scalar int32) to the decay, such as
            ``schedules.half_life_decay`` with its options bound.
        dequantize: add uniform noise of one gray level to uint8 images.
        flip: mirror each real image left to right with probability 1/2.
        prior: distribution of the latents, a key of ``latents.PRIORS``: standard
            ``normal``, ``truncated_normal`` (absolute values of at most 2),
            ``uniform`` on [-1, 1], or ``sphere`` (of radius sqrt(Z)).
    """

    generator: Network
    critic: Network
    objective: Objective
    generator_optimizer: optax.GradientTransformation
    critic_optimizer: optax.GradientTransformation
    latent_size: Count
    penalties: tuple[Any, ...] = ()
    regularizers: tuple[Any, ...] = ()
    constraint: Constraint | None = None
    constrain_before_update: bool = False
    conditional: Conditional | None = None
    augment: Callable[..., Array] | None = None
    augment_probability: AugmentationProbability | None = None
    learning_rate_scale: Callable[[Array], Array] = constant
    generator_batch_size: Count | None = None
    microbatches: Count = 1
    ema_decay: Decay | Callable[[Array], Array] | None = 0.999
    dequantize: bool = False
    flip: bool = False
    prior: str = "normal"

    def __post_init__(self) -> None:
        self._check_kinds()
        for name in ("penalties", "regularizers"):
            terms = tuple(as_term(entry, name) for entry in getattr(self, name))
            object.__setattr__(self, name, terms)
        for name in ("generator", "critic"):
            check_network(getattr(self, name), name)
        check_fields(self)
        find_prior(self.prior)
        if self.objective.paired and self.generator_batch_size is not None:
            raise ValueError(
                f"generator_batch_size is {self.generator_batch_size}, but the "
                "objective pairs each generated example with a real one. Leave it "
                "unset."
            )
        adapts = self.augment_probability
        if adapts is not None and self.augment is None:
            raise ValueError(
                "augment_probability is set, but augment is None. Set both or none of "
                "them."
            )
        if adapts is not None and adapts.needs_scores and not self.objective.signed:
            raise ValueError(
                "augment_probability adapts to the sign of the critic's scores, but "
                "with this objective the sign has no meaning. Use an original GAN "
                "objective or hinge, or a scheduled probability."
            )
        if self.constrain_before_update and self.constraint is None:
            raise ValueError(
                "constrain_before_update is True, but constraint is None. Set a "
                "constraint, or constrain_before_update to False."
            )

    @property
    def bounds_gradient(self) -> bool:
        """Whether something bounds the gradient of the critic.

        It is a constraint, spectral normalization, or a penalty on gradients.
        Networks and penalties of one's own count as if they bounded it.
        """
        return bounds_gradient(self.critic, self.penalties, self.constraint)

    @property
    def gap_name(self) -> str:
        """Name of the metric of the mean real score minus the mean fake score.

        That of the objective; but a score gap where nothing bounds the gradient.
        """
        named = self.objective.gap_name
        is_estimate = named != WASSERSTEIN_GAP or self.bounds_gradient
        return named if is_estimate else SCORE_GAP

    def _check_kinds(self) -> None:
        """Raises ValueError for the first field that is of another kind."""
        if not isinstance(self.objective, Objective):
            raise ValueError(
                f"objective is {self.objective!r}; it must be an Objective, such as "
                "those in wgan_jax.losses."
            )
        for name in ("generator_optimizer", "critic_optimizer"):
            optimizer = getattr(self, name)
            if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
                raise ValueError(
                    f"{name} is {optimizer!r}; it must be an optimizer of optax, such "
                    "as optax.adam(1e-4)."
                )
        for name in ("penalties", "regularizers"):
            if not isinstance(getattr(self, name), tuple | list):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it must be a tuple of pairs "
                    "(function, weight) or of Terms."
                )
        for name in ("constraint", "augment", "learning_rate_scale"):
            value = getattr(self, name)
            if not callable(value) and (value is not None or name.startswith("lear")):
                raise ValueError(f"{name} is {value!r}; it must be a function.")
        if not isinstance(self.conditional, Conditional | None):
            raise ValueError(
                f"conditional is {self.conditional!r}; it must be a Conditional, such "
                "as Conditional(classes=10), or None."
            )

    def generate(
        self,
        params: Params,
        model_state: PyTree,
        latent: Array,
        *,
        train: bool,
        labels: Array | None = None,
        key: PRNGKey | None = None,
    ) -> tuple[Array, PyTree]:
        """Returns images of latents and the generator's new model state.

        Args:
            params: generator parameters.
            model_state: generator model state.
            latent: ``[B, Z]``.
            train: training mode, in which the model state is updated.
            labels: int32 ``[B]`` if the GAN is conditional.
            key: PRNG key of the generator's own random numbers, such as dropout;
                None disables them.

        Returns:
            Floating-point ``[B, ...]``, and the model state.
        """
        inputs = self.inputs(self.generator, latent, labels)
        images, model_state, _ = apply(
            self.generator, params, model_state, inputs, train=train, key=key
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
        """Returns the critic's output for images ``[B, ...]`` and its new model state.

        Args:
            params: critic parameters.
            model_state: critic model state.
            images: ``[B, ...]``.
            train: training mode, in which the model state is updated.
            labels: int32 ``[B]`` if the GAN is conditional.
            key: PRNG key of augmentation and dropout; None disables both.
            augment: whether to augment the images if there is a key.

        Returns:
            The scores (at least float32) with the side outputs, and the model
            state.
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
        """Returns the critic as a fixed function of images, as penalties expect it."""
        return BoundCritic(self, params, model_state, labels, key)

    def inputs(
        self, player: Network, x: Array, labels: Array | None
    ) -> tuple[Array, ...]:
        """Returns the call arguments of a network: ``x``, and the labels if taken."""
        if (
            self.conditional is None
            or labels is None
            or not accepts_argument(player, "labels")
        ):
            return (x,)
        return x, labels


@dataclass(frozen=True, eq=False)
class BoundCritic(CriticFn):
    """Critic with its parameters, labels and PRNG key bound.

    Attributes:
        gan: the GAN that the critic belongs to.
        params: critic parameters.
        model_state: other collections of the critic, held fixed.
        labels: int32 ``[B]`` labels of the examples to be scored, or None.
        key: PRNG key of augmentation and dropout; None disables both.
    """

    gan: Gan
    params: Params
    model_state: PyTree
    labels: Array | None
    key: PRNGKey | None

    def __call__(self, images: Array, /) -> Array:
        """Returns scores ``[B]`` of images ``[B, ...]``."""
        return self._output(images, self.key).scores

    def perturbed(self, images: Array, key: PRNGKey) -> tuple[Array, Array]:
        """Returns scores ``[B]`` and features ``[B, F]`` with dropout from ``key``.

        Augmentation uses the bound key, so two calls differ only in dropout.

        Raises:
            ValueError: if the critic has no dropout or sows no features.
        """
        if not any(self._is_random(images, train=train) for train in (False, True)):
            raise ValueError(
                f"{title(self.gan.critic)} has no dropout, so two passes "
                "through it are identical. Set a dropout rate, or remove the "
                "consistency term."
            )
        if self.gan.augment is not None and self.key is not None:
            images = self.gan.augment(images, jax.random.fold_in(self.key, 0))
        output = self._output(images, key, augment=False)
        if output.features is None:
            raise ValueError(
                f"{title(self.gan.critic)} sows no features; for the "
                "consistency term, it must call self.sow('intermediates', 'features', "
                "h) with the input of its last layer."
            )
        return output.scores, output.features

    def _is_random(self, images: Array, *, train: bool) -> bool:
        inputs = self.gan.inputs(self.gan.critic, images, self.labels)
        return is_random(
            self.gan.critic, self.params, self.model_state, inputs, train=train
        )

    def _output(
        self, images: Array, key: PRNGKey | None, *, augment: bool = True
    ) -> CriticOutput:
        # Dropout that is active only in training mode is so here, too. The state that
        # this mode updates is discarded.
        train = (
            key is not None
            and not self._is_random(images, train=False)
            and self._is_random(images, train=True)
        )
        return self.gan.score(
            self.params,
            self.model_state,
            images,
            train=train,
            labels=self.labels,
            key=key,
            augment=augment,
        )[0]


class PlayerState(struct.PyTreeNode):
    """Training state of one network.

    Attributes:
        params: trainable parameters.
        model_state: other collections of the module (batch statistics, vectors
            of spectral normalization); {} if there are none.
        opt_state: optimizer state.
    """

    params: Params
    model_state: PyTree
    opt_state: PyTree


class GanState(struct.PyTreeNode):
    """Training state: all arrays of a run.

    It holds no PRNG key, because keys are derived from the counters.

    Attributes:
        step: int32 scalar, number of generator updates so far.
        critic_updates: int32 scalar, number of critic updates so far.
        critic: state of the critic.
        generator: state of the generator.
        ema_params: exponential moving average (EMA) of the generator
            parameters, or None.
        ema_model_state: EMA of the generator model state, or None.
        penalties: latest metrics of each lazily evaluated penalty, in order.
        regularizers: state of each regularizer, in order; of a lazily evaluated one
            with its latest value.
        augmentation: state of the augmentation probability, or None.
    """

    step: Array
    critic_updates: Array
    critic: PlayerState
    generator: PlayerState
    ema_params: Params | None
    ema_model_state: PyTree | None
    penalties: tuple[Metrics, ...] = ()
    regularizers: tuple[PyTree, ...] = ()
    augmentation: PyTree | None = None
