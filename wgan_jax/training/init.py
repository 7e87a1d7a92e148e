"""Initial training state, and checks that the parts of a Gan are compatible."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from wgan_jax.gan import Gan, GanState, PlayerState
from wgan_jax.losses.terms import initial_memories, nothing_measured
from wgan_jax.modules import (
    CriticOutput,
    Network,
    accepts_argument,
    reads,
    title,
)
from wgan_jax.parallel.sharding import place_state, sharded_fields
from wgan_jax.training.arguments import check_is_gan, check_is_key
from wgan_jax.training.probing import Outputs, mixes_examples, probe, some_inputs
from wgan_jax.types import Array, PRNGKey, PyTree


def init_state(
    gan: Gan,
    key: PRNGKey,
    mesh: Mesh | None = None,
    *,
    placement: str = "replicated",
) -> GanState:
    """Initializes the training state.

    Args:
        gan: static definition of the GAN. The critic is initialized for the
            shape of the generator's output.
        key: PRNG key; the same key gives the same state on any mesh.
        mesh: device mesh; None for the default device.
        placement: what each device stores, a key of ``sharding.PLACEMENTS``.

    Returns:
        The state at step 0. The EMA starts as a copy of the generator.

    Raises:
        ValueError: if an argument is of another kind, the placement is unknown, or
            the parts of the GAN are incompatible (see ``check_gan``).
    """
    check_is_key(key)
    target = abstract_state(gan, mesh, placement=placement)
    placings = jax.tree.map(lambda x: x.sharding, target)
    return jax.jit(lambda k: initial_state(gan, k), out_shardings=placings)(key)


def abstract_state(
    gan: Gan, mesh: Mesh | None = None, *, placement: str = "replicated"
) -> GanState:
    """Returns shapes, dtypes and shardings of ``init_state`` without computing it.

    Args:
        gan: static definition of the GAN.
        mesh: as for ``init_state``.
        placement: as for ``init_state``.

    Returns:
        A state of ``jax.ShapeDtypeStruct``.

    Raises:
        ValueError: as ``init_state``.
    """
    check_is_gan(gan)
    sharded_fields(placement)
    state = check_gan(gan)
    if mesh is None:
        return state
    return jax.tree.map(
        lambda x, placing: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=placing),
        state,
        place_state(mesh, state, placement=placement),
    )


def initial_state(gan: Gan, key: PRNGKey) -> GanState:
    """Computes ``init_state`` as a traceable pure function, without checks.

    Args:
        gan: static definition of the GAN.
        key: PRNG key.

    Returns:
        The state at step 0.
    """
    latent, labels = jnp.zeros((2, gan.latent_size), jnp.float32), _some_labels(gan)
    generator = _init_player(
        gan.generator,
        gan.generator_optimizer,
        jax.random.fold_in(key, 0),
        gan.inputs(gan.generator, latent, labels),
    )
    images = jax.eval_shape(
        lambda: gan.generate(
            generator.params,
            generator.model_state,
            latent,
            train=False,
            labels=labels,
        )[0]
    )
    critic = _init_player(
        gan.critic,
        gan.critic_optimizer,
        jax.random.fold_in(key, 1),
        gan.inputs(gan.critic, jnp.zeros(images.shape, images.dtype), labels),
    )
    critic_fn = gan.critic_fn(critic.params, critic.model_state, labels=labels, key=key)
    zeros = jnp.zeros(images.shape, images.dtype)
    averaged = gan.ema_decay is not None
    return GanState(
        step=jnp.zeros((), jnp.int32),
        critic_updates=jnp.zeros((), jnp.int32),
        critic=critic,
        generator=generator,
        ema_params=generator.params if averaged else None,
        ema_model_state=generator.model_state if averaged else None,
        penalties=nothing_measured(
            gan.penalties, lambda f, k: f(critic_fn, zeros, zeros, k), key
        ),
        regularizers=initial_memories(gan.regularizers),
        augmentation=None
        if gan.augment_probability is None
        else gan.augment_probability.init(),
    )


def probe_network(gan: Gan, name: str, state: GanState) -> tuple[Outputs, np.ndarray]:
    """Returns what computes a network for inputs, and two inputs.

    Args:
        gan: static definition of the GAN.
        name: ``generator`` or ``critic``.
        state: shapes and dtypes of its state.
    """

    def collections(key: PRNGKey) -> PyTree:
        return getattr(initial_state(gan, key), name).model_state

    # Without the parameters, whose random numbers take long to compile.
    model_state = jax.jit(collections)(jax.random.key(0))
    image = tuple(abstract_images(gan, state).shape[1:])
    return probe(gan, name, state, model_state), some_inputs(gan, name, image)


def check_gan(gan: Gan) -> GanState:
    """Checks that the parts of a GAN are compatible, using shapes only.

    Args:
        gan: static definition of the GAN.

    Returns:
        The shapes and dtypes of its state.

    Raises:
        ValueError: naming the incompatible parts, if

            * a critic with penalties or a generator with regularizers mixes the
              examples of a batch by layers with state, as batch normalization does.
              Layers without state, such as the minibatch standard deviation of
              arXiv:1710.10196, are accepted: their penalty is on the gradient of the
              sum of all scores;
            * the critic does not return one score per example;
            * a network of a conditional GAN takes no labels, or has another number
              of classes;
            * an auxiliary head is not trained, or there are weights for a missing
              one;
            * ``fake_labels="uniform"`` is combined with a paired objective or with
              a penalty that uses fake examples;
            * a penalty or constraint cannot be computed;
            * a constraint is combined with a kernel parametrization; or
            * the network does not support the image size.
    """
    for term in gan.regularizers:
        if not hasattr(term.function, "apply"):
            raise ValueError(
                f"regularizers contains {term.function!r}, which has no 'apply'. Call "
                "a factory such as path_length first: path_length()."
            )
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda k: initial_state(gan, k), key)
    _check_batch_norm(gan, state)
    output = _abstract_output(gan, state)
    if output.scores.shape != (2,):
        raise ValueError(
            f"{title(gan.critic)} returns scores of shape "
            f"{output.scores.shape} for a batch of 2; it must return one score per "
            "example, shape (2,)."
        )
    _check_conditional(gan, output)
    _check_penalties(gan, state, head=output.class_logits is not None)
    _check_constraint(gan, state)
    return state


def _check_batch_norm(gan: Gan, state: GanState) -> None:
    if gan.penalties and _mixes_examples(gan, "critic", state):
        raise ValueError(
            f"{title(gan.critic)} has batch norm, which mixes the examples of "
            "a batch, so a penalty on its gradients is not defined. Use a critic "
            "without batch norm, or a constraint instead of the penalty."
        )
    if gan.regularizers and _mixes_examples(gan, "generator", state):
        raise ValueError(
            f"{title(gan.generator)} has batch norm, which mixes the examples "
            "of a batch, so a regularizer on its Jacobian is not defined. Use a "
            "generator without batch norm."
        )


def _mixes_examples(gan: Gan, name: str, state: GanState) -> bool:
    """Returns whether an output in training mode depends on other examples."""
    if not getattr(state, name).model_state:
        return False  # as the networks of the package promise; see ``check_gan``
    try:
        with jax.ensure_compile_time_eval():
            return mixes_examples(*probe_network(gan, name, state))
    except jax.errors.TracerArrayConversionError:
        return "batch_stats" in getattr(state, name).model_state


def _check_conditional(gan: Gan, output: CriticOutput) -> None:
    conditional, head = gan.conditional, output.class_logits is not None
    critic, generator = title(gan.critic), title(gan.generator)
    weights = conditional is not None and (
        _is_above_0(conditional.critic_weight)
        or _is_above_0(conditional.generator_weight)
    )
    if head and (conditional is None or not _is_above_0(conditional.critic_weight)):
        raise ValueError(
            f"{critic} has an auxiliary head, but no loss trains it. Set "
            "critic_weight, the weight of the critic's class loss, above 0, or remove "
            "the head."
        )
    if conditional is None:
        return
    for player in (gan.generator, gan.critic):
        known = getattr(player, "classes", conditional.classes)
        if known != conditional.classes:
            raise ValueError(
                f"{title(player)} has classes={known}, but the GAN has "
                f"{conditional.classes} classes; both must be the same number."
            )
    if not accepts_argument(gan.generator, "labels"):
        raise ValueError(
            f"{generator} takes no labels; for class-conditional generation, it must "
            "be callable as module(latent, labels, train=...)."
        )
    if weights and not head:
        raise ValueError(
            f"the class losses have weights above 0, but {critic} has no auxiliary "
            "head. Use a critic with one, or set the weights to 0."
        )
    if not weights and not accepts_argument(gan.critic, "labels"):
        raise ValueError(
            f"{critic} takes no labels and has no auxiliary head, so the classes have "
            "no effect. Use a critic with labels or an auxiliary head."
        )
    if conditional.fake_labels == "uniform" and gan.objective.paired:
        raise ValueError(
            "fake_labels is 'uniform', which gives the two examples of a pair "
            "different labels, but the objective compares them. Use "
            "fake_labels='real'."
        )


def _check_penalties(gan: Gan, state: GanState, *, head: bool) -> None:
    """Traces each penalty, so that errors are raised before training."""

    def values(
        state: GanState, real: Array, fake: Array, labels: Any, key: PRNGKey
    ) -> Any:
        critic = state.critic
        critic_fn = gan.critic_fn(
            critic.params, critic.model_state, labels=labels, key=key
        )
        return [t.function(critic_fn, real, fake, key) for t in gan.penalties]

    images, labels = abstract_images(gan, state), _some_labels(gan)
    key = jax.eval_shape(lambda: jax.random.key(0))
    found = jax.eval_shape(values, state, images, images, labels, key)
    for term, value in zip(gan.penalties, found, strict=True):
        shape = (value[0] if isinstance(value, tuple) else value).shape
        if shape != ():
            raise ValueError(
                f"the penalty {term.name or term.function} has a value of shape "
                f"{shape}; it must be a scalar, the mean over the batch."
            )
    conditional = gan.conditional
    if conditional is None or conditional.fake_labels == "real" or head:
        return
    if reads(values, 2, state, images, images, labels, key):
        raise ValueError(
            "fake_labels is 'uniform', but a penalty uses generated examples with the "
            "labels of the real batch. Use fake_labels='real', or a penalty on real "
            "examples only."
        )


def _check_constraint(gan: Gan, state: GanState) -> None:
    if gan.constraint is None:
        return
    parametrization = getattr(gan.critic, "parametrization", "plain")
    if parametrization != "plain":
        raise ValueError(
            f"{title(gan.critic)} normalizes its kernels itself "
            f"(parametrization={parametrization!r}), so a constraint on them has no "
            "effect. Use only one of the two."
        )
    jax.eval_shape(gan.constraint, state.critic.params)


def _is_above_0(weight: Any) -> bool:
    return isinstance(weight, jax.core.Tracer) or weight > 0


def abstract_images(gan: Gan, state: GanState) -> Any:
    """Returns shapes and dtypes of two generated images."""
    latent = jax.ShapeDtypeStruct((2, gan.latent_size), jnp.float32)
    labels = _some_labels(gan)

    def make(player: PlayerState, z: Array) -> Array:
        params, model_state = player.params, player.model_state
        return gan.generate(params, model_state, z, train=False, labels=labels)[0]

    return jax.eval_shape(make, state.generator, latent)


def _abstract_output(gan: Gan, state: GanState) -> Any:
    """Returns shapes and dtypes of the critic's output for two images."""

    def score(player: PlayerState, images: Array) -> CriticOutput:
        params, model_state = player.params, player.model_state
        labels = _some_labels(gan)
        return gan.score(params, model_state, images, train=False, labels=labels)[0]

    return jax.eval_shape(score, state.critic, abstract_images(gan, state))


def _some_labels(gan: Gan) -> Array | None:
    return None if gan.conditional is None else jnp.zeros((2,), jnp.int32)


def _init_player(
    module: Network,
    optimizer: optax.GradientTransformation,
    key: PRNGKey,
    inputs: tuple[Array, ...],
) -> PlayerState:
    variables = dict(module.init(key, *inputs, train=False))
    params = variables.pop("params", {})
    variables.pop("intermediates", None)
    return PlayerState(
        params=params, model_state=variables, opt_state=optimizer.init(params)
    )
