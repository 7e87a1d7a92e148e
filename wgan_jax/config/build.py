"""Builds the objects of an experiment. A config is validated first."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.augmentation import (
    AdaptiveProbability,
    ScheduledProbability,
    diff_augment,
)
from wgan_jax.conditioning import Conditional
from wgan_jax.config import experiment
from wgan_jax.config.experiment import DTYPES, ExperimentConfig, Row, Term
from wgan_jax.config.precision import with_dtype
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.config.rows import as_config_error, build_module
from wgan_jax.data import Pipeline, Source, load_source
from wgan_jax.data.splits import is_about_split
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan
from wgan_jax.losses import (
    CONSTRAINTS,
    OBJECTIVES,
    PENALTIES,
    REGULARIZERS,
    Objective,
    terms,
)
from wgan_jax.optimizers import clipped, find_optimizer
from wgan_jax.schedules import (
    LEARNING_RATE_SCHEDULES,
    CriticSchedule,
    cosine,
    half_life_decay,
)


def build_gan(
    config: Config,
    image_shape: tuple[int, ...] | None = None,
    *,
    classes: int | None = None,
) -> Gan:
    """Returns the static definition of the GAN that a config describes.

    Args:
        config: config of one experiment.
        image_shape: shape of one example, ``(H, W, C)`` or ``(D,)``. If None,
            the dataset of the config is loaded to find it.
        classes: number of classes, for a conditional config. If None, the
            dataset of the config is loaded to find it.

    Returns:
        The Gan. Nothing is compiled.

    Raises:
        ConfigError: if the config has mistakes, with one line for each.
        DataError: if the dataset must be loaded and is unavailable.
    """
    config = with_dtype(resolve(config))
    if image_shape is None or (config.dataset.labels and classes is None):
        source = build_source(config)
        image_shape, classes = source.example_shape, source.num_classes
    _check_images(config, image_shape)
    conditional = _build_conditional(config, classes)
    training = config.training
    given = {
        "classes": conditional.classes if conditional else 0,
        "dtype": DTYPES[training.compute_dtype],
    }
    constraint = config.constraint
    return as_config_error(
        Gan,
        generator=build_module(
            experiment.GENERATORS,
            config.generator,
            "generator",
            needed=given | {"image_shape": image_shape},
            offered={"latent_size": config.generator.latent_size},
        ),
        critic=build_module(
            experiment.CRITICS,
            config.critic,
            "critic",
            needed=given,
            offered={"image_shape": image_shape},
        ),
        objective=build_objective(config),
        generator_optimizer=_build_optimizer(config, "generator"),
        critic_optimizer=_build_optimizer(config, "critic"),
        latent_size=config.generator.latent_size,
        penalties=_build_penalties(config),
        regularizers=_build_regularizers(config),
        constraint=_bound(CONSTRAINTS, constraint) if constraint else None,
        constrain_before_update=constraint is not None and constraint.before_update,
        conditional=conditional,
        augment=partial(diff_augment, policy=config.augmentation.policy)
        if config.augmentation
        else None,
        augment_probability=_build_augment_probability(config),
        learning_rate_scale=_build_learning_rate_scale(config),
        generator_batch_size=training.generator_batch_size,
        microbatches=training.microbatches,
        ema_decay=_build_ema_decay(config),
        dequantize=config.dataset.dequantize,
        flip=config.dataset.flip,
        prior=config.generator.prior,
    )


def build_objective(config: Config) -> Objective:
    """Returns the objective of a config, with its options.

    If nothing bounds the gradient of the critic, the mean difference of scores of
    the Wasserstein objective is named a score gap, not an estimate.

    Args:
        config: config of one experiment.

    Raises:
        ConfigError: if the config has mistakes, or a loss rejects a value.
    """
    config = resolve(config)
    row = config.objective
    objective = OBJECTIVES[row.name].with_options(**row.options)
    # Losses check their options only when they are called.
    score = jax.ShapeDtypeStruct((1,), jnp.float32)
    scores = (score, score)
    as_config_error(jax.eval_shape, objective.critic_loss, *scores)
    generator = scores if objective.paired else scores[:1]
    as_config_error(jax.eval_shape, objective.generator_loss, *generator)
    return objective


def build_schedule(config: Config) -> CriticSchedule:
    """Returns the schedule of critic updates per iteration.

    Args:
        config: config of one experiment.

    Raises:
        ConfigError: if the config has mistakes.
    """
    training = resolve(config).training
    return as_config_error(
        CriticSchedule,
        n_critic=training.n_critic,
        boosted_n_critic=training.boosted_n_critic,
        boosted_first=training.boosted_first,
        boosted_every=training.boosted_every,
    )


def build_source(
    config: Config,
    *,
    examples: bool = True,
    split: str | None = None,
    split_field: str = "dataset.split",
) -> Source:
    """Loads the dataset of a config.

    Args:
        config: config of one experiment.
        examples: whether to load the examples. If False, only their shape,
            dtype and number of classes are read.
        split: split to load instead of that in the config.
        split_field: config field that the split comes from, for messages.

    Returns:
        The examples and their origin.

    Raises:
        ConfigError: if the config has mistakes, or the loader rejects a value.
        DataError: if the data is unavailable. The message says what to do.
    """
    dataset = resolve(config).dataset
    options = dataset.options | {"split": split or dataset.split}
    try:
        return load_source(dataset.name, examples=examples, **options)
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        where = split_field if is_about_split(error) else "dataset"
        raise ConfigError(f"config.{where}: {error}") from error


def build_pipeline(
    config: Config,
    source: Source,
    *,
    process_index: int = 0,
    process_count: int = 1,
    seed: int | None = None,
) -> Pipeline:
    """Returns the batches of a dataset as a function of the iteration.

    Args:
        config: config of one experiment.
        source: dataset, as returned by ``build_source``.
        process_index: index of this process.
        process_count: number of processes that share each batch.
        seed: seed of the order of the examples. Defaults to that of the config.

    Returns:
        The pipeline, which yields this process's rows of each batch.

    Raises:
        ConfigError: if the dataset has no labels but the config uses them, or the
            batch size does not match the dataset or the number of processes.
    """
    config = resolve(config)
    _check_labels(config, source.num_classes)
    schedule = build_schedule(config)
    # With a paired objective, the generator update needs its own real examples.
    more = int(OBJECTIVES[config.objective.name].paired)
    try:
        return Pipeline(
            source,
            batch_size=config.training.batch_size,
            seed=config.seed if seed is None else seed,
            critic_updates=lambda t: schedule.updates(t) + more,
            critic_updates_before=lambda t: schedule.updates_before(t) + more * t,
            labels=config.dataset.labels,
            process_index=process_index,
            process_count=process_count,
        )
    except ValueError as error:
        raise ConfigError(f"config.training.batch_size: {error}") from error


def _check_images(config: ExperimentConfig, image_shape: tuple[int, ...]) -> None:
    used = {
        "dataset.flip": config.dataset.flip,
        "augmentation.policy": config.augmentation is not None,
    }
    for name, is_used in used.items():
        if is_used and len(image_shape) != 3:
            raise ConfigError(
                f"config.{name} is for images only, but an example of "
                f"{config.dataset.name!r} has the shape {image_shape}. Leave it unset."
            )


def _check_labels(config: ExperimentConfig, classes: int | None) -> None:
    if config.dataset.labels and classes is None:
        raise ConfigError(
            f"config.dataset.labels is True, but {config.dataset.name!r} has no "
            "labels; it must be False."
        )


def _build_conditional(
    config: ExperimentConfig, classes: int | None
) -> Conditional | None:
    _check_labels(config, classes)
    if not config.dataset.labels:
        return None
    fields = dict(config.conditional) if config.conditional else {}
    return as_config_error(Conditional, classes=classes, **fields)


def _bound(table: Mapping[str, Any], row: Row) -> Callable[..., Any]:
    """Returns the function of a row with its options bound."""
    return partial(table[row.name], **row.options)


def _build_optimizer(config: ExperimentConfig, network: str) -> Any:
    row: experiment.Optimizer = getattr(config.optimizer, network)
    options = dict(row.options)
    if options.get("final_b2") is not None and options["schedule_iterations"] is None:
        options["schedule_iterations"] = _schedule_length(config)
    try:
        made = find_optimizer(row.name)(**options)
        return made if row.clip_norm is None else clipped(made, row.clip_norm)
    except ValueError as error:
        raise ConfigError(f"config.optimizer.{network}: {error}") from error


def _build_penalties(config: ExperimentConfig) -> tuple[terms.Term, ...]:
    """Returns ``penalty``, followed by the labeled terms of ``penalties``."""
    found = [("", config.penalty)] if config.penalty else []
    return tuple(
        _build_term(config, PENALTIES, term, label)
        for label, term in (*found, *config.penalties)
    )


def _build_regularizers(config: ExperimentConfig) -> tuple[terms.Term, ...]:
    if config.regularizer is None:
        return ()
    term = _build_term(config, REGULARIZERS, config.regularizer, "")
    return (term._replace(function=as_config_error(term.function)),)


def _build_term(
    config: ExperimentConfig, table: Mapping[str, Any], term: Term, label: str
) -> terms.Term:
    weight: Any = term.weight
    if term.final_weight is not None:
        weight = partial(
            cosine,
            iterations=_schedule_length(config),
            initial=weight,
            final=term.final_weight,
        )
    return terms.Term(_bound(table, term), weight, term.every, label)


def _schedule_length(config: ExperimentConfig) -> int:
    return config.training.schedule_iterations or config.training.iterations


def _build_augment_probability(
    config: ExperimentConfig,
) -> ScheduledProbability | AdaptiveProbability | None:
    fields = config.augmentation
    if fields is None:
        return None
    if fields.target is not None:
        return AdaptiveProbability(
            initial=fields.probability or 0.0,
            target=fields.target,
            images=fields.adaptation_images,
        )
    if fields.probability is None:
        return None
    final = fields.final_probability
    return ScheduledProbability(
        initial=fields.probability,
        final=fields.probability if final is None else final,
        iterations=_schedule_length(config),
    )


def _build_ema_decay(config: ExperimentConfig) -> Any:
    """Returns the decay of the EMA: a number, a function of the iteration, or None."""
    training = config.training
    if training.ema_half_life is None:
        return training.ema_decay
    initial = training.ema_initial_half_life
    return partial(
        half_life_decay,
        half_life=training.ema_half_life,
        batch_size=training.generator_batch_size or training.batch_size,
        rampup=training.ema_rampup,
        initial=initial,
        iterations=None if initial is None else _schedule_length(config),
    )


def _build_learning_rate_scale(config: ExperimentConfig) -> Callable[..., Any]:
    training = config.training
    schedule = LEARNING_RATE_SCHEDULES[training.learning_rate_schedule]
    reads = inspect.signature(schedule).parameters
    found: dict[str, float] = {}
    if "iterations" in reads:
        found["iterations"] = _schedule_length(config)
    if training.learning_rate_final is not None:
        found["final"] = training.learning_rate_final
    return partial(schedule, **found)
