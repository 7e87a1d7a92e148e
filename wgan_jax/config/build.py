"""Builds objects from a config whose fields ``schema.py`` has checked."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import ml_collections

from wgan_jax import networks
from wgan_jax.augmentation import diff_augment, parse_policy
from wgan_jax.conditioning import Conditional
from wgan_jax.config.registry import as_config_error, bind, build_module, lookup
from wgan_jax.config.schema import check_config, options
from wgan_jax.data import Pipeline, Source, load_source
from wgan_jax.errors import ConfigError, choices
from wgan_jax.gan import Gan
from wgan_jax.losses import (
    CONSTRAINTS,
    OBJECTIVES,
    PENALTIES,
    REGULARIZERS,
    Objective,
)
from wgan_jax.losses.terms import Term
from wgan_jax.optimizers import OPTIMIZERS
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES, CriticSchedule, cosine

DTYPES = {"float32": None, "bfloat16": jnp.bfloat16}
# Fields of the dataset that the loader does not read.
_IN_THE_STEP = ("dequantize", "flip", "labels")


def build_gan(
    config: ml_collections.ConfigDict,
    image_shape: tuple[int, ...] | None = None,
    *,
    classes: int | None = None,
) -> Gan:
    """The static parts of the GAN that a config describes.

    Args:
        config: one experiment.
        image_shape: shape of one example, ``(H, W, C)`` or ``(D,)``; that of
            the config's dataset, which is then loaded, if None.
        classes: of the dataset, for a conditional config; likewise.

    Returns:
        The Gan; nothing is compiled yet.

    Raises:
        ConfigError: for an unknown name or option, or a mix that makes no sense.
        DataError: if the dataset is needed for its shape and unavailable.
    """
    check_config(config)
    by_class = config.dataset.get("labels", False)
    if image_shape is None or (by_class and classes is None):
        source = build_source(config)
        image_shape, classes = source.example_shape, source.num_classes
    _check_images(config, image_shape)
    conditional = _build_conditional(config, classes)
    training = config.training
    generator = options(config, "generator")
    latent_size = generator.pop("latent_size", None)
    if not isinstance(latent_size, int) or latent_size < 1:
        raise ConfigError(
            f"config.generator.latent_size is {latent_size}; "
            "it must be a whole number above 0."
        )
    constraint = options(config, "constraint")
    before = constraint.pop("before_update", False)
    fixed = {
        "classes": conditional.classes if conditional else 0,
        "dtype": lookup(
            DTYPES,
            training.get("compute_dtype") or "float32",
            "training.compute_dtype",
        ),
    }
    return as_config_error(
        Gan,
        generator=build_module(
            networks.GENERATORS,
            generator,
            "generator",
            image_shape=image_shape,
            **fixed,
        ),
        critic=build_module(
            networks.CRITICS, options(config, "critic"), "critic", **fixed
        ),
        objective=build_objective(config),
        generator_optimizer=_build_optimizer(config, "generator"),
        critic_optimizer=_build_optimizer(config, "critic"),
        latent_size=latent_size,
        penalties=_build_penalties(config),
        regularizers=_build_regularizers(config),
        constraint=bind(CONSTRAINTS, constraint, "constraint") if constraint else None,
        constrain_before_update=before,
        conditional=conditional,
        augment=_build_augmentation(config),
        learning_rate_scale=_build_learning_rate_scale(config),
        generator_batch_size=training.get("generator_batch_size"),
        microbatches=training.get("microbatches") or 1,
        ema_decay=training.ema_decay,
        dequantize=config.dataset.get("dequantize", False),
        flip=config.dataset.get("flip", False),
    )


def build_objective(config: ml_collections.ConfigDict) -> Objective:
    """Returns the objective of a config, with its options.

    Args:
        config: one experiment; ``objective`` is a name, or has ``name`` and options.

    Raises:
        ConfigError: for an unknown name or option, or a value out of range.
    """
    fields = config.objective
    if isinstance(fields, str):
        return cast(Objective, lookup(OBJECTIVES, fields, "objective"))
    found = options(config, "objective")
    objective = lookup(OBJECTIVES, found.pop("name", None), "objective.name")
    known = objective.options()
    for name in found:
        if name not in known:
            raise ConfigError(
                f"config.objective.{name} is not read by {fields.name!r}; "
                f"{choices(known)}."
            )
    objective = objective.with_options(**found)
    # The losses check their options' values, so they are called once.
    score = jax.ShapeDtypeStruct((1,), jnp.float32)
    scores = (score, score)
    as_config_error(jax.eval_shape, objective.critic_loss, *scores)
    generator = scores if objective.paired else scores[:1]
    as_config_error(jax.eval_shape, objective.generator_loss, *generator)
    return cast(Objective, objective)


def build_schedule(config: ml_collections.ConfigDict) -> CriticSchedule:
    """How many updates the critic takes in each iteration.

    Args:
        config: one experiment.

    Returns:
        The schedule.

    Raises:
        ConfigError: if its numbers make no sense.
    """
    training = config.training
    return as_config_error(
        CriticSchedule,
        n_critic=training.n_critic,
        boosted_n_critic=training.get("boosted_n_critic"),
        boosted_first=training.get("boosted_first"),
        boosted_every=training.get("boosted_every"),
    )


def build_source(config: ml_collections.ConfigDict, *, examples: bool = True) -> Source:
    """The dataset of a config, in memory.

    Args:
        config: one experiment.
        examples: False for its shapes, types and classes alone.

    Returns:
        The examples and where they come from.

    Raises:
        ConfigError: for an unknown name or option.
        DataError: if the data is unavailable, saying what to do.
    """
    fields = options(config, "dataset")
    for name in _IN_THE_STEP:
        fields.pop(name, None)
    return as_config_error(
        load_source, fields.pop("name", None), examples=examples, **fields
    )


def build_pipeline(
    config: ml_collections.ConfigDict,
    source: Source,
    *,
    process_index: int = 0,
    process_count: int = 1,
    seed: int | None = None,
) -> Pipeline:
    """Batches of a dataset as a function of the iteration.

    Args:
        config: one experiment.
        source: what ``build_source`` gave.
        process_index: of this host.
        process_count: hosts that share each batch.
        seed: of the order of the examples, the config's by default.

    Returns:
        The pipeline of this host's rows.

    Raises:
        ConfigError: if the batch does not fit the data or the hosts.
    """
    schedule = build_schedule(config)
    # A paired objective's generator gets real examples of its own, too.
    more = int(build_objective(config).paired)
    return as_config_error(
        Pipeline,
        source,
        batch_size=config.training.batch_size,
        seed=config.seed if seed is None else seed,
        critic_updates=lambda t: schedule.updates(t) + more,
        critic_updates_before=lambda t: schedule.updates_before(t) + more * t,
        labels=config.dataset.get("labels", False),
        process_index=process_index,
        process_count=process_count,
    )


def _check_images(
    config: ml_collections.ConfigDict, image_shape: tuple[int, ...]
) -> None:
    for group, field in (("dataset", "flip"), ("augmentation", "policy")):
        if options(config, group).get(field) and len(image_shape) != 3:
            raise ConfigError(
                f"config.{group}.{field} is for images, but an example of "
                f"{config.dataset.name!r} has the shape {image_shape}."
            )


def _build_conditional(
    config: ml_collections.ConfigDict, classes: int | None
) -> Conditional | None:
    fields = options(config, "conditional")
    if not config.dataset.get("labels", False):
        if fields:
            raise ConfigError(
                "config.conditional is set, but config.dataset.labels is not; set that "
                "to True for generation by class."
            )
        return None
    if classes is None:
        raise ConfigError(
            f"config.dataset.labels is True, but {config.dataset.name!r} has no labels."
        )
    return as_config_error(Conditional, classes=classes, **fields)


def _build_augmentation(config: ml_collections.ConfigDict) -> Any:
    fields = options(config, "augmentation")
    if not fields:
        return None
    as_config_error(parse_policy, fields["policy"])
    return partial(diff_augment, **fields)


def _build_optimizer(config: ml_collections.ConfigDict, player: str) -> Any:
    where = f"optimizer.{player}"
    return as_config_error(bind(OPTIMIZERS, dict(config.optimizer[player]), where))


def _build_penalties(config: ml_collections.ConfigDict) -> tuple[Term, ...]:
    """``penalty``, and those of ``penalties`` under their labels."""
    fields = options(config, "penalty")
    terms = [_build_term(config, PENALTIES, fields, "penalty", "")] if fields else []
    for label, group in options(config, "penalties").items():
        where = f"penalties.{label}"
        terms.append(_build_term(config, PENALTIES, dict(group), where, label))
    return tuple(terms)


def _build_regularizers(config: ml_collections.ConfigDict) -> tuple[Term, ...]:
    fields = options(config, "regularizer")
    if not fields:
        return ()
    term = _build_term(config, REGULARIZERS, fields, "regularizer", "")
    return (term._replace(function=as_config_error(term.function)),)


def _build_term(
    config: ml_collections.ConfigDict,
    table: dict[str, Any],
    fields: dict[str, Any],
    where: str,
    label: str,
) -> Term:
    weight = _weight(fields, "weight", where)
    if "final_weight" in fields:
        final = _weight(fields, "final_weight", where)
        length = config.training.get("schedule_iterations")
        length = length or config.training.iterations
        weight = partial(cosine, iterations=length, initial=weight, final=final)
    every = fields.pop("every", 1)
    if not isinstance(every, int) or every < 1:
        raise ConfigError(
            f"config.{where}.every is {every}; it must be a whole number above 0."
        )
    return Term(bind(table, fields, where), weight, every, label)


def _weight(fields: dict[str, Any], name: str, where: str) -> Any:
    weight = fields.pop(name, None)
    if isinstance(weight, jax.core.Tracer):  # one of a sweep, checked before
        return weight
    if not isinstance(weight, int | float) or weight <= 0:
        raise ConfigError(
            f"config.{where}.{name} is {weight}; it must be a number above 0 "
            f"(leave config.{where} out to do without)."
        )
    return float(weight)


def _build_learning_rate_scale(config: ml_collections.ConfigDict) -> Callable[..., Any]:
    training, where = config.training, "training.learning_rate_schedule"
    name = training.learning_rate_schedule
    schedule = lookup(LEARNING_RATE_SCHEDULES, name, where)
    reads = inspect.signature(schedule).parameters
    found = {}
    if "iterations" in reads:
        found["iterations"] = training.get("schedule_iterations") or training.iterations
    final = training.get("learning_rate_final")
    if final is None and "final" in reads:
        raise ConfigError(
            f"config.training.learning_rate_final is missing: {name!r} needs it."
        )
    if final is not None and "final" not in reads:
        raise ConfigError(
            f"config.training.learning_rate_final is not read by the schedule {name!r}."
        )
    if final is not None:
        found["final"] = final
    if training.get("schedule_iterations") and not (
        found or any(callable(term.weight) for term in _build_penalties(config))
    ):
        raise ConfigError(
            "config.training.schedule_iterations is set, but no schedule reads it; "
            "leave it out, or choose a learning_rate_schedule or a final_weight."
        )
    return partial(schedule, **found)
